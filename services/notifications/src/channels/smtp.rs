//! E-mail over SMTP.
//!
//! The protocol is lettre's; the connections are kept here. lettre's own pool takes a connection back whose use was
//! cut short by a deadline, and the next message on it would read the answers to the one before.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use lettre::transport::smtp::{
    Error,
    authentication::{Credentials, DEFAULT_MECHANISMS},
    client::{AsyncSmtpConnection, TlsParameters},
    extension::{ClientId, Extension},
};
use parking_lot::Mutex;
use percent_encoding::percent_decode_str;
use tokio::{net::TcpStream, time::error::Elapsed};
use url::{Host, Url};

use super::{
    Content, MailError, Mailer, Pace, Parcel,
    mime::{FromAddress, Mail},
};

/// The provider's name.
pub const NAME: &str = "smtp";
const CONNECT: Duration = Duration::from_secs(5);
/// Domains go out in A-labels, but for a name before the `@` there is no form in ASCII (RFC 6531).
const NO_SMTPUTF8: &str =
    "the name before the @ of an address is not ASCII, and the mail server has no SMTPUTF8";
/// How long `QUIT` may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// Sends through one SMTP server.
pub struct Smtp {
    server: Server,
    sender: FromAddress,
    idle: Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
}

struct Server {
    host: String,
    port: u16,
    security: Security,
    credentials: Option<Credentials>,
    hello: ClientId,
}

enum Security {
    /// Plain text.
    None,
    /// TLS by STARTTLS if the server has it.
    Opportunistic(TlsParameters),
    /// TLS by STARTTLS or nothing.
    Required(TlsParameters),
    /// TLS from the first byte.
    Wrapped(TlsParameters),
}

