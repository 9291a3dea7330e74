//! The mailbox: a folder with one file per message, for development. `.eml` files open in any mail program.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use common::ids::MessageId;

use super::{
    Content, MailError, Mailer, Pace, Parcel,
    mime::{FromAddress, Mail, one_line},
};
use crate::domain::message::Channel;

/// The provider's name.
pub const NAME: &str = "mailbox";

/// Writes messages to files that are named by message id, so that a repeat replaces what was there.
pub struct Mailbox {
    dir: Arc<Path>,
    sender: FromAddress,
}

impl Mailbox {
    /// A mailbox in `dir`, which is created.
    ///
    /// # Errors
    /// One sentence for the person who started the program.
    pub fn new(dir: PathBuf, sender: FromAddress) -> Result<Self, String> {
        fs::create_dir_all(&dir)
            .map_err(|error| format!("The mailbox {} cannot be used: {error}.", dir.display()))?;
        Ok(Self {
            dir: dir.into(),
            sender,
        })
    }
}

/// Where a message lies.
pub fn file(dir: &Path, id: MessageId, channel: Channel) -> PathBuf {
    let extension = match channel {
        Channel::Email => "eml",
        Channel::Sms => "txt",
    };
    dir.join(format!("{id}.{extension}"))
}

#[async_trait]
impl Mailer for Mailbox {
    fn name(&self) -> &'static str {
        NAME
    }

    fn pace(&self) -> Pace {
        // Files are quick; the two commits per batch are what takes time.
        Pace {
            batch: 256,
            at_once: 4,
            patience: Duration::from_secs(5),
        }
    }

    async fn send(&self, parcel: Parcel, _: u32) -> Result<String, MailError> {
        let (dir, sender) = (self.dir.clone(), self.sender.clone());
        let write = tokio::task::spawn_blocking(move || {
            let (channel, bytes) = form(&parcel, &sender)?;
            let target = file(&dir, parcel.id, channel);
            write(&dir, &target, parcel.id, &bytes)
                .map_err(|error| MailError::Temporary(error.to_string()))?;
            Ok(target
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned())
        });
        write
            .await
            .unwrap_or_else(|error| Err(MailError::Temporary(error.to_string())))
    }

    async fn tidy(&self, _: Duration) {}
}

fn form(parcel: &Parcel, sender: &FromAddress) -> Result<(Channel, Vec<u8>), MailError> {
    match &parcel.content {
        Content::Email {
            subject,
            text,
            html,
            unsubscribe,
        } => {
            let message = sender.message(Mail {
                id: parcel.id,
                created_at: parcel.created_at,
                address: &parcel.address,
                name: parcel.name.as_deref(),
                subject,
                text: text.clone(),
                html: html.clone(),
                unsubscribe: unsubscribe.as_deref(),
                host: parcel.host.as_deref(),
                attachments: &parcel.attachments,
            })?;
            Ok((Channel::Email, message.formatted()))
        }
        Content::Sms { text, .. } => Ok((
            Channel::Sms,
            format!("To: {}\n\n{text}\n", one_line(&parcel.address)).into_bytes(),
        )),
    }
}

/// Readers of the folder find whole files only. They are not flushed to the disk: the mailbox is for trying out,
/// and the page cache survives the death of this process.
fn write(dir: &Path, target: &Path, id: MessageId, bytes: &[u8]) -> io::Result<()> {
    let draft = dir.join(format!(".{id}.tmp"));
    fs::write(&draft, bytes)?;
    match fs::rename(&draft, target) {
        // Another worker, which took this message over, has just put the same file in place.
        Err(error) if error.kind() == io::ErrorKind::NotFound && target.exists() => Ok(()),
        renamed => renamed,
    }
}

#[cfg(test)]
mod tests {
    use common::clock::from_millis;
    use tempfile::TempDir;

    use super::*;

    fn parcel(content: Content) -> Parcel {
        Parcel {
            id: MessageId::new(),
            created_at: from_millis(0),
            address: "asha@example.com".into(),
            name: Some("Asha".into()),
            host: None,
            attachments: Vec::new(),
            content,
        }
    }

    #[tokio::test]
    async fn a_repeat_replaces_the_file() {
        let dir = TempDir::new().unwrap();
        let sender = FromAddress::new("no-reply@localhost").unwrap();
        let mailbox = Mailbox::new(dir.path().join("mailbox"), sender).unwrap();
        let parcel = parcel(Content::Email {
            subject: "s".into(),
            text: "t".into(),
            html: "h".into(),
            unsubscribe: None,
        });
        let name = mailbox.send(parcel.clone(), 1).await.unwrap();
        assert_eq!(name, format!("{}.eml", parcel.id));
        assert_eq!(mailbox.send(parcel, 1).await.unwrap(), name);
        let names: Vec<_> = fs::read_dir(dir.path().join("mailbox"))
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(names, [name.as_str()]);
    }

    #[tokio::test]
    async fn a_text_message_is_a_text_file() {
        let dir = TempDir::new().unwrap();
        let mailbox = Mailbox::new(
            dir.path().to_owned(),
            FromAddress::new("no-reply@localhost").unwrap(),
        )
        .unwrap();
        let mut parcel = parcel(Content::Sms {
            text: "See you.".into(),
            template: "ticket",
            variables: Vec::new(),
        });
        parcel.address = "+911234567890".into();
        let name = mailbox.send(parcel, 1).await.unwrap();
        assert!(name.ends_with(".txt"));
        assert_eq!(
            fs::read_to_string(dir.path().join(name)).unwrap(),
            "To: +911234567890\n\nSee you.\n"
        );
    }
}
