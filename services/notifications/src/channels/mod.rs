//! Providers: one for the messages of each channel. One more is one more [`Mailer`], chosen in [`Channels::new`].

pub mod mailbox;
pub mod mime;
pub mod sms;
pub mod smtp;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use common::{clock::Timestamp, ids::MessageId, settings::SmsProvider};
use runtime::process::Context;
use secrecy::ExposeSecret;

use self::{
    mailbox::Mailbox,
    mime::FromAddress,
    sms::{msg91::Msg91, twilio::Twilio},
    smtp::Smtp,
};
use crate::domain::{host::Host, letters::Texted, message::Channel};

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
    /// In whose name an e-mail comes; `None`: in the product's.
    pub host: Option<Arc<Host>>,
    /// What an e-mail brings along.
    pub attachments: Vec<Attachment>,
    /// The text.
    pub content: Content,
}

/// A file that comes with an e-mail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attachment {
    /// What it is called; of a picture in the letter, by what the letter names it.
    pub name: String,
    /// Its media type.
    pub kind: &'static str,
    /// Whether it is a picture in the letter.
    pub inline: bool,
    /// The file.
    pub bytes: Arc<[u8]>,
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
        /// Where its reader ends this kind of e-mail; `None`: it always comes.
        unsubscribe: Option<String>,
    },
    /// Over SMS.
    Sms {
        /// At most three parts.
        text: String,
        /// Which text it is, for providers that send registered texts only.
        template: &'static str,
        /// The values in it, in order.
        variables: Vec<String>,
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

    /// Delivers one message and gives the provider's name for it. The future may be dropped when it takes too long. In a
    /// second attempt the first may have had its effect: its answer, or the worker, was lost.
    ///
    /// # Errors
    /// [`MailError::Permanent`] when no retry can help.
    async fn send(&self, parcel: Parcel, attempt: u32) -> Result<String, MailError>;

    /// Lets go of connections that have been idle for `idle`.
    async fn tidy(&self, idle: Duration);
}

/// The provider of each channel that has one.
#[derive(Clone)]
pub struct Channels(BTreeMap<Channel, Arc<dyn Mailer>>);

impl Channels {
    /// SMTP when it is set, else the mailbox. Text messages go by the provider that is set, else to the mailbox, except in
    /// production, where a file is no delivery.
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
        let per_second = settings.sms_per_second;
        let public_url = settings.public_url(settings.gateway_port);
        let sms: Option<Arc<dyn Mailer>> = match settings.sms.clone() {
            SmsProvider::Twilio(account) => Some(Arc::new(Twilio::new(account, public_url, per_second)?)),
            SmsProvider::Msg91(account) => Some(Arc::new(Msg91::new(account, per_second)?)),
            SmsProvider::Mailbox if settings.is_production() => {
                tracing::warn!("SMS_PROVIDER is not set: nobody gets text messages");
                None
            }
            SmsProvider::Mailbox => Some(Arc::new(mailbox()?)),
        };
        let channels = [(Channel::Email, Some(email)), (Channel::Sms, sms)];
        let with_provider = channels
            .into_iter()
            .filter_map(|(channel, mailer)| Some((channel, mailer?)));
        Ok(with_provider.collect())
    }

    /// Each channel that has a provider.
    pub fn all(&self) -> impl Iterator<Item = (Channel, Arc<dyn Mailer>)> {
        self.0.iter().map(|(channel, mailer)| (*channel, mailer.clone()))
    }
}

impl FromIterator<(Channel, Arc<dyn Mailer>)> for Channels {
    fn from_iter<T: IntoIterator<Item = (Channel, Arc<dyn Mailer>)>>(channels: T) -> Self {
        Self(channels.into_iter().collect())
    }
}

/// Which kinds of messages go as text messages too.
pub fn texted(context: &Context) -> Texted {
    let settings = &context.settings;
    match &settings.sms {
        SmsProvider::Msg91(account) => Texted::These(account.templates.keys().cloned().collect()),
        SmsProvider::Twilio(_) => Texted::All,
        SmsProvider::Mailbox if settings.is_production() => Texted::None,
        SmsProvider::Mailbox => Texted::All,
    }
}

/// Where the mailbox is.
pub fn mailbox_dir(context: &Context) -> PathBuf {
    context.data("mailbox")
}
