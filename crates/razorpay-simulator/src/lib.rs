//! A local server that speaks Razorpay's HTTP API: orders, server-to-server payments, captures, refunds, payment
//! links, Checkout and webhooks, with no network and no account. Clients written for `https://api.razorpay.com` work against
//! it when they are given its address; so do the official SDKs (Node: `api.rq.defaults.baseURL`; Python: `base_url`).
//!
//! State is kept in `<data_dir>/razorpay-simulator.db`. What was answered is on disk, and what is pending is a row
//! with a due time, so a process that is killed goes on where it was: outcomes still come, and webhooks that were
//! not taken are sent again under the same event id with the same bytes.
//!
//! # Knobs
//! [`Settings`] has the fields; the program `razorpay-simulator` reads them from the environment:
//!
//! | variable | default | meaning |
//! |---|---|---|
//! | `RAZORPAY_SIMULATOR_PORT` | 3199 | port; 0 takes any free one, which is printed |
//! | `BIND_ADDR` | 127.0.0.1 | address to listen on |
//! | `RAZORPAY_KEY_ID` | rzp_test_simulator | API key id |
//! | `RAZORPAY_KEY_SECRET` | made at first start, `DATA_DIR/razorpay_key_secret` | API key secret |
//! | `RAZORPAY_WEBHOOK_SECRET` | made at first start, `DATA_DIR/razorpay_webhook_secret` | signs webhooks |
//! | `RAZORPAY_WEBHOOK_URL` | none | gets every event; more receivers by `POST /v1/webhooks` |
//! | `DATA_DIR` | ./data | where the state is |
//! | `SIMULATOR_AUTO_COMPLETE` | on | the customer's step of card, netbanking and wallet is done by itself, at once or after so many milliseconds; `off` waits for the OTP calls or the bank page |
//! | `SIMULATOR_UPI_DELAY_MS` | 0 | a UPI outcome comes by itself after this, at most 1000, unless `SIMULATOR_AUTO_COMPLETE` is off |
//! | `SIMULATOR_CONTROLS` | off | `on` opens `/sim/control`, see [`control`] |
//! | `LOG` | info | log filter |
//!
//! A delay of 0 decides the outcome in the same commit that creates the payment.
//!
//! # Instruments
//! Those of Razorpay's test mode: `success@razorpay` and `failure@razorpay`, the test cards, the error cards, OTPs
//! of 4 to 10 digits, and the amounts that fail a UPI intent (201, 402, 204 and 302 paise). Every other well-formed
//! instrument succeeds. For netbanking and wallets Razorpay leaves the outcome to the buttons of its mock page, and so
//! does this one; so that a failure can be had without a person, `bank: "FAIL"` and `wallet: "fail"` are refused by
//! "the bank" (our invention). An error card fails with its reason however the customer's step is done, except by
//! the Success button.
//!
//! # Choices, where Razorpay's documentation is silent or disagrees with itself
//! - Capture is automatic unless the order says otherwise (`payment.capture`, `payment_capture`), as accounts are.
//! - `unique_receipt: true` with a receipt that exists gives the existing order, if amount and currency are the same.
//! - Refunds are `processed` at once. One of 2468 paise fails when its speed is normal, and falls back to normal
//!   when it is optimum. A failed refund frees its amount.
//! - A wrong OTP may be repeated twice; the third fails the payment.
//! - A payment that nobody completes fails after 10 minutes; an authorized one that is not captured in the order's
//!   window (default 7200 minutes) is refunded by itself.
//! - Webhooks: refused ones (not 2xx, or no answer in 5 s) are repeated after 1, 2, 4 ... s, at most 15 min apart, for
//!   24 h after the event; then the receiver is disabled. Registering an address again updates its registration.
//! - Unknown routes, and routes with another method, are 400 "The requested URL was not found on the server."
//! - Fees are 2 % and 18 % tax on them.

mod addresses;
mod app;
mod clock;
pub mod control;
mod db;
mod decline;
mod env;
mod failure;
mod faults;
mod http;
mod ids;
mod links;
mod listener;
mod mischief;
mod moves;
mod orders;
mod pages;
mod payments;
mod records;
mod refunds;
mod routes;
mod secrets;
mod settings;
mod signature;
mod simulator;
mod webhooks;
mod workers;

pub use env::Program;
pub use settings::Settings;
pub use simulator::{OpenError, Simulator, serve};
