//! Messages in the form of RFC 5322.

use std::time::SystemTime;

use common::{
    address::domain_in_ascii,
    clock::Timestamp,
    ids::MessageId,
    text::{breaks_a_line, turns_the_direction},
};
use lettre::{
    Address, Message,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{self, ContentType},
    },
};

use super::{Attachment, MailError};
use crate::domain::host::Host;

/// The domain of our message ids. It need not exist; it must not change, or repeats are not recognised.
const ID_DOMAIN: &str = "organise-event";

/// Who sends, where `MAIL_FROM` is an address alone.
const PRODUCT: &str = "Organise Event";

/// The sender of e-mail. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FromAddress(Mailbox);

/// The text of an e-mail and where it goes.
pub struct Mail<'a> {
    /// The message's id.
    pub id: MessageId,
    /// When it was stored.
    pub created_at: Timestamp,
    /// E-mail address.
    pub address: &'a str,
    /// What to call the reader.
    pub name: Option<&'a str>,
    /// One line.
    pub subject: &'a str,
    /// For all readers.
    pub text: String,
    /// The same, set nicely.
    pub html: String,
    /// Where its reader ends this kind of e-mail.
    pub unsubscribe: Option<&'a str>,
    /// In whose name it comes, where not in the product's.
    pub host: Option<&'a Host>,
    /// What comes with it.
    pub attachments: &'a [Attachment],
}

impl FromAddress {
    /// Reads `MAIL_FROM`: `Name <address>` or an address.
    ///
    /// # Errors
    /// One sentence for the person who started the program.
    pub fn new(mail_from: &str) -> Result<Self, String> {
        let wrong =
            || "MAIL_FROM must be an address such as Organise Event <no-reply@example.org>.".to_owned();
        let mailbox: Mailbox = mail_from.parse().map_err(|_| wrong())?;
        let email = in_ascii(mailbox.email).map_err(|_| wrong())?;
        Ok(Self(Mailbox::new(mailbox.name, email)))
    }

    /// Our own address.
    pub fn address(&self) -> String {
        self.0.email.to_string()
    }

    /// What the sender of a letter in somebody's name is called.
    pub fn name_of(&self, host: Option<&Host>) -> Option<String> {
        self.on_behalf_of(host).name
    }

    /// `Meera Iyer via Organise Event`, from our own address: others may not send mail from theirs (DMARC).
    fn on_behalf_of(&self, host: Option<&Host>) -> Mailbox {
        let product = self.0.name.as_deref().unwrap_or(PRODUCT);
        let name = host.and_then(|host| host.name.as_deref()).map(one_line);
        match name.filter(|name| !name.is_empty()) {
            Some(name) => Mailbox::new(Some(format!("{name} via {product}")), self.0.email.clone()),
            None => self.0.clone(),
        }
    }

    /// Puts a letter into form. The same letter takes the same form every time, byte for byte.
    ///
    /// # Errors
    /// When the address is none.
    pub fn message(&self, letter: Mail<'_>) -> Result<Message, MailError> {
        let refuse = |error: &dyn std::fmt::Display| MailError::Permanent(error.to_string());
        let address: Address = letter.address.parse().map_err(|error| refuse(&error))?;
        let address = in_ascii(address)?;
        let name = letter.name.map(one_line).filter(|name| !name.is_empty());
        // It cannot be guessed before the message is written, so no text can hold it.
        let boundary = format!("organise-event-{}", letter.id.0.simple());
        let mut builder = Message::builder()
            .from(self.on_behalf_of(letter.host))
            .to(Mailbox::new(name, address))
            .subject(subject(letter.subject))
            .date(SystemTime::from(letter.created_at))
            .message_id(Some(format!("<{}@{ID_DOMAIN}>", letter.id)))
            // RFC 3834: automatic replies are not to answer this.
            .raw_header(raw("Auto-Submitted", "auto-generated"));
        if let Some(answers) = letter.host.and_then(reply_to) {
            builder = builder.reply_to(answers);
        }
        if let Some(link) = letter.unsubscribe {
            // RFC 8058: mail programs end it by one POST, without opening the page.
            builder = builder
                .raw_header(raw("List-Unsubscribe", &format!("<{link}>")))
                .raw_header(raw("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"));
        }
        let text = MultiPart::alternative()
            .boundary(boundary.clone())
            .singlepart(SinglePart::plain(letter.text))
            .singlepart(SinglePart::html(letter.html));
        let whole = with_attachments(text, letter.attachments, &boundary).map_err(|error| refuse(&error))?;
        builder.multipart(whole).map_err(|error| refuse(&error))
    }
}

