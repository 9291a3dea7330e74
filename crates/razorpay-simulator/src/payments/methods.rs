//! `GET /v1/methods`: the banks and wallets there are.

use axum::Json;
use serde_json::{Map, Value, json};

use crate::http::Answer;

/// Declines every payment, so that a failure can be had without a person at the bank's page. Razorpay has none such.
pub(super) const DECLINING_BANK: &str = "FAIL";
/// The same, for wallets.
pub(super) const DECLINING_WALLET: &str = "fail";

const BANKS: &[(&str, &str)] = &[
    ("HDFC", "HDFC Bank"),
    ("ICIC", "ICICI Bank"),
    ("SBIN", "State Bank of India"),
    ("UTIB", "Axis Bank"),
    ("KKBK", "Kotak Mahindra Bank"),
    ("YESB", "Yes Bank"),
    ("IDFB", "IDFC First Bank"),
    ("INDB", "IndusInd Bank"),
    ("FDRL", "Federal Bank"),
    ("CNRB", "Canara Bank"),
    ("BARB_R", "Bank of Baroda - Retail Banking"),
    ("PUNB_R", "Punjab National Bank - Retail Banking"),
    ("UBIN", "Union Bank of India"),
    ("IOBA", "Indian Overseas Bank"),
    ("IDIB", "Indian Bank"),
    ("RATN", "RBL Bank"),
    ("AUBL", "AU Small Finance Bank"),
    ("CSBK", "CSB Bank"),
    (DECLINING_BANK, "Bank that declines (simulator)"),
];

const WALLETS: &[&str] = &[
    "airtelmoney",
    "amazonpay",
    "freecharge",
    "jiomoney",
    "mobikwik",
    "olamoney",
    "paytm",
    "payzapp",
    "phonepe",
    DECLINING_WALLET,
];

pub(super) fn is_bank(code: &str) -> bool {
    BANKS.iter().any(|(bank, _)| *bank == code)
}

pub(super) fn is_wallet(name: &str) -> bool {
    WALLETS.contains(&name)
}

/// What a customer can pay with.
pub(crate) async fn methods() -> Answer {
    let banks: Map<String, Value> = BANKS
        .iter()
        .map(|(code, name)| ((*code).to_owned(), json!(name)))
        .collect();
    let wallets: Map<String, Value> = WALLETS
        .iter()
        .map(|wallet| ((*wallet).to_owned(), json!(true)))
        .collect();
    Ok(Json(json!({
        "entity": "methods", "card": true, "debit_card": true, "credit_card": true, "prepaid_card": true,
        "card_networks": { "AMEX": 1, "DICL": 1, "MC": 1, "MAES": 1, "VISA": 1, "RUPAY": 1 },
        "amex": true, "netbanking": banks, "wallet": wallets, "upi": true, "upi_intent": true, "emi": false,
        "paylater": [], "cardless_emi": [],
    })))
}
