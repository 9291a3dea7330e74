//! Razorpay's details of a payment beside its status, and the payment's timeline.

use common::{clock::Timestamp, money::Paise};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The payer's means of payment; only what may be shown.
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

/// Masks a UPI address so that its name cannot be guessed: at most its first two characters and its bank remain.
pub fn masked(vpa: &str) -> String {
    let (name, bank) = vpa.split_once('@').unwrap_or((vpa, ""));
    let begins: String = name.chars().take(2.min(name.chars().count() / 2)).collect();
    format!("{begins}***@{bank}")
}

/// The source of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReportedBy {
    /// Razorpay's answer to a call during the payer's request.
    Answer,
    /// Razorpay Checkout in the payer's browser, confirmed by Razorpay.
    Checkout,
    /// A webhook.
    Webhook,
    /// The reconciler's call to Razorpay.
    Reconciler,
    /// A decision of this service.
    Ourselves,
}

/// An entry of a payment's timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// When it was recorded.
    pub at: Timestamp,
    /// The status then.
    pub status: String,
    /// The source of the report.
    pub source: ReportedBy,
}

/// The details as they are stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    /// Razorpay's fee, including tax.
    #[serde(default)]
    pub fee: Option<Paise>,
    /// The tax in the fee.
    #[serde(default)]
    pub tax: Option<Paise>,
    /// The means of payment.
    #[serde(default)]
    pub method: MethodDetail,
    /// The steps so far; empty for payments of earlier releases.
    #[serde(default)]
    pub timeline: Vec<Step>,
}

impl Detail {
    /// Merges the details of a report. Fields that it leaves out are kept.
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
