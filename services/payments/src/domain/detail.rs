//! What Razorpay tells of a payment beside its status, and the way it has come.

use common::{clock::Timestamp, money::Paise};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// With what somebody has paid; only what may be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MethodDetail {
    /// UPI address, masked.
    #[schema(required = true, example = "su***@razorpay")]
    pub vpa: Option<String>,
    /// Bank code of net banking.
    #[schema(required = true, example = json!(null))]
    pub bank: Option<String>,
    /// Wallet.
    #[schema(required = true, example = json!(null))]
    pub wallet: Option<String>,
    /// Network of the card: Visa, `MasterCard`, `RuPay`, ...
    #[schema(required = true, example = json!(null))]
    pub card_network: Option<String>,
    /// The last four digits of the card.
    #[schema(required = true, example = json!(null))]
    pub card_last4: Option<String>,
}

impl MethodDetail {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A UPI address of which the name cannot be guessed: its first two characters and its bank.
pub fn masked(vpa: &str) -> String {
    let (name, bank) = vpa.split_once('@').unwrap_or((vpa, ""));
    let begins: String = name.chars().take(2.min(name.chars().count() / 2)).collect();
    format!("{begins}***@{bank}")
}

/// Who reported it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReportedBy {
    /// Razorpay's answer to a call of ours while the payer waited.
    Answer,
    /// Razorpay Checkout in the payer's browser, and then Razorpay.
    Checkout,
    /// A webhook.
    Webhook,
    /// The reconciler asked.
    Reconciler,
    /// We decided.
    Ourselves,
}

/// A step on the way of a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// When we heard of it.
    pub at: Timestamp,
    /// The status then.
    pub status: String,
    /// Who told.
    pub source: ReportedBy,
}

/// All of it, as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    /// Razorpay's share, tax included.
    #[serde(default)]
    pub fee: Option<Paise>,
    /// The tax in it.
    #[serde(default)]
    pub tax: Option<Paise>,
    /// With what.
    #[serde(default)]
    pub method: MethodDetail,
    /// The way so far; empty for payments of earlier releases.
    #[serde(default)]
    pub timeline: Vec<Step>,
}

impl Detail {
    /// Records what a report says. What it leaves out stays known.
    pub fn learn(&mut self, told: &Self) {
        self.fee = told.fee.or(self.fee);
        self.tax = told.tax.or(self.tax);
        if !told.method.is_empty() {
            self.method.clone_from(&told.method);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_masked() {
        for (vpa, shown) in [
            ("success@razorpay", "su***@razorpay"),
            ("abc@okhdfc", "a***@okhdfc"),
            ("a@x", "***@x"),
            ("नमस्ते@upi", "नम***@upi"),
            ("", "***@"),
        ] {
            assert_eq!(masked(vpa), shown);
        }
    }
}
