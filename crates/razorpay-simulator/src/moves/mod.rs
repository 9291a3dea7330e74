//! The moves: what can become of payments, refunds and payment links, and what follows from it for the others and for
//! the order. Each is made within one change, with the events that tell of it, whoever asks for it: a call, a page, a
//! control, or the time.

pub(crate) mod link;
pub(crate) mod payment;
pub(crate) mod refund;
