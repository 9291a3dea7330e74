//! Who carries messages: an SMTP server, and Twilio as its documentation has it. They take everything and note what and when.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::Arc,
    time::{Instant, SystemTime},
};

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use bench::token::random_secret;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::{
    failure::{Doing, Outcome},
    scratch::local,
};

/// What a provider was given, in the order in which it came.
#[derive(Clone, Default)]
pub struct Taken(Arc<Mutex<Vec<Call>>>);

/// One message that a provider was given.
#[derive(Clone, Debug)]
pub struct Call {
    /// What tells the message from others: its Message-ID, or the number and text.
    pub key: String,
    /// When it was taken.
    pub at: SystemTime,
}

impl Taken {
    fn note(&self, key: String) {
        let at = SystemTime::now();
        self.0.lock().push(Call { key, at });
    }

    /// How many there were.
    pub fn count(&self) -> usize {
        self.0.lock().len()
    }

    /// Those that came after so many.
    pub fn after(&self, count: usize) -> Vec<Call> {
        self.0.lock().get(count..).unwrap_or_default().to_vec()
    }

    /// How often each was given.
    pub fn times(&self) -> HashMap<String, u32> {
        let mut times = HashMap::new();
        for call in &*self.0.lock() {
            *times.entry(call.key.clone()).or_default() += 1;
        }
        times
    }
}

/// Texts that the provider takes a second.
pub const PER_SECOND: u32 = 100;

/// One of each.
pub struct Providers {
    /// For e-mail.
    pub mail: Mail,
    /// For text messages.
    pub texts: Texts,
}

impl Providers {
    /// Starts them.
    pub async fn start() -> Outcome<Self> {
        Ok(Self {
            mail: Mail::start().await?,
            texts: Texts::start().await?,
        })
    }

    /// What makes a program send by them.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = self.mail.settings();
        settings.extend(self.texts.settings(PER_SECOND));
        settings
    }
}

/// An SMTP server (RFC 5321) that takes every message.
pub struct Mail {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it has taken.
    pub taken: Taken,
}

impl Mail {
    /// Starts it.
    pub async fn start() -> Outcome<Self> {
        let listener = TcpListener::bind(local(0)).await.doing("the SMTP server")?;
        let address = listener.local_addr().doing("the SMTP server")?;
        let taken = Taken::default();
        let noted = taken.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(converse(socket, noted.clone()));
            }
        });
        Ok(Self { address, taken })
    }

    /// What makes a program send by it.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("SMTP_URL", format!("smtp://{}", self.address)),
            ("MAIL_FROM", "Organise Event <no-reply@example.org>".to_owned()),
        ]
    }
}

/// Answers one connection until it ends; who breaks off is not waited for.
async fn converse(socket: TcpStream, taken: Taken) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let mut socket = BufReader::new(socket);
    socket.write_all(b"220 bench ESMTP\r\n").await?;
    let mut line = Vec::new();
    loop {
        line.clear();
        if socket.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let word = line[..line.len().min(4)].to_ascii_uppercase();
        let answer: &[u8] = match word.as_slice() {
            b"EHLO" => b"250-bench\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
            b"DATA" => {
                socket.write_all(b"354 go on\r\n").await?;
                let key = message_id(&mut socket).await?;
                taken.note(key);
                b"250 taken\r\n"
            }
            b"QUIT" => return socket.write_all(b"221 bye\r\n").await,
            _ => b"250 ok\r\n",
        };
        socket.write_all(answer).await?;
    }
}

/// Reads a message to its end, and gives its Message-ID.
async fn message_id(socket: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let (mut line, mut id) = (Vec::new(), String::new());
    loop {
        line.clear();
        if socket.read_until(b'\n', &mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" {
            return Ok(id);
        }
        let text = String::from_utf8_lossy(&line);
        if id.is_empty()
            && let Some(value) = text.strip_prefix("Message-ID:")
        {
            id = value.trim().to_owned();
        }
    }
}

/// Twilio's Messages resource (<https://www.twilio.com/docs/messaging/api/message-resource>).
pub struct Texts {
    address: SocketAddr,
    /// What it has taken.
    pub taken: Taken,
}

impl Texts {
    /// Starts it.
    pub async fn start() -> Outcome<Self> {
        let listener = TcpListener::bind(local(0)).await.doing("the SMS provider")?;
        let address = listener.local_addr().doing("the SMS provider")?;
        let taken = Taken::default();
        let path = "/2010-04-01/Accounts/{account}/Messages.json";
        let router = Router::new().route(path, post(take).get(earlier));
        let router = router.with_state(taken.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, taken })
    }

    /// What makes a program send by it, so many a second.
    pub fn settings(&self, per_second: u32) -> Vec<(&'static str, String)> {
        vec![
            ("SMS_PROVIDER", "twilio".to_owned()),
            ("SMS_PER_SECOND", per_second.to_string()),
            ("TWILIO_ACCOUNT_SID", format!("AC{}", &random_secret()[..32])),
            ("TWILIO_AUTH_TOKEN", random_secret()),
            ("TWILIO_FROM", "+15005550006".to_owned()),
            ("TWILIO_BASE_URL", format!("http://{}", self.address)),
        ]
    }
}

/// Takes a form, of which the number and the text tell messages apart, coded as they are.
async fn take(State(taken): State<Taken>, form: String) -> (StatusCode, Json<Value>) {
    let fields = form
        .split('&')
        .filter(|field| ["To=", "Body="].iter().any(|name| field.starts_with(name)));
    taken.note(fields.collect::<Vec<_>>().join("&"));
    let sid = format!("SM{}", &random_secret()[..32]);
    (
        StatusCode::CREATED,
        Json(json!({"sid": sid, "status": "queued", "num_segments": "1"})),
    )
}

async fn earlier() -> Json<Value> {
    Json(json!({"messages": []}))
}

/// Waits until `is_over` says so, or `patience` is over; whether it said so.
pub async fn within(patience: std::time::Duration, mut is_over: impl FnMut() -> bool) -> bool {
    let since = Instant::now();
    while since.elapsed() < patience {
        if is_over() {
            return true;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    is_over()
}
