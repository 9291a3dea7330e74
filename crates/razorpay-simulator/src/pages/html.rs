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

/// An amount as people read it: `INR 499.00`.
pub(super) fn amount(amount: i64, currency: &str) -> String {
    format!("{} {}.{:02}", escape(currency), amount / 100, amount % 100)
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
