//! `GET /dev/mailbox/{message_id}`: one message; with `?text=1` its plain text, with `?raw=1` its file, with `?part=` one of the
//! parts of a mail, counted from 1.

use axum::{
    extract::{Path, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use common::{extract::Params, ids::MessageId, problem::ApiError};
use minijinja::{Value, context};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{
    list::shown,
    mime::{Mail, Part},
};
use crate::{
    app::App,
    channels::{
        Content,
        mailbox::{self, NAME},
    },
    domain::{
        message::{Channel, Message},
        sms::Length,
    },
};

fn missing() -> ApiError {
    ApiError::not_found("message_not_found", "There is no such message in the mailbox.")
}

pub async fn message(
    State(app): State<App>,
    Path(id): Path<String>,
    mut params: Params,
) -> Result<Response, ApiError> {
    let mut wanted = |name| params.get(name, |text| Ok(!matches!(text, "0" | "false")));
    let (raw, plain) = (wanted("raw"), wanted("text"));
    let part = params.get("part", |text| {
        text.parse().map_err(|_| "must be a number".to_owned())
    });
    params.finish()?;
    let message = app
        .parts
        .store
        .find(NAME, MessageId::lenient(&id))
        .await?
        .ok_or_else(missing)?;
    // The path is made of the id as we write it, never of what was sent to us.
    let path = mailbox::file(&app.mailbox, message.id, message.channel);
    let file = tokio::fs::read(&path).await;
    if raw.unwrap_or(false) {
        return Ok(as_text(file.map_err(|error| missing().because(error))?));
    }
    let mail = match (message.channel, &file) {
        (Channel::Email, Ok(file)) => Some(Mail::read(file)),
        _ => None,
    };
    if let Some(number) = part {
        let part = mail.as_ref().and_then(|mail| nth(mail, number));
        return Ok(download(part.ok_or_else(missing)?));
    }
    show(&app, &message, mail, plain.unwrap_or(false))
}

/// The page, or its plain text alone. A mail is shown as it lies in the folder; where somebody has emptied that, as it is written
/// now.
fn show(app: &App, message: &Message, mail: Option<Mail>, plain: bool) -> Result<Response, ApiError> {
    let parcel = app.parts.writer.write(message).map_err(ApiError::internal)?;
    let name = parcel.name;
    let (subject, text, html) = match parcel.content {
        Content::Email {
            subject, text, html, ..
        } => {
            let plain = mail.as_ref().and_then(|mail| mail.text("text/plain"));
            let shown = mail.as_ref().and_then(Mail::html);
            (subject, plain.unwrap_or(text), Some(shown.unwrap_or(html)))
        }
        Content::Sms { text, .. } => ("Text message".to_owned(), text, None),
    };
    if plain {
        return Ok(as_text(text));
    }
    let header = |name| mail.as_ref().and_then(|mail| mail.header(name)).map(in_words);
    let parts = mail.iter().flat_map(|mail| &mail.parts).enumerate();
    let values = context! {
        wide => true,
        id => message.id.to_string(),
        channel => message.channel.name(),
        kind => message.kind.name(),
        from => header("From"),
        reply_to => header("Reply-To"),
        to => message.address.clone(),
        name,
        time => shown(message.created_at),
        subject,
        length => html.is_none().then(|| length(&text)),
        text,
        html,
        parts => parts.map(|(at, part)| listed(at + 1, part)).collect::<Vec<_>>(),
    };
    app.pages.show("message.html", values)
}

/// A header line for people: the words of RFC 2047 in it decoded.
fn in_words(line: &str) -> String {
    let mut words = String::new();
    let mut rest = line;
    while let Some((before, encoded)) = rest.split_once("=?") {
        // Blanks between two such words are none.
        if !before.trim().is_empty() || words.is_empty() {
            words.push_str(before);
        }
        let mut pieces = encoded.splitn(3, '?');
        let (_, how, what) = (pieces.next(), pieces.next(), pieces.next());
        let decoded = what
            .and_then(|what| what.split_once("?="))
            .and_then(|(text, after)| Some((super::mime::word(how?, text)?, after)));
        match decoded {
            Some((word, after)) => {
                words.push_str(&word);
                rest = after;
            }
            None => {
                words.push_str("=?");
                rest = encoded;
            }
        }
    }
    words.push_str(rest);
    words
}

/// What carriers make of a text message: `170 of 306 in 2 parts, GSM-7`.
fn length(text: &str) -> String {
    let length = Length::of(text);
    let parts = length.parts();
    let parts = if parts == 1 {
        "one part".to_owned()
    } else {
        format!("{parts} parts")
    };
    let alphabet = if length.gsm { "GSM-7" } else { "UCS-2" };
    format!("{} characters in {parts}, {alphabet}", length.units)
}

fn nth(mail: &Mail, number: usize) -> Option<&Part> {
    mail.parts.get(number.checked_sub(1)?)
}

fn listed(number: usize, part: &Part) -> Value {
    let bytes = part.body.len();
    let size = if bytes < 10_000 {
        format!("{bytes} bytes")
    } else {
        format!("{} kB", bytes.div_ceil(1000))
    };
    context! {
        number,
        kind => part.kind.clone(),
        name => part.name.clone(),
        inline => part.inline,
        picture => part.is_picture(),
        size,
    }
}

/// A part to be stored: nothing in it runs in the name of this page.
fn download(part: &Part) -> Response {
    let name = part.name.as_deref().unwrap_or("part");
    let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
    let disposition = HeaderValue::try_from(format!("attachment; filename*=UTF-8''{name}"));
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        ),
        (
            header::CONTENT_DISPOSITION,
            disposition.unwrap_or(HeaderValue::from_static("attachment")),
        ),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, part.body.clone()).into_response()
}

fn as_text(body: impl IntoResponse) -> Response {
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        ),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_words_are_read() {
        for (line, words) in [
            ("Meera <m@example.org>", "Meera <m@example.org>"),
            (
                "=?utf-8?b?4KSu4KWA4KSw4KS+?= =?utf-8?b?IHZpYQ==?= <m@example.org>",
                "मीरा via <m@example.org>",
            ),
            ("=?utf-8?q?J=C3=BCrgen_B?= x", "Jürgen B x"),
            ("a =?b", "a =?b"),
            ("=?x?y?z?=", "=?x?y?z?="),
        ] {
            assert_eq!(in_words(line), words, "{line}");
        }
    }

    #[test]
    fn parts_of_text_messages_are_counted() {
        assert_eq!(length("Hello"), "5 characters in one part, GSM-7");
        assert_eq!(length(&"न".repeat(71)), "71 characters in 2 parts, UCS-2");
    }
}
