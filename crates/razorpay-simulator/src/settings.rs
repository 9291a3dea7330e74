//! What a simulator is told at its start.

use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;

/// The settings of a [`Simulator`](crate::Simulator).
#[derive(Clone, Debug)]
pub struct Settings {
    /// The API key id that callers must send, such as `rzp_test_...`.
    pub key_id: String,
    /// The API key secret that callers must send. Also signs callbacks and OTP answers.
    pub key_secret: SecretString,
    /// Signs the webhooks to `webhook_url`.
    pub webhook_secret: SecretString,
    /// Where every event is posted; http or https, loopback allowed. More receivers can register by
    /// `POST /v1/webhooks`.
    pub webhook_url: Option<String>,
    /// The state is kept in `<data_dir>/razorpay-simulator.db`; the folder is made if need be. `None`: memory only,
    /// gone with the [`Simulator`](crate::Simulator).
    pub data_dir: Option<PathBuf>,
    /// The customer's step of card, netbanking and wallet payments is done by itself after this. `None`: it waits
    /// for the OTP calls or the bank page.
    pub auto_complete: Option<Duration>,
    /// The outcome of a UPI payment comes by itself after this, unless `auto_complete` is off. Razorpay's test mode takes up to a second.
    pub upi_delay: Duration,
    /// Whether `/sim/control/...` is open to whoever can reach the address.
    pub controls: bool,
}
