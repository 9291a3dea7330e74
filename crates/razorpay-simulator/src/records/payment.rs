//! A payment as it is kept and as it is shown.

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Card, Instrument};
use crate::{app::Tx, db, decline::Decline, failure::Failure, http::Notes, ids};

/// Where a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PaymentStatus {
    /// Started; the customer or the bank has not decided.
    Created,
    /// The bank holds the money.
    Authorized,
    /// The money is the merchant's. Partly refunded payments stay here.
    Captured,
    /// All of it went back, after a capture or instead of one.
    Refunded,
    /// Declined, for now: the bank may still come to authorize it.
    Failed,
}

impl PaymentStatus {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Authorized => "authorized",
            Self::Captured => "captured",
            Self::Refunded => "refunded",
            Self::Failed => "failed",
        }
    }
}

/// What happens to a payment by itself, and when.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Due {
    /// Unix milliseconds.
    pub(crate) at_ms: i64,
    pub(crate) what: Coming,
}

/// What happens to a payment by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Coming {
    /// The customer's step ends, as the instrument says.
    Outcome,
    /// Nobody completed it.
    Abandonment,
    /// Nobody captured it.
    Release,
}

/// A payment. Amounts are in the currency's smallest unit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Payment {
    pub(crate) id: String,
    pub(crate) order_id: String,
    pub(crate) amount: i64,
    /// What it pays of its order, where an offer or a convenience fee makes that another sum than its amount.
    #[serde(default)]
    pub(crate) settles: Option<i64>,
    pub(crate) currency: String,
    pub(crate) status: PaymentStatus,
    pub(crate) instrument: Instrument,
    /// The sum of its refunds that have not failed.
    pub(crate) amount_refunded: i64,
    pub(crate) captured: bool,
    pub(crate) description: Option<String>,
    pub(crate) email: String,
    pub(crate) contact: String,
    pub(crate) notes: Notes,
    /// Razorpay's share, tax included; set by the capture.
    pub(crate) fee: Option<i64>,
    pub(crate) tax: Option<i64>,
    /// Why it failed: a reason of [`Decline`].
    pub(crate) error: Option<String>,
    /// The reference number at the bank, once it has authorized.
    pub(crate) bank_reference: Option<String>,
    /// Unix seconds.
    pub(crate) created_at: i64,
    /// Why the instrument will be declined when the customer's step is done; `None`: it will not.
    pub(crate) will_decline: Option<String>,
    pub(crate) wrong_otps: u32,
    /// Where the browser is sent after the customer's step.
    pub(crate) callback_url: Option<String>,
    pub(crate) due: Option<Due>,
}

impl Payment {
    /// What is left to refund.
    pub(crate) fn refundable(&self) -> i64 {
        self.amount - self.amount_refunded
    }

    /// The card it is made with.
    pub(crate) fn card(&self) -> Option<&Card> {
        match &self.instrument {
            Instrument::Card(card) => Some(card),
            _ => None,
        }
    }

    /// As the API shows it.
    pub(crate) fn view(&self) -> Value {
        let error = self.error.as_deref().map(Decline::of);
        let refund_status = match self.amount_refunded {
            0 => None,
            all if all >= self.amount => Some("full"),
            _ => Some("partial"),
        };
        let (bank, wallet, vpa) = match &self.instrument {
            Instrument::Netbanking { bank } => (Some(bank), None, None),
            Instrument::Wallet { wallet } => (None, Some(wallet), None),
            Instrument::Upi { vpa, .. } => (None, None, vpa.as_ref()),
            Instrument::Card(_) => (None, None, None),
        };
        let mut view = json!({
            "id": self.id, "entity": "payment", "amount": self.amount, "currency": self.currency,
            "status": self.status, "order_id": self.order_id, "invoice_id": null,
            "international": self.card().is_some_and(|card| card.international), "method": self.instrument.method(),
            "amount_refunded": self.amount_refunded, "refund_status": refund_status, "captured": self.captured,
            "description": self.description, "card_id": self.card().map(|card| &card.id), "bank": bank,
            "wallet": wallet, "vpa": vpa, "email": self.email, "contact": self.contact, "notes": self.notes.view(),
            "fee": self.fee, "tax": self.tax, "error_code": error.map(|error| error.code),
            "error_description": error.map(|error| error.description), "error_source": error.map(|error| error.source),
            "error_step": error.map(|error| error.step), "error_reason": error.map(|error| error.reason),
            "acquirer_data": self.instrument.acquirer_data(self.bank_reference.as_deref()),
            "created_at": self.created_at,
        });
        if let Instrument::Upi { flow, vpa } = &self.instrument {
            view["upi"] = json!({ "vpa": vpa, "flow": flow, "payer_account_type": "bank_account" });
        }
        view
    }

    /// As webhooks show it: with its card.
    pub(crate) fn view_with_card(&self) -> Value {
        let mut view = self.view();
        if let Some(card) = self.card() {
            view["card"] = card.view();
        }
        view
    }

    /// The payment with an id.
    pub(crate) fn find(db: &Connection, id: &str) -> Result<Self, Failure> {
        ids::check("pay", id)?;
        db::document(db, "SELECT doc FROM payments WHERE id = ?1", [id])?.ok_or_else(Failure::unknown_id)
    }

    /// Keeps a new payment.
    pub(crate) fn insert(&self, tx: &Tx<'_>) -> Result<(), Failure> {
        let sql = "INSERT INTO payments (id, order_id, status, created_at, due_at, doc) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let doc = serde_json::to_string(self)?;
        let with = params![
            self.id,
            self.order_id,
            self.status.as_str(),
            self.created_at,
            self.due_at(tx),
            doc
        ];
        db::execute(tx.db, sql, with).map(drop)
    }

    /// Keeps a change of it.
    pub(crate) fn save(&self, tx: &Tx<'_>) -> Result<(), Failure> {
        let sql = "UPDATE payments SET status = ?2, due_at = ?3, doc = ?4 WHERE id = ?1";
        let doc = serde_json::to_string(self)?;
        db::execute(
            tx.db,
            sql,
            params![self.id, self.status.as_str(), self.due_at(tx), doc],
        )
        .map(drop)
    }

    fn due_at(&self, tx: &Tx<'_>) -> Option<i64> {
        let due = self.due.as_ref()?;
        tx.wake_due();
        Some(due.at_ms)
    }
}