/// The text with its pictures (RFC 2387), and with files beside it (RFC 2046, section 5.1.3).
fn with_attachments(
    text: MultiPart,
    attachments: &[Attachment],
    boundary: &str,
) -> Result<MultiPart, header::ContentTypeErr> {
    let part = |one: &Attachment| {
        let kind = ContentType::parse(one.kind)?;
        let form = match one.inline {
            true => lettre::message::Attachment::new_inline(one.name.clone()),
            false => lettre::message::Attachment::new(one.name.clone()),
        };
        Ok::<_, header::ContentTypeErr>(form.body(one.bytes.to_vec(), kind))
    };
    let (pictures, files): (Vec<_>, Vec<_>) = attachments.iter().partition(|one| one.inline);
    let mut whole = text;
    for (parts, kind) in [(pictures, MultiPart::related()), (files, MultiPart::mixed())] {
        if parts.is_empty() {
            continue;
        }
        // None begins as another one does: some readers look at the beginning only.
        let of = if parts.iter().any(|one| one.inline) {
            "pictures"
        } else {
            "files"
        };
        whole = kind.boundary(format!("{of}-of-{boundary}")).multipart(whole);
        for one in parts {
            whole = whole.singlepart(part(one)?);
        }
    }
    Ok(whole)
}

/// Where answers go. Left out is what would make the letter one that needs SMTPUTF8, or is no address: a letter without answers is
/// better than none.
fn reply_to(host: &Host) -> Option<Mailbox> {
    let address: Address = host.reply_to.as_deref()?.parse().ok()?;
    let address = in_ascii(address)
        .ok()
        .filter(|address| address.user().is_ascii())?;
    let name = host.name.as_deref().map(one_line).filter(|name| !name.is_empty());
    Some(Mailbox::new(name, address))
}

