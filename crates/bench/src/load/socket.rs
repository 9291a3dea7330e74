//! A WebSocket (RFC 6455) that costs the generator as little as possible: the server's frames are read where they lie.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::failure::{Doing, Failure, Outcome};

/// Text frames.
const TEXT: u8 = 0x81;
/// A mask key follows.
const MASKED: u8 = 0x80;
/// The end of a head.
const END: &[u8] = b"\r\n\r\n";

/// A socket of the live room.
pub struct LiveSocket {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// What of the buffer was given out.
    read: usize,
}

impl LiveSocket {
    /// Opens one.
    pub async fn open(address: SocketAddr) -> Outcome<Self> {
        let mut stream = TcpStream::connect(address).await.doing("connecting")?;
        let request = format!(
            "GET /api/live/ws HTTP/1.1\r\nhost: {address}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: evt.v1\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.doing("a handshake")?;
        let mut this = Self {
            stream,
            buffer: Vec::with_capacity(1024),
            read: 0,
        };
        loop {
            if let Some(at) = this.buffer.windows(END.len()).position(|part| part == END) {
                if !this.buffer.starts_with(b"HTTP/1.1 101") {
                    let head = String::from_utf8_lossy(&this.buffer[..at]);
                    return Err(Failure::new(format!("no socket: {head}")));
                }
                this.read = at + END.len();
                return Ok(this);
            }
            this.fill().await?;
        }
    }

    async fn fill(&mut self) -> Outcome<()> {
        let read = self.stream.read_buf(&mut self.buffer).await.doing("a socket")?;
        if read == 0 {
            return Err(Failure::new("a socket was closed"));
        }
        Ok(())
    }

    /// Sends a text of less than 64 KiB, masked by nothing.
    pub async fn say(&mut self, text: &str) -> Outcome<()> {
        let mut frame = vec![TEXT];
        match text.len() {
            length @ 0..=125 => frame.push(MASKED | length as u8),
            length => {
                frame.push(MASKED | 126);
                frame.extend((length as u16).to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(text.as_bytes());
        self.stream.write_all(&frame).await.doing("a socket")
    }

    /// The next text.
    pub async fn hear(&mut self) -> Outcome<&[u8]> {
        loop {
            let waiting = &self.buffer[self.read..];
            if let Some((head, length)) = frame(waiting)
                && waiting.len() >= head + length
            {
                if waiting[0] != TEXT {
                    return Err(Failure::new(format!(
                        "a frame of another kind: {:#x}",
                        waiting[0]
                    )));
                }
                let (from, to) = (self.read + head, self.read + head + length);
                self.read = to;
                return Ok(&self.buffer[from..to]);
            }
            self.buffer.drain(..self.read);
            self.read = 0;
            self.fill().await?;
        }
    }
}

/// The lengths of a frame's head and of what follows it, as far as they are there.
fn frame(bytes: &[u8]) -> Option<(usize, usize)> {
    match bytes.get(1)? {
        126 => Some((
            4,
            usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)),
        )),
        127 => {
            let length = u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?);
            Some((10, usize::try_from(length).ok()?))
        }
        length => Some((2, usize::from(*length))),
    }
}
