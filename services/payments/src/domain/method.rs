//! Payment methods.

use serde::Deserialize;
use utoipa::ToSchema;

/// A payment method.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// From a UPI address.
    Upi,
    /// By credit or debit card.
    Card,
    /// Net banking: from a bank account, at the bank's site.
    Netbanking,
    /// From a wallet.
    Wallet,
}

impl Method {
    /// Reads `upi`, `card` (also `credit_card`, `debit_card`), `netbanking` or `wallet`, in any case.
    ///
    /// # Errors
    /// The valid methods, as text.
    pub fn parse(text: &str) -> Result<Self, String> {
        match common::text::trimmed(text).to_ascii_lowercase().as_str() {
            "upi" => Ok(Self::Upi),
            "card" | "credit_card" | "debit_card" => Ok(Self::Card),
            "netbanking" => Ok(Self::Netbanking),
            "wallet" => Ok(Self::Wallet),
            _ => Err("must be one of upi, card (credit_card, debit_card), netbanking, wallet".to_owned()),
        }
    }

    /// Razorpay's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Upi => "upi",
            Self::Card => "card",
            Self::Netbanking => "netbanking",
            Self::Wallet => "wallet",
        }
    }
}

/// The means of payment, where it is not the default. Only the simulator takes these; real Razorpay asks the payer
/// itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
pub struct Instrument {
    /// UPI address: `success@razorpay` (default) or `failure@razorpay`.
    #[schema(example = "success@razorpay")]
    pub vpa: Option<String>,
    /// Bank code; default HDFC.
    #[schema(example = "HDFC")]
    pub bank: Option<String>,
    /// Wallet; default payzapp.
    #[schema(example = "payzapp")]
    pub wallet: Option<String>,
    /// Number of a Razorpay test card; default 4100 2800 0000 1007, which succeeds.
    #[schema(example = "4100280000001007")]
    pub test_card: Option<String>,
}
