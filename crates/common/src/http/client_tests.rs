//! What a call does when a replica is gone, breaks off in the middle, or is still at work.

use std::sync::Mutex;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

/// What a replica does with the requests that come, one after the other.
#[derive(Clone, Copy)]
enum Act {
    /// Answers with this.
    Say(&'static str),
    /// Reads the request and closes the connection.
    Die,
}

const FINE: Act = Act::Say("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine");
const CUT_OFF: Act = Act::Say("HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\nfi");
const AT_WORK: Act = Act::Say("HTTP/1.1 409 Conflict\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n");

/// The requests that a replica has had, in full.
type Heard = Arc<Mutex<Vec<String>>>;

/// A replica that acts in this order, a connection for each, and its address.
async fn replica(acts: &[Act]) -> (String, Heard) {
    replica_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), acts)
}

fn replica_on(listener: TcpListener, acts: &[Act]) -> (String, Heard) {
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (heard, acts) = (Heard::default(), acts.to_vec());
    let kept = heard.clone();
    tokio::spawn(async move {
        for act in acts {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !whole_request(&request) {
                let mut buffer = [0; 4096];
                let read = stream.read(&mut buffer).await.unwrap();
                request.extend_from_slice(&buffer[..read]);
            }
            kept.lock().unwrap().push(String::from_utf8(request).unwrap());
            if let Act::Say(answer) = act {
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    });
    (url, heard)
}

fn whole_request(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.to_ascii_lowercase();
    let length = length.split("content-length: ").nth(1);
    let length = length.and_then(|rest| rest.lines().next()?.parse().ok());
    body.len() >= length.unwrap_or(0)
}

/// An address at which nothing listens.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn get() -> Request {
    Request::get("/api/events").body(Body::empty()).unwrap()
}

fn post(key: bool) -> Request {
    let policy = ForwardPolicy {
        repeat: key,
        ..ForwardPolicy::default()
    };
    Request::post("/api/reg/register_event")
        .extension(policy)
        .body(Body::from("{\"event_id\": 1}"))
        .unwrap()
}

async fn call(urls: &[&str], request: Request) -> Result<(u16, String), UpstreamError> {
    let answer = Upstream::remote(&urls.join(",")).unwrap().call(request).await?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    Ok((status, String::from_utf8(body.to_vec()).unwrap()))
}

fn fine() -> (u16, String) {
    (200, "fine".to_owned())
}

#[tokio::test]
async fn where_nothing_listens_costs_no_request() {
    let (there, heard) = replica(&[FINE, FINE, FINE]).await;
    for request in [get(), post(true), post(false)] {
        assert_eq!(call(&[&nobody().await, &there], request).await.unwrap(), fine());
    }
    let last = heard.lock().unwrap()[2].clone();
    assert!(last.ends_with("{\"event_id\": 1}"), "{last}");
    let nowhere = call(&[&nobody().await, &nobody().await], post(false)).await;
    assert!(
        matches!(nowhere, Err(UpstreamError::Unreachable(_))),
        "{nowhere:?}"
    );
}

#[tokio::test]
async fn a_connection_that_breaks_costs_only_what_may_not_be_repeated() {
    for (request, repeated) in [(get(), true), (post(true), true), (post(false), false)] {
        let ((dies, _), (there, heard)) = (replica(&[Act::Die]).await, replica(&[FINE]).await);
        let answer = call(&[&dies, &there], request).await;
        if repeated {
            assert_eq!(answer.unwrap(), fine());
        } else {
            assert!(matches!(answer, Err(UpstreamError::Broken(_))), "{answer:?}");
        }
        assert_eq!(heard.lock().unwrap().len(), usize::from(repeated));
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_asked_for_again() {
    for request in [get(), post(true)] {
        let ((dies, _), (there, _)) = (replica(&[CUT_OFF]).await, replica(&[FINE]).await);
        assert_eq!(call(&[&dies, &there], request).await.unwrap(), fine());
    }
}

#[tokio::test]
async fn a_repeat_waits_for_the_first_try() {
    let (dies, _) = replica(&[Act::Die, FINE]).await;
    let (there, heard) = replica(&[AT_WORK, FINE]).await;
    assert_eq!(call(&[&dies, &there], post(true)).await.unwrap(), fine());
    assert_eq!(heard.lock().unwrap().len(), 1);
    // A conflict with another caller's first try is returned to the caller.
    let (there, _) = replica(&[AT_WORK, FINE]).await;
    assert_eq!(call(&[&there], post(true)).await.unwrap(), (409, String::new()));
}

#[tokio::test]
async fn all_that_rest_are_asked_all_the_same() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let upstream = Upstream::remote(&format!("http://{address},{}", nobody().await)).unwrap();
    assert!(upstream.call(get()).await.is_err());
    replica_on(TcpListener::bind(address).await.unwrap(), &[FINE]);
    assert_eq!(upstream.call(get()).await.unwrap().status(), StatusCode::OK);
}
