//! MSG91's flows (`POST /api/v5/flow`). In India carriers deliver registered texts only (TRAI's DLT rules): what is sent are
//! the id of such a text and the values of its variables, `VAR1` to `VARn`.

use std::time::Duration;

use async_trait::async_trait;
use common::settings;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{body, client, pace, refused, throttle::Throttle, unanswered};
use crate::channels::{Content, MailError, Mailer, Pace, Parcel};

/// The provider's name.
pub const NAME: &str = "msg91";
/// The most characters of a variable that DLT lets through.
const VARIABLE: usize = 40;

/// Sends through MSG91.
pub struct Msg91 {
    http: reqwest::Client,
    account: settings::Msg91,
    throttle: Throttle,
    per_second: u32,
}

/// `{"type": "success", "message": "<request id>"}`, or `error` and why; with status 200 in either case.
#[derive(Default, Deserialize)]
struct Answer {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    message: String,
}

impl Msg91 {
    /// For an account.
    ///
    /// # Errors
    /// When no HTTP client can be built.
    pub fn new(account: settings::Msg91, per_second: u32) -> Result<Self, String> {
        Ok(Self {
            http: client()?,
            account,
            throttle: Throttle::new(per_second),
            per_second,
        })
    }
}

/// A value as DLT takes it: one line of at most 40 characters.
fn variable(value: &str) -> String {
    if value.chars().count() <= VARIABLE {
        return value.to_owned();
    }
    let kept: String = value.chars().take(VARIABLE - 3).collect();
    format!("{}...", kept.trim_end())
}

#[async_trait]
impl Mailer for Msg91 {
    fn name(&self) -> &'static str {
        NAME
    }

    fn pace(&self) -> Pace {
        pace(self.per_second)
    }

    async fn send(&self, parcel: Parcel, _: u32) -> Result<String, MailError> {
        let Content::Sms {
            variables, template, ..
        } = &parcel.content
        else {
            return Err(MailError::Permanent(
                "MSG91 carries text messages only".to_owned(),
            ));
        };
        let Some(id) = self.account.templates.get(*template) else {
            let why = format!("MSG91_TEMPLATES names no text for {template}");
            return Err(MailError::Permanent(why));
        };
        let mut recipient = Map::new();
        let number = parcel.address.trim_start_matches('+');
        recipient.insert("mobiles".to_owned(), Value::from(number));
        for (place, value) in variables.iter().enumerate() {
            recipient.insert(format!("VAR{}", place + 1), Value::from(variable(value)));
        }
        let message = json!({
            "template_id": id,
            "sender": self.account.sender,
            "short_url": "0",
            "recipients": [recipient],
        });
        self.throttle.turn().await;
        let request = self
            .http
            .post(format!("{}/api/v5/flow", self.account.base_url))
            .header("authkey", self.account.key.expose_secret())
            .json(&message);
        let response = request.send().await.map_err(|error| unanswered(&error))?;
        let status = response.status();
        let body = body(response).await?;
        let answer: Option<Answer> = serde_json::from_slice(&body).ok();
        match answer {
            Some(answer) if status.is_success() && answer.kind == "success" => Ok(answer.message),
            Some(answer) if status.is_success() && answer.kind == "error" => Err(said(answer.message)),
            _ if status.is_success() => Err(MailError::Temporary(
                "an answer that is not understood".to_owned(),
            )),
            answer => {
                let why = answer.unwrap_or_default().message;
                Err(refused(status, format!("{status}: {why}")))
            }
        }
    }

    async fn tidy(&self, _: Duration) {}
}

/// An error that came with status 200. Those about the key, the balance or the machine's address are an operator's matter.
fn said(why: String) -> MailError {
    let lower = why.to_lowercase();
    let of_the_account = ["auth", "balance", "credit", "whitelist", "limit", "ip "];
    if of_the_account.iter().any(|word| lower.contains(word)) {
        MailError::Unreachable(format!("our account is refused: {why}"))
    } else {
        MailError::Permanent(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_cut_by_characters() {
        assert_eq!(variable(&"न".repeat(40)), "न".repeat(40));
        assert_eq!(variable(&"न".repeat(41)), format!("{}...", "न".repeat(37)));
    }

    #[test]
    fn what_is_ours_to_mend_is_no_fault_of_the_message() {
        for why in [
            "Authentication failure",
            "Insufficient balance",
            "IP not whitelisted",
        ] {
            assert!(matches!(said(why.to_owned()), MailError::Unreachable(_)), "{why}");
        }
        let other = said("Invalid template".to_owned());
        assert!(matches!(other, MailError::Permanent(_)));
    }
}
