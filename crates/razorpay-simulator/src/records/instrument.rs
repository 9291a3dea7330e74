//! What a customer pays with, as it is kept and as it is shown.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Card;
use crate::ids;

/// What a customer pays with.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Instrument {
    /// By a request to the payer's app (collect, which names a VPA), or by a link that opens it (intent).
    Upi {
        flow: Flow,
        vpa: Option<String>,
    },
    Card(Card),
    Netbanking {
        bank: String,
    },
    Wallet {
        wallet: String,
    },
}

/// How a UPI payment reaches the payer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Flow {
    Collect,
    Intent,
}

impl Instrument {
    /// UPI by a request to the payer.
    pub(crate) fn collect(vpa: &str) -> Self {
        Self::Upi {
            flow: Flow::Collect,
            vpa: Some(vpa.to_owned()),
        }
    }

    /// The word in `method`.
    pub(crate) fn method(&self) -> &'static str {
        match self {
            Self::Upi { .. } => "upi",
            Self::Card(_) => "card",
            Self::Netbanking { .. } => "netbanking",
            Self::Wallet { .. } => "wallet",
        }
    }

    /// A reference number as the banks of this method give them.
    pub(crate) fn new_bank_reference(&self) -> String {
        match self {
            Self::Upi { .. } => ids::digits(12),
            Self::Card(_) => ids::digits(6),
            Self::Netbanking { .. } => ids::digits(7),
            Self::Wallet { .. } => ids::digits(10),
        }
    }

    /// `acquirer_data`.
    pub(super) fn acquirer_data(&self, reference: Option<&str>) -> Value {
        match self {
            Self::Upi { .. } => json!({ "rrn": reference }),
            Self::Card(_) => json!({ "auth_code": reference }),
            Self::Netbanking { .. } => json!({ "bank_transaction_id": reference }),
            Self::Wallet { .. } => json!({ "transaction_id": reference }),
        }
    }
}
