//! Razorpay's entities, as far as they are read. Unknown fields are ignored: Razorpay may add fields at any time.

use common::{clock::from_millis, ids::RefundId, money::Paise};
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

use crate::domain::{
    detail::{Detail, MethodDetail, ReportedBy, masked},
    payment::{Decline, Report, Status},
    refund::{EntryStatus, RefundReport},
};

/// A page of entities.
#[derive(Debug, Deserialize)]
pub struct Collection<T> {
    /// The entities.
    pub items: Vec<T>,
}

/// An order.
#[derive(Debug, Deserialize)]
pub struct OrderEntity {
    /// `order_...`
    pub id: String,
    /// The receipt, set by this service.
    pub receipt: Option<String>,
    /// The amount still due; paise.
    #[serde(default, deserialize_with = "maybe_paise")]
    pub amount_due: Option<Paise>,
}

/// A payment.
#[derive(Clone, Debug, Deserialize)]
pub struct PaymentEntity {
    /// `pay_...`
    pub id: String,
    /// The order it pays; `None` for payments that were not made for an order.
    pub order_id: Option<String>,
    /// The amount; paise.
    #[serde(deserialize_with = "paise")]
    pub amount: Paise,
    /// ISO 4217.
    pub currency: String,
    /// `created`, `authorized`, `captured`, `refunded` or `failed`.
    pub status: String,
    /// The sum of its refunds that have not failed; paise.
    #[serde(default, deserialize_with = "maybe_paise")]
    pub amount_refunded: Option<Paise>,
    /// The payment method.
    #[serde(default)]
    pub method: Option<String>,
    /// Whether it was ever captured; a payment with the status `refunded` need not have been.
    #[serde(default, deserialize_with = "flag")]
    pub captured: Option<bool>,
    /// Razorpay's fee, including tax; paise.
    #[serde(default, deserialize_with = "maybe_paise")]
    fee: Option<Paise>,
    /// The tax in the fee; paise.
    #[serde(default, deserialize_with = "maybe_paise")]
    tax: Option<Paise>,
    // Values of these fields that are not as documented are ignored: no amount depends on them.
    #[serde(default)]
    vpa: Value,
    #[serde(default)]
    bank: Value,
    #[serde(default)]
    wallet: Value,
    #[serde(default)]
    card: Value,
    #[serde(default)]
    error_reason: Option<String>,
    #[serde(default)]
    error_description: Option<String>,
}

impl PaymentEntity {
    /// The status, if it is not a known one.
    pub fn strange_status(&self) -> Option<&str> {
        Status::parse(&self.status)
            .is_none()
            .then_some(self.status.as_str())
    }

    fn detail(&self) -> Detail {
        let short = |value: &Value| {
            let text = value.as_str().filter(|text| !text.is_empty())?;
            Some(text.chars().take(64).collect::<String>())
        };
        Detail {
            fee: self.fee,
            tax: self.tax,
            method: MethodDetail {
                vpa: short(&self.vpa).map(|vpa| masked(&vpa)),
                bank: short(&self.bank),
                wallet: short(&self.wallet),
                card_network: short(&self.card["network"]),
                card_last4: short(&self.card["last4"]),
            },
            timeline: Vec::new(),
        }
    }

    /// The report of the payment. `None`: an unknown status, another currency than INR, or no order.
    pub fn report(&self, source: ReportedBy) -> Option<Report> {
        let status = Status::parse(&self.status)?;
        // Authorized money that was not captured ends as "refunded" and not captured: no money moved.
        let status = match status {
            Status::Refunded if self.captured == Some(false) => Status::Released,
            // The ledger of refunds decides whether all is refunded.
            Status::Refunded => Status::Captured,
            status => status,
        };
        let told =
            |told: &Option<String>, otherwise: &str| told.clone().unwrap_or_else(|| otherwise.to_owned());
        let decline = match status {
            Status::Failed => Some(Decline {
                reason: told(&self.error_reason, "payment_failed"),
                description: told(&self.error_description, "The payment failed."),
            }),
            Status::Released => Some(Decline {
                reason: "authorization_expired".to_owned(),
                description: "The payment was not completed in time, and no money was taken.".to_owned(),
            }),
            _ => None,
        };
        (self.currency == "INR").then_some(())?;
        Some(Report {
            order: self.order_id.clone()?,
            payment: self.id.clone(),
            status,
            method: self.method.clone().unwrap_or_default(),
            amount: self.amount,
            decline,
            order_is: None,
            detail: self.detail(),
            source,
        })
    }
}

