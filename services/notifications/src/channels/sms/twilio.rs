//! Twilio's Programmable Messaging (`POST /2010-04-01/Accounts/{sid}/Messages.json`). It knows no idempotency key, so before
//! a message is tried again it is looked up among those that Twilio has taken.

use std::time::Duration;

use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, TimeDelta};
use common::settings;
use ring::hmac;
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::{body, client, pace, refused, throttle::Throttle, unanswered};
use crate::channels::{Content, MailError, Mailer, Pace, Parcel};

/// The provider's name.
pub const NAME: &str = "twilio";
/// Where reports come, below the gateway's address.
pub const REPORTS: &str = "/api/notifications/webhooks/twilio";
/// How far Twilio's clock may be behind ours.
const SKEW: TimeDelta = TimeDelta::minutes(5);
/// Errors that are about the account rather than the message: <https://www.twilio.com/docs/api/errors>. Too many requests;
/// too many unsent ones in the queue; the account is suspended; the sender is not ours.
const OF_THE_ACCOUNT: [u32; 6] = [20_429, 21_611, 20_005, 21_606, 21_659, 21_660];

/// Sends through Twilio.
pub struct Twilio {
    http: reqwest::Client,
    account: settings::Twilio,
    /// The gateway's address, where reports are taken.
    public_url: String,
    throttle: Throttle,
    per_second: u32,
}

#[derive(Deserialize)]
struct Taken {
    sid: String,
}

#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    code: u32,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct Earlier {
    messages: Vec<EarlierMessage>,
}

#[derive(Deserialize)]
struct EarlierMessage {
    sid: String,
    #[serde(default)]
    body: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    date_created: Option<String>,
}

impl Twilio {
    /// For an account.
    ///
    /// # Errors
    /// When no HTTP client can be built.
    pub fn new(account: settings::Twilio, public_url: String, per_second: u32) -> Result<Self, String> {
        Ok(Self {
            http: client()?,
            account,
            public_url,
            throttle: Throttle::new(per_second),
            per_second,
        })
    }

    fn messages(&self) -> String {
        let (base, account) = (&self.account.base_url, &self.account.account);
        format!("{base}/2010-04-01/Accounts/{account}/Messages.json")
    }

    fn signed(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        request.basic_auth(&self.account.account, Some(self.account.token.expose_secret()))
    }

    async fn answer<T: serde::de::DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<T, MailError> {
        let response = request.send().await.map_err(|error| unanswered(&error))?;
        let status = response.status();
        let body = body(response).await?;
        if status.is_success() {
            return serde_json::from_slice(&body)
                .map_err(|error| MailError::Temporary(format!("an answer that is not understood: {error}")));
        }
        let Refusal { code, message } = serde_json::from_slice(&body).unwrap_or_default();
        let why = format!("{status}: {message} ({code})");
        Err(match refused(status, why) {
            MailError::Permanent(why) if OF_THE_ACCOUNT.contains(&code) => MailError::Unreachable(why),
            error => error,
        })
    }

    /// Twilio's name for the message, if it has taken it in a try whose answer was lost.
    async fn taken_before(&self, parcel: &Parcel, text: &str) -> Result<Option<String>, MailError> {
        let earliest = parcel.created_at - SKEW;
        // Not by the date of sending: what still waits there has none.
        let to = [("To", parcel.address.as_str()), ("PageSize", "100")];
        let request = self.http.get(self.messages()).query(&to);
        let earlier: Earlier = self.answer(self.signed(request)).await?;
        let is_it = |message: &EarlierMessage| {
            let at = message
                .date_created
                .as_deref()
                .and_then(|at| DateTime::parse_from_rfc2822(at).ok());
            message.body == text
                && at.is_none_or(|at| at >= earliest)
                && !matches!(message.status.as_str(), "failed" | "undelivered" | "canceled")
        };
        let found = earlier.messages.into_iter().find(is_it);
        Ok(found.map(|message| message.sid))
    }
}

#[async_trait]
impl Mailer for Twilio {
    fn name(&self) -> &'static str {
        NAME
    }

    fn pace(&self) -> Pace {
        pace(self.per_second)
    }

    async fn send(&self, parcel: Parcel, attempt: u32) -> Result<String, MailError> {
        let Content::Sms { text, .. } = &parcel.content else {
            return Err(MailError::Permanent(
                "Twilio carries text messages only".to_owned(),
            ));
        };
        self.throttle.turn().await;
        if attempt > 1
            && let Some(sid) = self.taken_before(&parcel, text).await?
        {
            return Ok(sid);
        }
        let sender = if self.account.from.starts_with("MG") {
            "MessagingServiceSid"
        } else {
            "From"
        };
        let reports = format!("{}{REPORTS}?message_id={}", self.public_url, parcel.id);
        let form = [
            ("To", parcel.address.as_str()),
            (sender, self.account.from.as_str()),
            ("Body", text.as_str()),
            ("StatusCallback", reports.as_str()),
        ];
        let request = self.signed(self.http.post(self.messages()).form(&form));
        let taken: Taken = self.answer(request).await?;
        Ok(taken.sid)
    }

    async fn tidy(&self, _: Duration) {}
}

/// Whether a report is signed by Twilio: with SHA-1 over the address it was sent to and the sorted fields of its form, as
/// <https://www.twilio.com/docs/usage/security#validating-requests> says.
pub fn is_signed(
    account: &settings::Twilio,
    address: &str,
    fields: &[(String, String)],
    signature: &str,
) -> bool {
    let Ok(signature) = BASE64_STANDARD.decode(signature) else {
        return false;
    };
    let mut sorted: Vec<_> = fields.iter().collect();
    sorted.sort();
    let mut signed = address.to_owned();
    for (name, value) in sorted {
        signed.push_str(name);
        signed.push_str(value);
    }
    let key = hmac::Key::new(
        hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        account.token.expose_secret().as_bytes(),
    );
    hmac::verify(&key, signed.as_bytes(), &signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Twilio's documentation.
    #[test]
    fn the_documented_signature_is_right() {
        let account = settings::Twilio {
            account: String::new(),
            token: "12345".to_owned().into(),
            from: String::new(),
            base_url: String::new(),
        };
        let fields = [
            ("CallSid", "CA1234567890ABCDE"),
            ("Caller", "+14158675309"),
            ("Digits", "1234"),
            ("From", "+14158675309"),
            ("To", "+18005551212"),
        ];
        let fields: Vec<_> = fields
            .iter()
            .rev()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let address = "https://mycompany.com/myapp.php?foo=1&bar=2";
        let signature = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
        assert!(is_signed(&account, address, &fields, signature));
        assert!(!is_signed(
            &account,
            "https://mycompany.com/myapp.php",
            &fields,
            signature
        ));
        assert!(!is_signed(&account, address, &fields[1..], signature));
        assert!(!is_signed(&account, address, &fields, "nonsense"));
    }
}
