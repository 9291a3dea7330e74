//! A small SMTP server that keeps what it gets and fails on demand.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// What the server does with a message once it has it whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mood {
    Take,
    Later,
    Never,
    /// Takes it and does not answer.
    Silent,
    /// Takes it and closes the connection without an answer.
    HangUp,
}

/// A message as it came over the wire.
#[derive(Clone, Debug)]
pub struct Mail {
    pub from: String,
    pub to: Vec<String>,
    pub data: String,
}

#[derive(Clone)]
pub struct Sink {
    pub address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    mails: Mutex<Vec<Mail>>,
    /// Moods by message; the rest are taken.
    moods: Mutex<Vec<Mood>>,
    connections: AtomicUsize,
    /// Takes addresses beyond ASCII (RFC 6531).
    international: bool,
}

impl Sink {
    /// One as most are: without SMTPUTF8.
    pub async fn start() -> Self {
        Self::with(State::default()).await
    }

    /// One with SMTPUTF8.
    pub async fn international() -> Self {
        let state = State {
            international: true,
            ..State::default()
        };
        Self::with(state).await
    }

    async fn with(state: State) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sink = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::new(state),
        };
        let state = sink.state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                state.connections.fetch_add(1, Ordering::Relaxed);
                let state = state.clone();
                tokio::spawn(async move {
                    let _ = serve(stream, &state).await;
                });
            }
        });
        sink
    }

    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    pub fn next(&self, moods: &[Mood]) {
        self.state.moods.lock().extend(moods);
    }

    pub fn mails(&self) -> Vec<Mail> {
        self.state.mails.lock().clone()
    }

    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::Relaxed)
    }
}

async fn serve(stream: TcpStream, state: &State) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 sink ESMTP\r\n").await?;
    let (mut mail, mut line) = (empty(), String::new());
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let command = line.trim_end();
        let answer = match command
            .split([' ', ':'])
            .next()
            .unwrap_or_default()
            .to_ascii_uppercase()
            .as_str()
        {
            "EHLO" if state.international => "250-sink\r\n250-SMTPUTF8\r\n250 8BITMIME\r\n",
            "EHLO" => "250-sink\r\n250 8BITMIME\r\n",
            "MAIL" | "RCPT" if !state.international && !command.is_ascii() => {
                "553 5.6.7 addresses are in ASCII\r\n"
            }
            "MAIL" => {
                mail = Mail {
                    from: command.to_owned(),
                    ..empty()
                };
                "250 ok\r\n"
            }
            "RCPT" => {
                mail.to.push(command.to_owned());
                "250 ok\r\n"
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                while !mail.data.ends_with("\r\n.\r\n") {
                    if stream.read_line(&mut mail.data).await? == 0 {
                        return Ok(());
                    }
                }
                let mut moods = state.moods.lock();
                let mood = if moods.is_empty() {
                    Mood::Take
                } else {
                    moods.remove(0)
                };
                drop(moods);
                if !matches!(mood, Mood::Later | Mood::Never) {
                    state.mails.lock().push(std::mem::replace(&mut mail, empty()));
                }
                match mood {
                    Mood::Take => "250 queued as 1A2B3C\r\n",
                    Mood::Later => "451 try later\r\n",
                    Mood::Never => "550 no such mailbox\r\n",
                    Mood::Silent => continue,
                    Mood::HangUp => return Ok(()),
                }
            }
            "NOOP" => "250 ok\r\n",
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => "500 what\r\n",
        };
        stream.write_all(answer.as_bytes()).await?;
    }
}

fn empty() -> Mail {
    Mail {
        from: String::new(),
        to: Vec::new(),
        data: String::new(),
    }
}
