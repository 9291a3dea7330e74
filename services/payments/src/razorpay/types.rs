//! Razorpay's entities, as far as we read them. Unknown fields are ignored: they may appear at any time.

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
    /// Ours.
    pub receipt: Option<String>,
    /// Paise that are still due.
    #[serde(default, deserialize_with = "maybe_paise")]
    pub amount_due: Option<Paise>,
}

/// A payment.
#[derive(Clone, Debug, Deserialize)]
pub struct PaymentEntity {
    /// `pay_...`
    pub id: String,
    /// What it pays; none for payments that were not made for an order.
    pub order_id: Option<String>,
    /// Paise.
    #[serde(deserialize_with = "paise")]
    pub amount: Paise,
    /// ISO 4217.
    pub currency: String,
    /// `created`, `authorized`, `captured`, `refunded` or `failed`.
    pub status: String,
    /// The sum of its refunds that have not failed; paise.
    #[serde(default, deserialize_with = "maybe_paise")]
    pub amount_refunded: Option<Paise>,
    /// How it is paid.
    #[serde(default)]
    pub method: Option<String>,
    /// Whether the money was ever taken; a refunded payment need not have been captured.
    #[serde(default, deserialize_with = "flag")]
    pub captured: Option<bool>,
    /// Razorpay's share, tax included; paise.
    #[serde(default, deserialize_with = "maybe_paise")]
    fee: Option<Paise>,
    /// The tax in it; paise.
    #[serde(default, deserialize_with = "maybe_paise")]
    tax: Option<Paise>,
    // Anything that is not as documented here is left out: no money hangs on it.
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
    /// Its status, if it is none that payments are known to have.
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

    /// What it tells, unless it is about something that is not ours.
    pub fn report(&self, source: ReportedBy) -> Option<Report> {
        let status = Status::parse(&self.status)?;
        // Money that was authorized and not captured comes back as "refunded, never captured": none moved.
        let status = match status {
            Status::Refunded if self.captured == Some(false) => Status::Released,
            // Whether all is back is for the ledger of refunds to say.
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
    /// What the payer may do next.
    #[serde(default)]
    pub next: Vec<NextStep>,
}

/// A step that the payer may take.
#[derive(Clone, Debug, Deserialize, serde::Serialize, utoipa::ToSchema)]
pub struct NextStep {
    /// `redirect`, `otp_submit`, `poll`, ...
    pub action: String,
    /// Where.
    #[serde(default)]
    #[schema(required = true)]
    pub url: Option<String>,
}

/// A refund.
#[derive(Debug, Deserialize)]
pub struct RefundEntity {
    /// `rfnd_...`
    pub id: String,
    /// Of which payment.
    #[serde(default)]
    pub payment_id: Option<String>,
    /// Paise.
    #[serde(default, deserialize_with = "maybe_paise")]
    pub amount: Option<Paise>,
    /// `pending`, `processed` or `failed`; older webhooks leave it out.
    #[serde(default)]
    pub status: Option<String>,
    /// Ours have [`REFUND_NOTE`]. A list when there are none.
    #[serde(default)]
    pub notes: Value,
    /// Seconds since 1970.
    #[serde(default)]
    pub created_at: Option<i64>,
}

/// The note that tells which of our refunds one at Razorpay is for.
pub const REFUND_NOTE: &str = "refund_id";

impl RefundEntity {
    /// What it tells; `None` when it does not say of which payment or how much.
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
    /// What is wrong.
    #[serde(default)]
    pub error: ErrorDetail,
}

/// What is wrong.
#[derive(Debug, Default, Deserialize)]
pub struct ErrorDetail {
    /// For people.
    #[serde(default)]
    pub description: String,
    /// For programs.
    #[serde(default)]
    pub reason: String,
}

/// An amount: an integer, or the same as text or with a fraction of nothing, as some webhooks have it.
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

/// The same, where it may be missing.
fn maybe_paise<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Paise>, D::Error> {
    match Value::deserialize(from)? {
        Value::Null => Ok(None),
        value => paise(value).map(Some).map_err(D::Error::custom),
    }
}

/// Yes or no, as JSON, a number or text has it.
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
