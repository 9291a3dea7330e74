//! Who carries text messages.

use std::collections::BTreeMap;

use secrecy::SecretString;

use super::Reader;

/// The provider of text messages.
#[derive(Clone, Debug)]
pub enum SmsProvider {
    /// The mailbox of development; in production there is none.
    Mailbox,
    /// Twilio.
    Twilio(Twilio),
    /// MSG91.
    Msg91(Msg91),
}

/// An account at Twilio.
#[derive(Clone, Debug)]
pub struct Twilio {
    /// Its name, `AC` and 32 digits.
    pub account: String,
    /// Its token, which signs reports too.
    pub token: SecretString,
    /// Who sends: a number, an alphanumeric sender or, beginning with `MG`, a messaging service.
    pub from: String,
    /// The API's address.
    pub base_url: String,
}

/// An account at MSG91.
#[derive(Clone, Debug)]
pub struct Msg91 {
    /// Its key.
    pub key: SecretString,
    /// The sender's six letters, as registered (DLT header).
    pub sender: String,
    /// The template of each kind of message, as registered.
    pub templates: BTreeMap<String, String>,
    /// The API's address.
    pub base_url: String,
    /// What reports come with; `None`: none are taken.
    pub webhook_secret: Option<SecretString>,
}

impl Reader<'_> {
    pub(super) fn sms(&mut self) -> SmsProvider {
        let name = self.parse("SMS_PROVIDER", "mailbox, twilio or msg91", |text| {
            ["mailbox", "twilio", "msg91"]
                .into_iter()
                .find(|name| *name == text)
        });
        match name {
            Some("twilio") => self.twilio().map_or(SmsProvider::Mailbox, SmsProvider::Twilio),
            Some("msg91") => self.msg91().map_or(SmsProvider::Mailbox, SmsProvider::Msg91),
            _ => SmsProvider::Mailbox,
        }
    }

    fn twilio(&mut self) -> Option<Twilio> {
        let is_account = |text: &str| text.len() == 34 && text.starts_with("AC");
        let form = "an account of Twilio, AC and 32 digits, with SMS_PROVIDER=twilio";
        let account = self.needed("TWILIO_ACCOUNT_SID", form, is_account);
        let token = self.needed("TWILIO_AUTH_TOKEN", "set with SMS_PROVIDER=twilio", |_| true);
        let base_url = self.url("TWILIO_BASE_URL");
        let (from, service) = (
            self.text("TWILIO_FROM"),
            self.text("TWILIO_MESSAGING_SERVICE_SID"),
        );
        let from = match (from, service) {
            (Some(from), None) => Some(from),
            (None, Some(service)) if service.starts_with("MG") => Some(service),
            _ => {
                let why = "one of TWILIO_FROM and TWILIO_MESSAGING_SERVICE_SID (MG...) must be set with SMS_PROVIDER=twilio";
                self.errors.push(why.to_owned());
                None
            }
        };
        Some(Twilio {
            account: account?,
            token: SecretString::from(token?),
            from: from?,
            base_url: base_url?,
        })
    }

    fn msg91(&mut self) -> Option<Msg91> {
        let key = self.needed("MSG91_AUTH_KEY", "set with SMS_PROVIDER=msg91", |_| true);
        let is_sender = |text: &str| text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let form = "the six letters of the registered header, with SMS_PROVIDER=msg91";
        let sender = self.needed("MSG91_SENDER_ID", form, is_sender);
        let base_url = self.url("MSG91_BASE_URL");
        let templates = self.optional("MSG91_TEMPLATES", "kind:template_id, comma-separated", |text| {
            text.split(',').map(template).collect()
        });
        let webhook_secret = self.optional("MSG91_WEBHOOK_SECRET", "16 characters or more", |text| {
            (text.len() >= 16).then(|| SecretString::from(text))
        });
        if templates.is_none() && self.text("MSG91_TEMPLATES").is_none() {
            let why = "MSG91_TEMPLATES must be set with SMS_PROVIDER=msg91: in India only registered texts are carried";
            self.errors.push(why.to_owned());
        }
        Some(Msg91 {
            key: SecretString::from(key?),
            sender: sender?,
            templates: templates?,
            base_url: base_url?,
            webhook_secret,
        })
    }

    fn needed(&mut self, name: &'static str, form: &str, fits: impl Fn(&str) -> bool) -> Option<String> {
        let value = self.text(name).filter(|text| fits(text));
        if value.is_none() {
            self.errors.push(format!("{name} must be {form}"));
        }
        value
    }
}

fn template(item: &str) -> Option<(String, String)> {
    let (kind, id) = item.trim().split_once(':')?;
    let is_id = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_kind =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    (is_kind(kind) && is_id(id)).then(|| (kind.to_owned(), id.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::{Settings, SettingsError};
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<SmsProvider, SettingsError> {
        let given = |name: &str| pairs.iter().find(|(known, _)| *known == name);
        Settings::read(|name| given(name).map(|(_, value)| (*value).to_owned())).map(|settings| settings.sms)
    }

    #[test]
    fn half_a_provider_is_refused_with_all_that_is_missing() {
        assert!(matches!(read(&[]), Ok(SmsProvider::Mailbox)));
        let missing = |provider| read(&[("SMS_PROVIDER", provider)]).unwrap_err().to_string();
        for name in ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_FROM"] {
            assert!(missing("twilio").contains(name), "{name}");
        }
        for name in ["MSG91_AUTH_KEY", "MSG91_SENDER_ID", "MSG91_TEMPLATES"] {
            assert!(missing("msg91").contains(name), "{name}");
        }
        assert!(missing("pigeon").contains("SMS_PROVIDER"));
    }

    #[test]
    fn whole_ones_are_taken_and_keep_their_secrets() {
        let account = format!("AC{}", "0".repeat(32));
        let twilio = [
            ("SMS_PROVIDER", "twilio"),
            ("TWILIO_ACCOUNT_SID", account.as_str()),
            ("TWILIO_AUTH_TOKEN", "hunter2"),
            ("TWILIO_MESSAGING_SERVICE_SID", "MG1"),
        ];
        let Ok(SmsProvider::Twilio(found)) = read(&twilio) else {
            panic!("no Twilio");
        };
        assert_eq!(
            (found.from.as_str(), found.base_url.as_str()),
            ("MG1", "https://api.twilio.com")
        );
        assert!(!format!("{found:?}").contains("hunter2"));
        let msg91 = [
            ("SMS_PROVIDER", "msg91"),
            ("MSG91_AUTH_KEY", "hunter2"),
            ("MSG91_SENDER_ID", "ORGEVT"),
            ("MSG91_TEMPLATES", "ticket:65a1, reminder:65a2"),
        ];
        let Ok(SmsProvider::Msg91(found)) = read(&msg91) else {
            panic!("no MSG91");
        };
        assert_eq!(found.templates["reminder"], "65a2");
        assert!(!format!("{found:?}").contains("hunter2"));
        for wrong in ["ticket", "ticket:", "TICKET:1", "ticket:1;reminder:2"] {
            let wrong = [msg91[0], msg91[1], msg91[2], ("MSG91_TEMPLATES", wrong)];
            assert!(read(&wrong).is_err(), "{wrong:?}");
        }
    }
}
