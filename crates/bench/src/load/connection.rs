//! One keep-alive connection.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinHandle};

use super::template::Template;
use crate::failure::{Doing, Outcome};

/// An answer, whole.
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// A connection that sends one request at a time.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: HeaderValue,
    driver: JoinHandle<()>,
}

impl Connection {
    /// Connects, without delaying small writes.
    pub async fn open(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await.doing("cannot connect")?;
        stream.set_nodelay(true).doing("cannot connect")?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .doing("cannot connect")?;
        let driver = tokio::spawn(async move {
            // Whatever ends the connection also fails the request that waits on it, where it is counted.
            let _ = connection.await;
        });
        let host = HeaderValue::try_from(address.to_string()).doing("host")?;
        Ok(Self { sender, host, driver })
    }

    /// Sends a request and reads the answer to its end.
    pub async fn send(&mut self, template: &Template) -> Outcome<Reply> {
        self.sender.ready().await.doing("connection")?;
        let answer = self
            .sender
            .send_request(template.request(&self.host))
            .await
            .doing("connection")?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.doing("answer cut off")?.to_bytes();
        Ok(Reply {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
        })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
