//! The service over its pipeline, between a fake events service and a fake Razorpay.

mod amounts;
mod batches;
mod captures;
mod events_away;
mod failing_store;
mod fake_events;
mod fake_razorpay;
mod in_flight;
mod kit;
mod others;
mod parts;
mod razorpay_away;
mod requests;
mod slow;
mod steps;
mod store_away;
mod troubles;
mod verifying;
mod webhooks;
