//! Just enough HTML.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

/// Text that is safe in content and in quoted attributes.
pub(super) fn escape(text: &str) -> String {
    text.chars()
        .fold(String::with_capacity(text.len()), |mut safe, c| {
            match c {
                '&' => safe.push_str("&amp;"),
                '<' => safe.push_str("&lt;"),
                '>' => safe.push_str("&gt;"),
                '"' => safe.push_str("&quot;"),
                '\'' => safe.push_str("&#39;"),
                c => safe.push(c),
            }
            safe
        })
}

/// An amount as people read it: `₹1,00,000`, `₹499.50`, and `USD 5.00` of a foreign currency.
pub(super) fn amount(amount: i64, currency: &str) -> String {
    let (units, cents) = (amount / 100, amount % 100);
    if currency != "INR" {
        return format!("{} {units}.{cents:02}", escape(currency));
    }
    let units = grouped(&units.to_string());
    if cents == 0 {
        format!("₹{units}")
    } else {
        format!("₹{units}.{cents:02}")
    }
}

/// India's groups of digits: the last three, and those before them in twos.
fn grouped(digits: &str) -> String {
    let mut grouped = String::new();
    for (at, digit) in digits.char_indices() {
        let left = digits.len() - at;
        if at > 0 && left >= 3 && left % 2 == 1 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A page. `content` is HTML.
pub(super) fn page(status: StatusCode, title: &str, content: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>body{{font:16px system-ui;max-width:30em;\
         margin:4em auto;padding:0 1em}}button,input,select{{font:inherit;padding:.5em 1em;margin:.3em .3em .3em 0}}\
         </style></head><body><h1>{title}</h1>{content}<p><small>Razorpay simulator: no money moves here.</small></p>\
         </body></html>",
        title = escape(title),
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, html).into_response()
}

/// Hidden fields of a form.
pub(super) fn hidden(fields: &[(&str, String)]) -> String {
    fields
        .iter()
        .map(|(name, value)| {
            format!(
                "<input type=\"hidden\" name=\"{}\" value=\"{}\">",
                escape(name),
                escape(value)
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::amount;

    #[test]
    fn amounts_are_as_india_writes_them() {
        for (paise, text) in [
            (100, "₹1"),
            (49_950, "₹499.50"),
            (99_905, "₹999.05"),
            (120_000, "₹1,200"),
            (1_200_000, "₹12,000"),
            (10_000_000, "₹1,00,000"),
            (1_234_567_890, "₹1,23,45,678.90"),
        ] {
            assert_eq!(amount(paise, "INR"), text);
        }
        assert_eq!(amount(500, "U<D"), "U&lt;D 5.00");
    }
}
