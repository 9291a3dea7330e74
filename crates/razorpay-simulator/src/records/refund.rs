//! A refund as it is kept and as it is shown.

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Payment;
use crate::{app::Tx, db, failure::Failure, http::Notes, ids};

/// Where a refund stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RefundStatus {
    Pending,
    /// Sent to the bank.
    Processed,
    /// Its amount can be refunded again.
    Failed,
}

/// How fast a refund goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Speed {
    Normal,
    /// Asked for: at once if possible.
    Optimum,
    /// Done: at once.
    Instant,
}

/// A refund. Its amount is in the smallest unit of the payment's currency.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Refund {
    pub(crate) id: String,
    pub(crate) payment_id: String,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) notes: Notes,
    pub(crate) receipt: Option<String>,
    pub(crate) status: RefundStatus,
    pub(crate) speed_requested: Speed,
    pub(crate) speed_processed: Option<Speed>,
    /// The reference number of the bank, once processed.
    pub(crate) bank_reference: Option<String>,
    /// Unix seconds.
    pub(crate) created_at: i64,
    /// When it fails by itself, unix milliseconds.
    pub(crate) fails_at_ms: Option<i64>,
}

impl Refund {
    /// As the API shows it.
    pub(crate) fn view(&self) -> Value {
        json!({
            "id": self.id, "entity": "refund", "amount": self.amount, "currency": self.currency,
            "payment_id": self.payment_id, "notes": self.notes.view(), "receipt": self.receipt,
            "acquirer_data": { "arn": self.bank_reference }, "created_at": self.created_at, "batch_id": null,
            "status": self.status, "speed_requested": self.speed_requested, "speed_processed": self.speed_processed,
        })
    }

    /// The refund with an id.
    pub(crate) fn find(db: &Connection, id: &str) -> Result<Self, Failure> {
        ids::check("rfnd", id)?;
        db::document(db, "SELECT doc FROM refunds WHERE id = ?1", [id])?.ok_or_else(Failure::unknown_id)
    }

    /// Its payment.
    pub(crate) fn payment(&self, db: &Connection) -> Result<Payment, Failure> {
        Payment::find(db, &self.payment_id)
    }

    /// Keeps a new refund.
    pub(crate) fn insert(&self, tx: &Tx<'_>) -> Result<(), Failure> {
        let sql = "INSERT INTO refunds (id, payment_id, created_at, due_at, doc) VALUES (?1, ?2, ?3, ?4, ?5)";
        let doc = serde_json::to_string(self)?;
        if self.fails_at_ms.is_some() {
            tx.wake_due();
        }
        db::execute(
            tx.db,
            sql,
            params![self.id, self.payment_id, self.created_at, self.fails_at_ms, doc],
        )
        .map(drop)
    }

    /// Keeps a change of it.
    pub(crate) fn save(&self, tx: &Tx<'_>) -> Result<(), Failure> {
        let doc = serde_json::to_string(self)?;
        let sql = "UPDATE refunds SET due_at = ?2, doc = ?3 WHERE id = ?1";
        db::execute(tx.db, sql, params![self.id, self.fails_at_ms, doc]).map(drop)
    }
}
