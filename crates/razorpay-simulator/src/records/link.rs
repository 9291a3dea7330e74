//! A payment link as it is kept and as it is shown.

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{addresses, app::Tx, db, failure::Failure, http::Notes, ids};

/// Where a link stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LinkStatus {
    Created,
    PartiallyPaid,
    Paid,
    Cancelled,
    Expired,
}

impl LinkStatus {
    /// The word in answers and callbacks.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::PartiallyPaid => "partially_paid",
            Self::Paid => "paid",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Whether it can still be paid and edited.
    pub(crate) fn is_open(self) -> bool {
        matches!(self, Self::Created | Self::PartiallyPaid)
    }
}

/// A captured payment of a link.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) payment_id: String,
    pub(crate) amount: i64,
    pub(crate) method: String,
    pub(crate) created_at: i64,
}

/// A payment link. Amounts are in the currency's smallest unit, times unix seconds, and 0 stands for never.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Link {
    pub(crate) id: String,
    pub(crate) amount: i64,
    pub(crate) amount_paid: i64,
    pub(crate) currency: String,
    pub(crate) status: LinkStatus,
    pub(crate) accept_partial: bool,
    pub(crate) first_min_partial_amount: i64,
    pub(crate) reference_id: Option<String>,
    pub(crate) description: String,
    /// `name`, `email` and `contact`, as far as given.
    pub(crate) customer: Value,
    pub(crate) notify_sms: bool,
    pub(crate) notify_email: bool,
    pub(crate) reminder_enable: bool,
    pub(crate) notes: Notes,
    pub(crate) callback_url: String,
    pub(crate) upi_link: bool,
    pub(crate) expire_by: i64,
    pub(crate) expired_at: i64,
    pub(crate) cancelled_at: i64,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    /// The order under which it is paid, once somebody has begun to.
    pub(crate) order_id: Option<String>,
    pub(crate) payments: Vec<Part>,
}

impl Link {
    /// What is still to be paid.
    pub(crate) fn amount_due(&self) -> i64 {
        self.amount - self.amount_paid
    }

    /// As the API shows it; `base` is the address of the pages.
    pub(crate) fn view(&self, base: &str) -> Value {
        let payments: Vec<Value> = self
            .payments
            .iter()
            .map(|part| {
                json!({
                    "amount": part.amount, "created_at": part.created_at, "method": part.method,
                    "payment_id": part.payment_id, "plink_id": self.id, "status": "captured",
                    "updated_at": part.created_at,
                })
            })
            .collect();
        let callback_method = if self.callback_url.is_empty() { "" } else { "get" };
        let mut view = json!({
            "id": self.id, "accept_partial": self.accept_partial, "amount": self.amount,
            "amount_paid": self.amount_paid, "callback_method": callback_method, "callback_url": self.callback_url,
            "cancelled_at": self.cancelled_at, "created_at": self.created_at, "currency": self.currency,
            "customer": self.customer, "description": self.description, "expire_by": self.expire_by,
            "expired_at": self.expired_at, "first_min_partial_amount": self.first_min_partial_amount,
            "notes": self.notes.view_or_null(), "notify": { "email": self.notify_email, "sms": self.notify_sms },
            "payments": if payments.is_empty() { Value::Null } else { json!(payments) },
            "reference_id": self.reference_id.as_deref().unwrap_or_default(),
            "reminder_enable": self.reminder_enable, "reminders": [],
            "short_url": addresses::link_url(base, &self.id), "status": self.status, "updated_at": self.updated_at,
            "upi_link": self.upi_link, "user_id": "",
        });
        if let Some(order) = &self.order_id {
            view["order_id"] = json!(order);
        }
        view
    }

    /// The link with an id.
    pub(crate) fn find(db: &Connection, id: &str) -> Result<Self, Failure> {
        ids::check("plink", id)?;
        db::document(db, "SELECT doc FROM links WHERE id = ?1", [id])?.ok_or_else(Failure::unknown_id)
    }

    /// Refuses a reference that another link has.
    pub(crate) fn check_reference(&self, db: &Connection) -> Result<(), Failure> {
        let sql = "SELECT 1 FROM links WHERE reference_id = ?1 AND id <> ?2";
        match db::value::<i64>(db, sql, params![self.reference_id, self.id])? {
            Some(_) => Err(Failure::refused(format!(
                "payment link creation with reference ID already attempted, reference ID: {}",
                self.reference_id.as_deref().unwrap_or_default()
            ))),
            None => Ok(()),
        }
    }

    /// Keeps a new link.
    pub(crate) fn insert(&self, tx: &Tx<'_>) -> Result<(), Failure> {
        let sql = "INSERT INTO links (id, reference_id, created_at, due_at, doc) VALUES (?1, ?2, ?3, ?4, ?5)";
        let doc = serde_json::to_string(self)?;
        db::execute(
            tx.db,
            sql,
            params![self.id, self.reference_id, self.created_at, self.due_at(tx), doc],
        )
        .map(drop)
    }

    /// Keeps a change of it.
    pub(crate) fn save(&mut self, tx: &Tx<'_>) -> Result<(), Failure> {
        self.updated_at = tx.now();
        let sql = "UPDATE links SET reference_id = ?2, due_at = ?3, doc = ?4 WHERE id = ?1";
        let doc = serde_json::to_string(self)?;
        db::execute(
            tx.db,
            sql,
            params![self.id, self.reference_id, self.due_at(tx), doc],
        )
        .map(drop)
    }

    fn due_at(&self, tx: &Tx<'_>) -> Option<i64> {
        if self.expire_by == 0 || !self.status.is_open() {
            return None;
        }
        tx.wake_due();
        Some(self.expire_by * 1000)
    }
}
