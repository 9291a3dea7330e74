//! A mail server that keeps what it is given, and can die on demand.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// A running mail server.
pub struct MailServer {
    port: u16,
    mails: Arc<Mutex<Vec<Mail>>>,
}

/// A mail as it was received.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Envelope recipient.
    pub to: String,
    /// Header and body.
    pub text: String,
}

impl Mail {
    /// A header's value, unfolded.
    pub fn header(&self, name: &str) -> String {
        let head = self
            .text
            .split("\r\n\r\n")
            .next()
            .unwrap_or_default()
            .replace("\r\n ", " ");
        let prefix = format!("{}:", name.to_ascii_lowercase());
        head.lines()
            .find(|line| line.to_ascii_lowercase().starts_with(&prefix))
            .map(|line| line[prefix.len()..].trim().to_owned())
            .unwrap_or_default()
    }
}

impl MailServer {
    /// Starts it.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mails: Arc<Mutex<Vec<Mail>>> = Arc::default();
        let kept = mails.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = kept.clone();
                tokio::spawn(async move { drop(talk(stream, &kept).await) });
            }
        });
        Self { port, mails }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// For `SMTP_URL`.
    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// What was received so far about events and payments. The letter that everybody gets who signs up
    /// is left out.
    pub fn mails(&self) -> Vec<Mail> {
        let about_events = |mail: &&Mail| mail.header("Subject") != "Confirm your e-mail address";
        self.mails.lock().iter().filter(about_events).cloned().collect()
    }

    /// How often each message was received, by its Message-ID.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for mail in self.mails() {
            *counts.entry(mail.header("Message-ID")).or_insert(0) += 1;
        }
        counts
    }
}

/// RFC 5321, as far as a client needs that only wants to get rid of its mail.
async fn talk(stream: TcpStream, kept: &Mutex<Vec<Mail>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 tests\r\n").await?;
    let (mut line, mut to) = (String::new(), String::new());
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let command = line.trim_end().to_ascii_uppercase();
        let reply: &[u8] = if command.starts_with("RCPT TO:") {
            to = line["RCPT TO:".len()..]
                .trim()
                .trim_matches(['<', '>'])
                .to_owned();
            b"250 ok\r\n"
        } else if command == "DATA" {
            stream.write_all(b"354 go on\r\n").await?;
            let mut text = String::new();
            loop {
                line.clear();
                if stream.read_line(&mut line).await? == 0 {
                    return Ok(());
                }
                if line == ".\r\n" {
                    break;
                }
                text.push_str(line.strip_prefix("..").map_or(&line, |_| &line[1..]));
            }
            kept.lock().push(Mail { to: to.clone(), text });
            b"250 kept\r\n"
        } else if command == "QUIT" {
            return stream.write_all(b"221 bye\r\n").await;
        } else {
            b"250 ok\r\n"
        };
        stream.write_all(reply).await?;
    }
}
