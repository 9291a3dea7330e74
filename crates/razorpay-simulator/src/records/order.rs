//! An order as it is kept and as it is shown.

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{app::Tx, db, failure::Failure, http::Notes, ids};

/// Where an order stands. `paid` is final, refunds or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OrderStatus {
    Created,
    Attempted,
    Paid,
}

/// When and whether authorized payments of an order are captured without being asked.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct CapturePolicy {
    /// Authorized later than this many minutes after its creation, a payment is not captured by itself; `None`: it
    /// never is.
    pub(crate) automatic_minutes: Option<i64>,
    /// Not captured this many minutes after its creation, a payment is refunded by itself.
    pub(crate) manual_minutes: i64,
    /// Whether such refunds are instant ones.
    pub(crate) optimum_refund: bool,
}

/// The longest and usual window for captures: 5 days.
pub(crate) const LONGEST_WINDOW_MINUTES: i64 = 7200;

impl CapturePolicy {
    /// As accounts are set up: everything is captured.
    pub(crate) fn automatic() -> Self {
        Self {
            automatic_minutes: Some(LONGEST_WINDOW_MINUTES),
            manual_minutes: LONGEST_WINDOW_MINUTES,
            optimum_refund: false,
        }
    }

    /// Nothing is captured unless the merchant asks.
    pub(crate) fn manual() -> Self {
        Self {
            automatic_minutes: None,
            ..Self::automatic()
        }
    }
}

/// An order. Amounts are in the currency's smallest unit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) amount: i64,
    pub(crate) amount_paid: i64,
    pub(crate) currency: String,
    pub(crate) receipt: Option<String>,
    pub(crate) status: OrderStatus,
    /// Payments that were started, successes included.
    pub(crate) attempts: i64,
    pub(crate) notes: Notes,
    /// Unix seconds.
    pub(crate) created_at: i64,
    /// Whether it may be paid in parts, the first of at least `first_part`.
    pub(crate) partial: bool,
    pub(crate) first_part: Option<i64>,
    pub(crate) capture: CapturePolicy,
    /// The payment link whose order it is.
    pub(crate) link: Option<String>,
}

impl Order {
    /// What is still to be paid.
    pub(crate) fn amount_due(&self) -> i64 {
        self.amount - self.amount_paid
    }

    /// As the API shows it.
    pub(crate) fn view(&self) -> Value {
        let mut view = json!({
            "id": self.id, "entity": "order", "amount": self.amount, "amount_paid": self.amount_paid,
            "amount_due": self.amount_due(), "currency": self.currency, "receipt": self.receipt, "offer_id": null,
            "status": self.status, "attempts": self.attempts, "notes": self.notes.view(),
            "created_at": self.created_at,
        });
        if self.partial {
            view["partial_payment"] = json!(true);
            view["first_payment_min_amount"] = json!(self.first_part);
        }
        view
    }

    /// The order with an id.
    pub(crate) fn find(db: &Connection, id: &str) -> Result<Self, Failure> {
        ids::check("order", id)?;
        db::document(db, "SELECT doc FROM orders WHERE id = ?1", [id])?.ok_or_else(Failure::unknown_id)
    }

    /// The oldest order with a receipt.
    pub(crate) fn with_receipt(db: &Connection, receipt: &str) -> Result<Option<Self>, Failure> {
        db::document(
            db,
            "SELECT doc FROM orders WHERE receipt = ?1 ORDER BY seq LIMIT 1",
            [receipt],
        )
    }

    /// Keeps a new order.
    pub(crate) fn insert(&self, tx: &Tx<'_>) -> Result<(), Failure> {
        let doc = serde_json::to_string(self)?;
        let sql = "INSERT INTO orders (id, receipt, created_at, doc) VALUES (?1, ?2, ?3, ?4)";
        db::execute(tx.db, sql, params![self.id, self.receipt, self.created_at, doc]).map(drop)
    }

    /// Keeps a change of it.
    pub(crate) fn save(&self, tx: &Tx<'_>) -> Result<(), Failure> {
        let doc = serde_json::to_string(self)?;
        db::execute(
            tx.db,
            "UPDATE orders SET doc = ?2 WHERE id = ?1",
            params![self.id, doc],
        )
        .map(drop)
    }
}
