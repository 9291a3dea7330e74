//! Orders: what a merchant wants to be paid, under which payments are tried until one is captured.

mod create;
mod read;
mod update;

pub(crate) use create::create;
pub(crate) use read::{fetch, list, payments};
pub(crate) use update::update;

use crate::{failure::Failure, http::Fields};

/// Refuses an amount that is below the least that can be paid in a currency, or has more decimals than it.
pub(crate) fn check_chargeable(amount: i64, currency: &str, field: &str) -> Result<(), Failure> {
    // One rupee or dollar is 100; other currencies are held to one of their smallest units.
    let least = if matches!(currency, "INR" | "USD" | "EUR" | "GBP") {
        100
    } else {
        1
    };
    if amount < least {
        return Err(Failure::refused("Order amount less than minimum amount allowed")
            .because("business", "order_creation", "amount_less_than_minimum_amount")
            .at(field));
    }
    if matches!(currency, "KWD" | "BHD" | "OMR") && amount % 10 != 0 {
        return Err(Failure::invalid(
            field,
            format!("The {field} in {currency} must end in 0."),
        ));
    }
    Ok(())
}

/// The currency of a request, which must be there.
fn required_currency(fields: &Fields) -> Result<String, Failure> {
    fields
        .currency("currency")?
        .ok_or_else(|| Failure::missing("currency"))
}
