//! Providers: one for the messages of each channel. One more is one more [`Mailer`], chosen in [`Channels::new`].

pub mod mailbox;
pub mod mime;
pub mod smtp;

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use common::{clock::Timestamp, ids::MessageId};
use runtime::process::Context;
use secrecy::ExposeSecret;

use self::{mailbox::Mailbox, mime::FromAddress, smtp::Smtp};
use crate::domain::message::Channel;

/// A rendered message, ready to go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parcel {
    /// The message's id, the same on every try. Providers that support it use it to recognize repeats.
    pub id: MessageId,
    /// When the message was stored.
    pub created_at: Timestamp,
    /// E-mail address, or telephone number in E.164.
    pub address: String,
    /// What to call the reader.
    pub name: Option<String>,
    /// The text.
    pub content: Content,
}

/// The text of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// Over e-mail.
    Email {
        /// One line.
        subject: String,
        /// For all readers.
        text: String,
        /// The same, set nicely.
        html: String,
    },
    /// Over SMS.
    Sms {
        /// At most 480 characters.
        text: String,
    },
}

/// Why a provider did not take a message.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// There is no way to the provider; the message had no effect there.
    #[error("not reachable: {0}")]
    Unreachable(String),
    /// It may work later.
    #[error("{0}")]
    Temporary(String),
    /// It will never work.
    #[error("{0}")]
    Permanent(String),
}

/// How a provider is used.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Messages claimed at once.
    pub batch: usize,
    /// Messages on their way at once.
    pub at_once: usize,
    /// How long one may take.
    pub patience: Duration,
}

/// Carries messages.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// A fixed name, kept with each message it took.
    fn name(&self) -> &'static str;

    /// How it is used.
    fn pace(&self) -> Pace;

    /// Delivers one message and gives the provider's name for it. The future may be dropped when it takes too long.
    ///
    /// # Errors
    /// [`MailError::Permanent`] when no retry can help.
    async fn send(&self, parcel: Parcel) -> Result<String, MailError>;

    /// Lets go of connections that have been idle for `idle`.
    async fn tidy(&self, idle: Duration);
}

/// The provider of each channel.
#[derive(Clone)]
pub struct Channels {
    /// E-mail.
    pub email: Arc<dyn Mailer>,
    /// Text messages; `None`: there is no provider, and none are written.
    pub sms: Option<Arc<dyn Mailer>>,
}

impl Channels {
    /// SMTP when it is set, else the mailbox. Text messages go to the mailbox, except in production, where a file
    /// is no delivery.
    ///
    /// # Errors
    /// One sentence for the person who started the program.
    pub fn new(context: &Context) -> Result<Self, String> {
        let settings = &context.settings;
        let sender = FromAddress::new(&settings.mail_from)?;
        let mailbox = || Mailbox::new(mailbox_dir(context), sender.clone());
        let email: Arc<dyn Mailer> = match &settings.smtp_url {
            Some(url) => Arc::new(Smtp::new(url.expose_secret(), sender.clone())?),
            None => Arc::new(mailbox()?),
        };
        let sms: Option<Arc<dyn Mailer>> = if settings.is_production() {
            tracing::warn!("there is no SMS provider: nobody gets text messages");
            None
        } else {
            Some(Arc::new(mailbox()?))
        };
        Ok(Self { email, sms })
    }

    /// Each channel that has a provider.
    pub fn all(&self) -> impl Iterator<Item = (Channel, Arc<dyn Mailer>)> {
        [
            (Channel::Email, Some(self.email.clone())),
            (Channel::Sms, self.sms.clone()),
        ]
        .into_iter()
        .filter_map(|(channel, mailer)| Some((channel, mailer?)))
    }
}

/// Where the mailbox is.
pub fn mailbox_dir(context: &Context) -> PathBuf {
    context.data("mailbox")
}