/// The answer to starting a payment.
#[derive(Debug, Deserialize)]
pub struct PaymentCreated {
    /// `pay_...`
    pub razorpay_payment_id: String,
    /// The payer's next steps.
    #[serde(default)]
    pub next: Vec<NextStep>,
}

/// A step for the payer.
#[derive(Clone, Debug, Deserialize, serde::Serialize, utoipa::ToSchema)]
pub struct NextStep {
    /// `redirect`, `otp_submit`, `poll`, ...
    pub action: String,
    /// The URL of the step.
    #[serde(default)]
    #[schema(required = true)]
    pub url: Option<String>,
}

/// A refund.
#[derive(Debug, Deserialize)]
pub struct RefundEntity {
    /// `rfnd_...`
    pub id: String,
    /// The refunded payment.
    #[serde(default)]
    pub payment_id: Option<String>,
    /// The amount; paise.
    #[serde(default, deserialize_with = "maybe_paise")]
    pub amount: Option<Paise>,
    /// `pending`, `processed` or `failed`; older webhooks leave it out.
    #[serde(default)]
    pub status: Option<String>,
    /// The notes; refunds made by this service have [`REFUND_NOTE`]. A list when there are none.
    #[serde(default)]
    pub notes: Value,
    /// Seconds since 1970.
    #[serde(default)]
    pub created_at: Option<i64>,
}

/// The note with the id of the service's refund that a refund at Razorpay was made for.
pub const REFUND_NOTE: &str = "refund_id";

impl RefundEntity {
    /// The report of the refund; `None` when it lacks the payment or the amount.
    pub fn report(&self) -> Option<RefundReport> {
        let ours = self.notes[REFUND_NOTE].as_str();
        Some(RefundReport {
            id: self.id.clone(),
            payment: self.payment_id.clone()?,
            refund_id: ours.map(RefundId::lenient),
            amount: self.amount?,
            status: self
                .status
                .as_deref()
                .map_or(EntryStatus::Pending, EntryStatus::of_razorpay),
            created_at: self.created_at.map(|at| from_millis(at.saturating_mul(1000))),
        })
    }
}

/// The body of every error.
#[derive(Debug, Default, Deserialize)]
pub struct ErrorBody {
    /// The error.
    #[serde(default)]
    pub error: ErrorDetail,
}

/// The error.
#[derive(Debug, Default, Deserialize)]
pub struct ErrorDetail {
    /// A text for humans.
    #[serde(default)]
    pub description: String,
    /// The machine-readable reason.
    #[serde(default)]
    pub reason: String,
}

/// Reads an amount: an integer, or the same as text or with a zero fraction, as in some webhooks.
fn paise<'de, D: Deserializer<'de>>(from: D) -> Result<Paise, D::Error> {
    let value = Value::deserialize(from)?;
    let text = match &value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    let whole = text.split_once('.').map_or(text.as_str(), |(whole, rest)| {
        match rest.chars().all(|digit| digit == '0') {
            true => whole,
            false => text.as_str(),
        }
    });
    let amount = whole.parse().ok().filter(|amount| *amount >= 0);
    amount
        .map(Paise)
        .ok_or_else(|| D::Error::custom(format!("not an amount in paise: {value}")))
}

/// The same for an optional amount.
fn maybe_paise<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Paise>, D::Error> {
    match Value::deserialize(from)? {
        Value::Null => Ok(None),
        value => paise(value).map(Some).map_err(D::Error::custom),
    }
}

/// Reads a boolean, written as JSON, a number or text.
fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    match Value::deserialize(from)? {
        Value::Null => Ok(None),
        Value::Bool(flag) => Ok(Some(flag)),
        value => match value.to_string().trim_matches('"') {
            "1" | "true" => Ok(Some(true)),
            "0" | "false" => Ok(Some(false)),
            _ => Err(D::Error::custom(format!("neither yes nor no: {value}"))),
        },
    }
}
