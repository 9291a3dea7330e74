//! Reading the card of a payment request. The number and the CVV are looked at and forgotten.

use serde_json::Value;

use crate::{clock::year_and_month, failure::Failure, http::Fields, ids, records::Card};

/// Test cards that are declined, and why.
const DECLINED: &[(&str, &str)] = &[
    ("4100280000090000", "payment_timed_out"),
    ("4100280000080001", "insufficient_fund"),
    ("4100280000070002", "payment_cancelled"),
    ("4100280000060003", "card_declined"),
    ("4100280000030006", "card_disabled_for_online_payments"),
    ("4100280000010008", "card_number_invalid"),
    ("4100280000020007", "gateway_technical_error"),
    ("4100280000000009", "authentication_failed"),
];

/// Test cards from abroad.
const INTERNATIONAL: &[&str] = &["5555555555554444", "4012888888881881"];

/// Reads `card` of a payment request, and why it will be declined.
pub(super) fn parse(fields: &Fields, now: i64) -> Result<(Card, Option<&'static str>), Failure> {
    let card = fields.object("card").ok_or_else(|| Failure::missing("card"))?;
    let number: String = card
        .scalar("number")
        .ok_or_else(|| Failure::missing("number"))?
        .chars()
        .filter(|c| !matches!(c, ' ' | '-'))
        .collect();
    if !is_card_number(&number) {
        return Err(Failure::invalid(
            "number",
            "You have entered an incorrect card number. Try again.",
        ));
    }
    check_expiry(&card, now)?;
    let cvv = card.scalar("cvv").ok_or_else(|| Failure::missing("cvv"))?;
    // A CVV that starts with zeros loses them when it is sent as a number.
    let is_number = card.get("cvv").is_some_and(Value::is_number);
    if cvv.len() > 4 || (cvv.len() < 3 && !is_number) || !cvv.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Failure::invalid("cvv", "The cvv must be 3 or 4 digits."));
    }
    let will_decline = DECLINED
        .iter()
        .find(|(declined, _)| *declined == number)
        .map(|(_, reason)| *reason);
    let card = Card {
        id: ids::new("card"),
        name: card.text("name", 255)?.unwrap_or_default(),
        last4: number[number.len() - 4..].to_owned(),
        iin: number[..6].to_owned(),
        network: network(&number).to_owned(),
        international: INTERNATIONAL.contains(&number.as_str()),
    };
    Ok((card, will_decline))
}

fn check_expiry(card: &Fields, now: i64) -> Result<(), Failure> {
    let part = |name: &str| {
        let text = card.scalar(name).ok_or_else(|| Failure::missing(name))?;
        let wrong = || Failure::invalid(name, format!("The {name} is invalid."));
        text.parse::<i32>().map_err(|_| wrong())
    };
    let month = part("expiry_month")?;
    if !(1..=12).contains(&month) {
        return Err(Failure::invalid(
            "expiry_month",
            "The expiry_month must be between 1 and 12.",
        ));
    }
    let year = match part("expiry_year")? {
        short @ 0..=99 => 2000 + short,
        year => year,
    };
    let (this_year, this_month) = year_and_month(now);
    if (year, month) < (this_year, this_month.cast_signed()) {
        return Err(Failure::invalid(
            "expiry_year",
            "Your card has expired. Try another card.",
        ));
    }
    Ok(())
}

/// 12 to 19 digits, the last of which is right by Luhn's formula.
fn is_card_number(number: &str) -> bool {
    if !(12..=19).contains(&number.len()) || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let sum: u32 = number
        .bytes()
        .rev()
        .map(|byte| u32::from(byte - b'0'))
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit * 2) {
            (0, _) => digit,
            (_, twice @ 10..) => twice - 9,
            (_, twice) => twice,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// The network, by the first digits.
fn network(number: &str) -> &'static str {
    let first = |digits: usize| number[..digits].parse::<u32>().unwrap_or(0);
    match (first(2), first(3), first(4)) {
        (34 | 37, ..) => "American Express",
        (36 | 38, ..) | (_, 300..=305, _) => "Diners Club",
        (51..=55, ..) | (_, _, 2221..=2720) => "MasterCard",
        (60 | 65 | 81 | 82, ..) | (_, 508 | 353 | 356, _) => "RuPay",
        (50 | 56..=59 | 61..=69, ..) => "Maestro",
        (40..=49, ..) => "Visa",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_test_cards_are_of_their_networks() {
        for (number, expected) in [
            ("4100280000001007", "Visa"),
            ("5500670000001002", "MasterCard"),
            ("6527658900001005", "RuPay"),
            ("36082800091007", "Diners Club"),
            ("340256000401007", "American Express"),
            ("4386289407660153", "Visa"),
            ("5267318187975449", "MasterCard"),
        ] {
            assert!(is_card_number(number), "{number}");
            assert_eq!(network(number), expected, "{number}");
        }
        assert!(DECLINED.iter().all(|(number, _)| is_card_number(number)));
        assert!(!is_card_number("4100280000001008"), "a wrong check digit");
        assert!(!is_card_number("41002800000x1007"));
    }
}