fn raw(name: &'static str, value: &str) -> header::HeaderValue {
    header::HeaderValue::new(header::HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// The address with its domain as DNS knows it, in A-labels: so it goes through servers without SMTPUTF8 too.
fn in_ascii(address: Address) -> Result<Address, MailError> {
    let domain = domain_in_ascii(address.domain()).ok_or_else(|| {
        MailError::Permanent("the domain of the address is none that DNS can know".to_owned())
    })?;
    Address::new(address.user(), domain).map_err(|error| MailError::Permanent(error.to_string()))
}

/// A subject. What people have written such that it looks encoded (RFC 2047) is not to be decoded by who reads it: in it could hide
/// what they may not write. Of names it is encoded once more by lettre.
fn subject(text: &str) -> String {
    one_line(text).replace("=?", "= ?")
}

/// Text for a header or a line of its own: whatever could end the line becomes a space, and what turns the reading
/// direction of the rest of it goes. Today's releases take neither, but earlier ones did.
pub fn one_line(text: &str) -> String {
    let text = text.replace(turns_the_direction, "");
    text.split(|c: char| breaks_a_line(c) || c.is_whitespace())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use common::clock::from_millis;

    use super::*;

    fn formed(name: &str, subject: &str, address: &str) -> Result<String, MailError> {
        let letter = Mail {
            id: MessageId::lenient("019309a2-0000-7000-8000-000000000001"),
            created_at: from_millis(1_732_281_246_000),
            address,
            name: Some(name),
            subject,
            text: "Grüße,\nund mehr.\n".into(),
            html: "<p>Grüße</p>".into(),
            unsubscribe: Some("https://events.example.org/api/notifications/unsubscribe?t=AZMJ"),
            host: None,
            attachments: &[],
        };
        let sender = FromAddress::new("Organise Event <no-reply@localhost>").unwrap();
        sender
            .message(letter)
            .map(|message| String::from_utf8(message.formatted()).unwrap())
    }

    #[test]
    fn takes_the_same_form_every_time() {
        let form = formed("Asha", "You're in", "asha@example.com").unwrap();
        assert_eq!(form, formed("Asha", "You're in", "asha@example.com").unwrap());
        for line in [
            "From: \"Organise Event\" <no-reply@localhost>\r\n",
            "To: Asha <asha@example.com>\r\n",
            "Subject: You're in\r\n",
            "Message-ID: <019309a2-0000-7000-8000-000000000001@organise-event>\r\n",
            "Date: Fri, 22 Nov 2024 13:14:06 +0000\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "List-Unsubscribe: <https://events.example.org/api/notifications/unsubscribe?t=AZMJ>\r\n",
            "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
            "Content-Type: text/plain; charset=utf-8\r\n",
            "Content-Type: text/html; charset=utf-8\r\n",
        ] {
            assert!(form.contains(line), "{line} is missing:\n{form}");
        }
        assert!(form.is_ascii());
        assert_eq!(form.matches('\n').count(), form.matches("\r\n").count());
    }

    #[test]
    fn a_domain_goes_out_in_ascii() {
        for address in [
            "asha@münchen.de",
            "asha@mu\u{308}nchen.de",
            "asha@xn--mnchen-3ya.de",
            "asha@क्षेत्र.भारत",
        ] {
            let letter = Mail {
                id: MessageId::lenient("019309a2-0000-7000-8000-000000000001"),
                created_at: from_millis(1_732_281_246_000),
                address,
                name: Some("Jürgen"),
                subject: "x",
                text: "x\n".into(),
                html: "x".into(),
                unsubscribe: None,
                host: None,
                attachments: &[],
            };
            let message = FromAddress::new("Büro <buero@exämple.org>")
                .unwrap()
                .message(letter)
                .unwrap();
            let (from, to) = (message.envelope().from().unwrap(), &message.envelope().to()[0]);
            assert_eq!(from.to_string(), "buero@xn--exmple-cua.org");
            assert!(to.to_string().is_ascii() && to.domain().contains("xn--"), "{to}");
            assert!(message.formatted().is_ascii());
        }
    }

    #[test]
    fn a_line_reads_as_it_is_written() {
        for (text, line) in [
            ("a\u{202e}b\u{2028}c", "ab c"),
            ("\u{2066}Asha\u{2069}\r\nRao", "Asha Rao"),
            ("می\u{200c}خواهم 👩\u{200d}💻", "می\u{200c}خواهم 👩\u{200d}💻"),
        ] {
            assert_eq!(one_line(text), line, "{text:?}");
        }
    }

    #[test]
    fn no_name_or_subject_adds_a_header() {
        for evil in [
            "x\r\nBcc: victim@example.com",
            "x\nBcc: v@example.com\n\nbody",
            "x\u{2028}Bcc: y",
            "\0\r\n\r\n",
        ] {
            let form = formed(evil, evil, "asha@example.com").unwrap();
            let head = form.split("\r\n\r\n").next().unwrap();
            assert!(
                !head
                    .lines()
                    .any(|line| line.to_ascii_lowercase().starts_with("bcc")),
                "{head}"
            );
            assert_eq!(
                head.lines().filter(|line| !line.starts_with(' ')).count(),
                10,
                "{head}"
            );
        }
    }

    #[test]
    fn nothing_that_people_write_is_decoded() {
        let form = formed(
            "=?utf-8?b?d3d3LmV2aWwuZXhhbXBsZQ==?=",
            "=?utf-8?q?Free?= entry",
            "asha@example.com",
        )
        .unwrap();
        let head = form.split("\r\n\r\n").next().unwrap();
        assert!(head.contains("Subject: = ?utf-8?q?Free?= entry\r\n"), "{head}");
        assert!(!head.contains("d3d3LmV2aWwuZXhhbXBsZQ"), "{head}");
    }

    #[test]
    fn no_address_adds_a_recipient() {
        for evil in [
            "asha@example.com\r\nRCPT TO:<v@example.com>",
            "a@b.c, d@e.f",
            "asha@example.com>",
            "",
            "@",
        ] {
            assert!(
                matches!(formed("x", "y", evil), Err(MailError::Permanent(_))),
                "{evil}"
            );
        }
    }

    #[test]
    fn a_letter_comes_in_the_name_of_the_event_s_organizer() {
        let formed = |from: &str, name: Option<&str>, reply_to: Option<&str>| {
            let host = Host {
                name: name.map(str::to_owned),
                reply_to: reply_to.map(str::to_owned),
            };
            let letter = Mail {
                id: MessageId::lenient("019309a2-0000-7000-8000-000000000001"),
                created_at: from_millis(1_732_281_246_000),
                address: "asha@example.com",
                name: None,
                subject: "x",
                text: "x\n".into(),
                html: "x".into(),
                unsubscribe: None,
                host: Some(&host),
                attachments: &[],
            };
            let message = FromAddress::new(from).unwrap().message(letter).unwrap();
            assert_eq!(
                message.envelope().from().unwrap().to_string(),
                "no-reply@localhost"
            );
            String::from_utf8(message.formatted()).unwrap()
        };
        let ours = "Organise Event <no-reply@localhost>";
        let form = formed(ours, Some("Meera"), Some("meera@münchen.de"));
        for line in [
            "From: \"Meera via Organise Event\" <no-reply@localhost>\r\n",
            "Reply-To: Meera <meera@xn--mnchen-3ya.de>\r\n",
        ] {
            assert!(form.contains(line), "{line} is missing:\n{form}");
        }
        let nameless = formed("no-reply@localhost", Some("Meera"), None);
        assert!(
            nameless.contains("From: \"Meera via Organise Event\" <no-reply@localhost>\r\n"),
            "{nameless}"
        );
        assert!(!nameless.contains("Reply-To"), "{nameless}");
        for odd in ["मीरा@example.org", "no address", "a@b.c\r\nBcc: v@example.com"] {
            let form = formed(ours, None, Some(odd));
            assert!(!form.contains("Reply-To") && !form.contains("Bcc"), "{form}");
            assert!(form.contains("From: \"Organise Event\" <no-reply@localhost>\r\n") && form.is_ascii());
        }
        let evil = formed(ours, Some("x\r\nBcc: v@example.com"), Some("m@example.org"));
        assert!(!evil.lines().any(|line| line.starts_with("Bcc")), "{evil}");
        let hindi = formed(ours, Some("मीरा अय्यर"), Some("m@example.org"));
        assert!(hindi.is_ascii() && hindi.contains("From: =?utf-8?b?"), "{hindi}");
    }

    #[test]
    fn the_sender_is_checked() {
        assert!(FromAddress::new("no-reply@example.org").is_ok());
        assert!(FromAddress::new("nobody").is_err());
    }
}
