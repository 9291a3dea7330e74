//! Reading what a customer pays with from a request, and whether the bank will decline it.

use super::{card, methods};
use crate::{
    failure::Failure,
    http::Fields,
    records::{Flow, Instrument},
};

/// An instrument and why it will be declined; `None`: it will not.
pub(super) type Chosen = (Instrument, Option<&'static str>);

/// Reads the instrument of a payment request. `now` (unix seconds) decides whether a card has expired.
pub(super) fn parse(fields: &Fields, method: &str, amount: i64, now: i64) -> Result<Chosen, Failure> {
    match method {
        "upi" => upi(fields, amount),
        "card" => {
            let (card, will_decline) = card::parse(fields, now)?;
            Ok((Instrument::Card(card), will_decline))
        }
        "netbanking" => {
            let bank = fields.required_text("bank", 16)?;
            if !methods::is_bank(&bank) {
                return Err(Failure::invalid("bank", "The selected bank is invalid."));
            }
            let will_decline = (bank == methods::DECLINING_BANK).then_some("payment_failed");
            Ok((Instrument::Netbanking { bank }, will_decline))
        }
        "wallet" => {
            let wallet = fields.required_text("wallet", 32)?;
            if !methods::is_wallet(&wallet) {
                return Err(Failure::invalid("wallet", "The selected wallet is invalid."));
            }
            let will_decline = (wallet == methods::DECLINING_WALLET).then_some("payment_failed");
            Ok((Instrument::Wallet { wallet }, will_decline))
        }
        _ => Err(Failure::invalid("method", "The selected method is invalid.")),
    }
}

fn upi(fields: &Fields, amount: i64) -> Result<Chosen, Failure> {
    let inner = fields.object("upi");
    // Older requests have the VPA at the top.
    let vpa = match inner
        .as_ref()
        .map(|upi| upi.text("vpa", 255))
        .transpose()?
        .flatten()
    {
        Some(vpa) => Some(vpa),
        None => fields.text("vpa", 255)?,
    };
    let flow = match inner
        .as_ref()
        .map(|upi| upi.text("flow", 16))
        .transpose()?
        .flatten()
        .as_deref()
    {
        Some("intent") => Flow::Intent,
        Some("collect") | None => Flow::Collect,
        Some(_) => return Err(Failure::invalid("flow", "The flow must be collect or intent.")),
    };
    if flow == Flow::Intent {
        // The amounts that stand for a failure in Razorpay's test mode.
        let will_decline = match amount {
            201 => Some("insufficient_funds"),
            402 => Some("payment_declined"),
            204 => Some("incorrect_pin"),
            302 => Some("payment_cancelled"),
            _ => None,
        };
        return Ok((Instrument::Upi { flow, vpa: None }, will_decline));
    }
    let vpa = vpa.ok_or_else(|| Failure::missing("vpa"))?;
    if !is_vpa(&vpa) {
        return Err(Failure::invalid(
            "vpa",
            "Invalid VPA. Please enter a valid Virtual Payment Address",
        ));
    }
    let will_decline = (vpa == "failure@razorpay").then_some("payment_failed");
    Ok((Instrument::Upi { flow, vpa: Some(vpa) }, will_decline))
}

/// `name@handle`, as the payments corporation writes it.
pub(super) fn is_vpa(text: &str) -> bool {
    let plain = |part: &str, more: &[u8]| {
        part.len() >= 2
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    text.split_once('@')
        .is_some_and(|(name, handle)| plain(name, b".-_") && plain(handle, b""))
}
