//! What is kept of orders, payments, refunds and payment links, and how the API and its events show it. Where one of
//! them stands is changed elsewhere, by [`crate::moves`].

mod card;
mod instrument;
mod link;
mod order;
mod payment;
mod refund;

pub(crate) use card::Card;
pub(crate) use instrument::{Flow, Instrument};
pub(crate) use link::{Link, LinkStatus, Part};
pub(crate) use order::{CapturePolicy, LONGEST_WINDOW_MINUTES, Order, OrderStatus};
pub(crate) use payment::{Coming, Due, Payment, PaymentStatus};
pub(crate) use refund::{Refund, RefundStatus, Speed};