/// Why the server was not reached.
#[derive(Debug, thiserror::Error)]
enum Unreached {
    #[error(transparent)]
    Smtp(#[from] Error),
    #[error("connection error: {0}")]
    Io(#[from] std::io::Error),
    #[error("connection error: no answer in {} s", CONNECT.as_secs())]
    TooLate(#[from] Elapsed),
}

impl Smtp {
    /// Reads `SMTP_URL`.
    ///
    /// # Errors
    /// One sentence for the person who started the program, without the URL, which may hold a password.
    pub fn new(url: &str, sender: FromAddress) -> Result<Self, String> {
        Ok(Self {
            server: Server::read(url)?,
            sender,
            idle: Mutex::default(),
        })
    }

    async fn connection(&self) -> Result<AsyncSmtpConnection, MailError> {
        loop {
            let kept = self.idle.lock().pop();
            let Some((mut connection, _)) = kept else { break };
            // The server may have hung up meanwhile.
            if connection.test_connected().await {
                return Ok(connection);
            }
        }
        self.server
            .connect()
            .await
            .map_err(|why| MailError::Unreachable(why.to_string()))
    }

    fn keep(&self, connection: AsyncSmtpConnection) {
        self.idle.lock().push((connection, Instant::now()));
    }
}

#[async_trait]
impl Mailer for Smtp {
    fn name(&self) -> &'static str {
        NAME
    }

    fn pace(&self) -> Pace {
        // As many as go at once and no more: what is claimed together is noted together, and what a crash keeps from
        // being noted goes out again.
        Pace {
            batch: 8,
            at_once: 8,
            patience: Duration::from_secs(15),
        }
    }

    async fn send(&self, parcel: Parcel, _: u32) -> Result<String, MailError> {
        let Content::Email {
            subject,
            text,
            html,
            unsubscribe,
        } = parcel.content
        else {
            return Err(MailError::Permanent("SMTP carries no text messages".to_owned()));
        };
        let message = self.sender.message(Mail {
            id: parcel.id,
            created_at: parcel.created_at,
            address: &parcel.address,
            name: parcel.name.as_deref(),
            subject: &subject,
            text,
            html,
            unsubscribe: unsubscribe.as_deref(),
            host: parcel.host.as_deref(),
            attachments: &parcel.attachments,
        })?;
        // Owned by this future: when it is dropped half way, the connection is closed with it.
        let mut connection = self.connection().await?;
        let envelope = message.envelope();
        let mut addresses = envelope.from().into_iter().chain(envelope.to());
        let international = addresses.any(|address| !address.user().is_ascii());
        let server = connection.server_info();
        if international && !server.supports_feature(Extension::SmtpUtfEight) {
            self.keep(connection);
            return Err(MailError::Permanent(NO_SMTPUTF8.to_owned()));
        }
        let answer = connection
            .send(envelope, &message.formatted())
            .await
            .map_err(refused)?;
        if !connection.has_broken() {
            self.keep(connection);
        }
        Ok(answer.message().collect::<Vec<_>>().join(" "))
    }

    async fn tidy(&self, idle: Duration) {
        let old: Vec<_> = {
            let mut kept = self.idle.lock();
            kept.extract_if(.., |(_, since)| since.elapsed() >= idle)
                .collect()
        };
        for (mut connection, _) in old {
            let _ = tokio::time::timeout(GOODBYE, connection.abort()).await;
        }
    }
}

/// 5xx is for ever; so is what this server cannot carry. A broken connection says nothing about the message.
fn refused(error: Error) -> MailError {
    if error.is_permanent() || error.is_client() {
        MailError::Permanent(error.to_string())
    } else {
        MailError::Temporary(error.to_string())
    }
}

impl Server {
    /// `smtps://` is TLS from the start (port 465). `smtp://` is plain text (port 25), unless there are credentials
    /// for another machine, which never travel in the clear: then STARTTLS is required (port 587). `?tls=` with
    /// `required`, `opportunistic` or `none` decides otherwise, and a path is the name to greet with.
    fn read(url: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("SMTP_URL {what}.");
        let url = Url::parse(url).map_err(|error| wrong(&format!("is not a URL: {error}")))?;
        let host = url
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or_else(|| wrong("names no host"))?
            .to_owned();
        let decoded = |text: &str| {
            percent_decode_str(text)
                .decode_utf8()
                .map(|text| text.into_owned())
                .map_err(|_| wrong("has a user or password that is not UTF-8"))
        };
        let credentials = match url.password() {
            Some(password) => Some(Credentials::new(decoded(url.username())?, decoded(password)?)),
            None => None,
        };
        let tls = url
            .query_pairs()
            .find(|(name, _)| name == "tls")
            .map(|(_, value)| value.into_owned());
        let parameters =
            || TlsParameters::new(host.clone()).map_err(|error| wrong(&format!("cannot use TLS: {error}")));
        let exposed = credentials.is_some() && !is_this_machine(&url);
        let (security, port) = match (url.scheme(), tls.as_deref()) {
            ("smtps", _) => (Security::Wrapped(parameters()?), 465),
            ("smtp", Some("required")) => (Security::Required(parameters()?), 587),
            ("smtp", Some("opportunistic")) => (Security::Opportunistic(parameters()?), 587),
            ("smtp", None) if exposed => (Security::Required(parameters()?), 587),
            ("smtp", None | Some("none")) => (Security::None, 25),
            ("smtp", Some(_)) => {
                return Err(wrong(
                    "has a tls parameter other than required, opportunistic and none",
                ));
            }
            _ => return Err(wrong("must begin with smtp:// or smtps://")),
        };
        let name = url.path().trim_matches('/');
        let hello = if name.is_empty() {
            ClientId::default()
        } else {
            ClientId::Domain(name.to_owned())
        };
        Ok(Self {
            host,
            port: url.port().unwrap_or(port),
            security,
            credentials,
            hello,
        })
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Unreached> {
        let address = (self.host.trim_matches(['[', ']']), self.port);
        let mut connection = match &self.security {
            Security::Wrapped(tls) => {
                let tls = Some(tls.clone());
                AsyncSmtpConnection::connect_tokio1(address, Some(CONNECT), &self.hello, tls, None).await?
            }
            Security::None | Security::Opportunistic(_) | Security::Required(_) => {
                let stream = tokio::time::timeout(CONNECT, TcpStream::connect(address)).await??;
                // lettre writes a letter's end by itself, which would wait for the answer to what was written before: 40 ms a letter.
                stream.set_nodelay(true)?;
                AsyncSmtpConnection::connect_with_transport(Box::new(stream), &self.hello).await?
            }
        };
        match &self.security {
            Security::Required(tls) => connection.starttls(tls.clone(), &self.hello).await?,
            Security::Opportunistic(tls) if connection.can_starttls() => {
                connection.starttls(tls.clone(), &self.hello).await?;
            }
            Security::None | Security::Opportunistic(_) | Security::Wrapped(_) => {}
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }
}

fn is_this_machine(url: &Url) -> bool {
    // The scheme is none that browsers know, so the host is never parsed as an IPv4 address.
    match url.host() {
        Some(Host::Domain(name)) => {
            name == "localhost"
                || name
                    .parse::<std::net::Ipv4Addr>()
                    .is_ok_and(|address| address.is_loopback())
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> (String, u16, &'static str, bool) {
        let server = Server::read(url).unwrap();
        let security = match server.security {
            Security::None => "none",
            Security::Opportunistic(_) => "opportunistic",
            Security::Required(_) => "required",
            Security::Wrapped(_) => "wrapped",
        };
        (server.host, server.port, security, server.credentials.is_some())
    }

    #[test]
    fn reads_the_url() {
        for (url, host, port, security, credentials) in [
            ("smtp://localhost", "localhost", 25, "none", false),
            ("smtp://127.0.0.1:2525", "127.0.0.1", 2525, "none", false),
            ("smtp://me:p%40ss@localhost", "localhost", 25, "none", true),
            ("smtp://me:p%40ss@127.0.0.1", "127.0.0.1", 25, "none", true),
            (
                "smtp://me:p%40ss@mail.example.org",
                "mail.example.org",
                587,
                "required",
                true,
            ),
            (
                "smtp://me:x@mail.example.org?tls=none",
                "mail.example.org",
                25,
                "none",
                true,
            ),
            (
                "smtp://mail.example.org/our.name?tls=opportunistic",
                "mail.example.org",
                587,
                "opportunistic",
                false,
            ),
            (
                "smtps://me:x@mail.example.org",
                "mail.example.org",
                465,
                "wrapped",
                true,
            ),
            ("smtps://[::1]:4650", "[::1]", 4650, "wrapped", false),
        ] {
            assert_eq!(read(url), (host.to_owned(), port, security, credentials), "{url}");
        }
    }

    #[test]
    fn a_wrong_url_is_not_repeated() {
        for url in [
            "smtp://me:hunter2@",
            "smtp://me:hunter2@h?tls=maybe",
            "http://me:hunter2@h",
            "smtp:hunter2",
        ] {
            let error = Server::read(url).err().unwrap();
            assert!(
                error.starts_with("SMTP_URL ") && !error.contains("hunter2"),
                "{error}"
            );
        }
    }
}
