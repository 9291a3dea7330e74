//! The request that a task works for: its id and its place in a trace, which go along wherever work goes: to other
//! services, to spawned tasks, to the writer's thread, and into the messages that a change publishes.

mod ids;
pub mod traces;

use std::{future::Future, net::IpAddr, sync::Arc, time::Duration};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tracing::{Instrument, Span};
use uuid::Uuid;

pub use self::ids::REQUEST_ID;
pub(crate) use self::ids::new_request_id;
use self::ids::request_id_or;
use crate::ids::UserId;

/// W3C Trace Context.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The request's user, from a service to the gateway, for the log.
pub const LOG_USER: HeaderName = HeaderName::from_static("x-log-user");
/// The problem's code, from a service to the gateway, for the log.
pub const LOG_CODE: HeaderName = HeaderName::from_static("x-log-code");

/// The route that answered, from a service to the gateway, for the log and the figures.
pub const LOG_ROUTE: HeaderName = HeaderName::from_static("x-log-route");

tokio::task_local! {
    static CURRENT: Arc<Context>;
}

/// One request.
pub struct Context {
    id: HeaderValue,
    /// What calls made on its behalf send as `traceparent`.
    trace: Option<HeaderValue>,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    noted: Noted,
    client: Option<IpAddr>,
    quotas: Vec<Quota>,
}

/// What handlers noted on a request, for the log and the audit trail.
#[derive(Clone, Default, Debug)]
pub struct Noted {
    /// Who calls, or whose account they try to sign in to.
    pub user: Option<UserId>,
    /// With what they call, or which session begins.
    pub credential: Option<Credential>,
    /// What the call has made.
    pub subject: Option<String>,
}

/// With what somebody calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Credential {
    /// A session's token.
    Session(Uuid),
    /// An API key.
    ApiKey(Uuid),
}

/// How far a limit is used up that this request was counted by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quota {
    /// The limit's name.
    pub policy: &'static str,
    /// Attempts in [`Self::window`].
    pub quota: u32,
    /// The limit's period.
    pub window: Duration,
    /// Attempts that are left now.
    pub left: u32,
    /// Until all are left again; once none is left, until one is.
    pub reset: Duration,
}

impl Context {
    /// The context of a request that comes in. In one process the gateway's request goes on to a service as the same
    /// one.
    pub(crate) fn of(headers: &mut HeaderMap) -> Arc<Self> {
        let trace = headers
            .get(TRACEPARENT)
            .filter(|value| trace_id(value).is_some())
            .cloned();
        // A client that sends a trace and no request id knows the request by its trace.
        let traced = || HeaderValue::from_str(trace.as_ref().and_then(trace_id)?).ok();
        let id = request_id_or(headers, traced);
        if let Ok(current) = CURRENT.try_with(Arc::clone)
            && current.id == id
        {
            return current;
        }
        let trace = trace.or_else(|| traceparent(&id));
        Arc::new(Self {
            id,
            trace,
            notes: Mutex::default(),
        })
    }

    fn named(id: HeaderValue) -> Arc<Self> {
        let trace = traceparent(&id);
        Arc::new(Self {
            id,
            trace,
            notes: Mutex::default(),
        })
    }

    pub(crate) fn id(&self) -> &HeaderValue {
        &self.id
    }

    pub(crate) fn text(&self) -> &str {
        self.id.to_str().unwrap_or_default()
    }

    pub(crate) fn user(&self) -> Option<UserId> {
        self.notes.lock().noted.user
    }

    pub(crate) fn client(&self) -> Option<IpAddr> {
        self.notes.lock().client
    }

    pub(crate) fn quotas(&self) -> Vec<Quota> {
        self.notes.lock().quotas.clone()
    }

    fn is_current(self: &Arc<Self>) -> bool {
        CURRENT
            .try_with(|current| Arc::ptr_eq(current, self))
            .unwrap_or(false)
    }

    /// The span that puts the request's id on lines of the log.
    pub(crate) fn span(self: &Arc<Self>) -> Span {
        if self.is_current() {
            Span::current()
        } else {
            self.new_span()
        }
    }

    fn new_span(&self) -> Span {
        tracing::info_span!("request", request_id = self.text())
    }

    /// Runs `work`, which is in [`Self::span`], as work for this request.
    pub(crate) async fn scope<F: Future>(self: Arc<Self>, work: F) -> F::Output {
        if self.is_current() {
            return work.await;
        }
        CURRENT.scope(self, work).await
    }
}

/// The trace id in a `traceparent` of version 00 (W3C Trace Context, 3.2.2). `None`: it is none.
pub(crate) fn trace_id(value: &HeaderValue) -> Option<&str> {
    let text = value.to_str().ok()?;
    let hex = |text: &str, length: usize| {
        text.len() == length
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
            && text.bytes().any(|b| b != b'0')
    };
    let mut parts = text.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let fits =
        version == "00" && hex(trace, 32) && hex(parent, 16) && flags.len() == 2 && parts.next().is_none();
    fits.then_some(trace)
}

/// The trace of a request that came without one: where its id can be a trace's, they are the same.
fn traceparent(id: &HeaderValue) -> Option<HeaderValue> {
    let text = id.to_str().ok()?;
    let own = format!("00-{text}-{}-01", text.get(16..)?);
    let value = HeaderValue::from_str(&own).ok()?;
    trace_id(&value).is_some().then_some(value)
}

/// The id of the request this task works for, or a new one for work that no request asked for.
fn current_request_id() -> HeaderValue {
    CURRENT
        .try_with(|current| current.id.clone())
        .unwrap_or_else(|_| new_request_id())
}

/// The id of the request this task works for, to be kept with what comes of it.
pub fn request_id_text() -> Option<String> {
    CURRENT.try_with(|current| current.text().to_owned()).ok()
}

/// The id of the trace that the request this task works for belongs to, or begins.
pub(crate) fn trace_id_text() -> Option<String> {
    let of = |current: &Arc<Context>| current.trace.as_ref().and_then(trace_id).map(str::to_owned);
    CURRENT.try_with(of).ok().flatten()
}

/// Marks a request to another service as made on behalf of the current one.
pub fn mark(headers: &mut HeaderMap) {
    headers.insert(REQUEST_ID, current_request_id());
    let trace = || CURRENT.try_with(|current| current.trace.clone()).ok().flatten();
    if let Some(trace) = traces::traceparent().or_else(trace) {
        headers.insert(TRACEPARENT, trace);
    }
}

/// Notes the caller, or whose account they try to sign in to, for the line in the log and the audit trail.
pub fn note_user(user: UserId) {
    let _ = CURRENT.try_with(|current| current.notes.lock().noted.user = Some(user));
}

/// Notes with what the caller calls, or which session begins, for the audit trail.
pub fn note_credential(credential: Credential) {
    let _ = CURRENT.try_with(|current| current.notes.lock().noted.credential = Some(credential));
}

/// Notes what the call has made, for the audit trail.
pub fn note_subject(subject: impl Into<Uuid>) {
    let subject = subject.into().to_string();
    let _ = CURRENT.try_with(|current| current.notes.lock().noted.subject = Some(subject));
}

/// A hold on the current request, for when its work is dropped.
#[derive(Clone, Default)]
pub struct Current(Option<Arc<Context>>);

impl Current {
    /// The request this task works for.
    pub fn get() -> Self {
        Self(CURRENT.try_with(Arc::clone).ok())
    }

    /// What was noted on it.
    pub fn noted(&self) -> Noted {
        let noted = |context: &Arc<Context>| context.notes.lock().noted.clone();
        self.0.as_ref().map(noted).unwrap_or_default()
    }

    /// Its id.
    pub fn id(&self) -> &str {
        self.0.as_ref().map(|context| context.text()).unwrap_or_default()
    }
}

/// Notes where the call came from, for the line in the log.
pub fn note_client(client: IpAddr) {
    let _ = CURRENT.try_with(|current| current.notes.lock().client = Some(client));
}

/// Notes a limit, for the headers of the answer.
pub fn note_quota(quota: Quota) {
    let note = |current: &Arc<Context>| {
        let quotas = &mut current.notes.lock().quotas;
        quotas.retain(|other| other.policy != quota.policy);
        quotas.push(quota);
    };
    let _ = CURRENT.try_with(note);
}

/// Spawns work for the current request that goes on even if the request is dropped.
pub fn spawn<F>(work: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match CURRENT.try_with(Arc::clone) {
        Ok(current) => {
            let span = Span::current();
            // The log looks for its span among those entered on the thread, not among their parents.
            let in_log = match span.metadata() {
                Some(metadata) if metadata.target() == traces::TARGET => current.new_span(),
                _ => Span::none(),
            };
            tokio::spawn(CURRENT.scope(current, work.instrument(span).instrument(in_log)))
        }
        Err(_) => tokio::spawn(work),
    }
}

/// Does work that no request asked for, such as a worker's for one row, under an id of its own; or under that of the
/// request that caused it, when that is known.
pub async fn on_behalf_of<F: Future>(request_id: Option<&str>, work: F) -> F::Output {
    let id = request_id
        .and_then(|id| HeaderValue::from_str(id).ok())
        .unwrap_or_else(new_request_id);
    let context = Context::named(id);
    let span = context.span();
    context.scope(work.instrument(span)).await
}

/// The current request, taken along to another thread.
pub struct Carried(Option<Arc<Context>>);

impl Carried {
    /// What this task works for.
    pub fn now() -> Self {
        Self(CURRENT.try_with(Arc::clone).ok())
    }

    /// The request that caused a message; this task's when that is not known.
    pub fn causing(request_id: Option<&str>) -> Self {
        let id = request_id.and_then(|id| HeaderValue::from_str(id).ok());
        id.map_or_else(Self::now, |id| Self(Some(Context::named(id))))
    }

    /// Runs `work` as work for it.
    pub fn enter<R>(self, work: impl FnOnce() -> R) -> R {
        match self.0 {
            Some(current) => CURRENT.sync_scope(current, work),
            None => work(),
        }
    }
}

/// A path as a template: ids and other long segments are left out, so that lines of one kind are alike.
pub(crate) fn route(path: &str) -> String {
    let mut route = String::with_capacity(path.len());
    for segment in path.split('/').skip(1).take(12) {
        route.push('/');
        let is_id = segment.len() > 24 || segment.parse::<uuid::Uuid>().is_ok();
        route.push_str(if is_id { "{id}" } else { segment });
    }
    route
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(pairs: &[(&'static str, &str)]) -> (Arc<Context>, HeaderMap) {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        (Context::of(&mut headers), headers)
    }

    #[test]
    fn ids_and_traces() {
        const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let (both, _) = context(&[("x-request-id", "mine"), ("traceparent", TRACE)]);
        assert_eq!(both.text(), "mine");
        assert_eq!(both.trace.as_ref().unwrap(), TRACE);
        let (traced, headers) = context(&[("traceparent", TRACE)]);
        assert_eq!(traced.text(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(headers[REQUEST_ID], "4bf92f3577b34da6a3ce929d0e0e4736");
        let (plain, _) = context(&[("x-request-id", "mine")]);
        assert_eq!(plain.trace, None);
        let (new, _) = context(&[]);
        let trace = new.trace.clone().unwrap();
        assert_eq!(trace_id(&trace), Some(new.text()));
        for wrong in [
            "",
            "00",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        ] {
            let (made, _) = context(&[("traceparent", wrong)]);
            assert_ne!(made.text(), "4bf92f3577b34da6a3ce929d0e0e4736", "{wrong}");
        }
    }

    #[tokio::test]
    async fn work_takes_its_request_along() {
        let (mine, _) = context(&[("x-request-id", "mine")]);
        let told = async || {
            let spawned = spawn(async { request_id_text() }).await.unwrap();
            let carried = Carried::now();
            let on_a_thread = std::thread::spawn(move || carried.enter(request_id_text))
                .join()
                .unwrap();
            (request_id_text(), spawned, on_a_thread)
        };
        let id = || Some("mine".to_owned());
        assert_eq!(mine.scope(told()).await, (id(), id(), id()));
        assert_eq!(told().await, (None, None, None));
        assert_eq!(on_behalf_of(Some("mine"), told()).await, (id(), id(), id()));
        assert!(on_behalf_of(None, told()).await.0.is_some());
    }

    #[test]
    fn routes_are_templates() {
        for (path, template) in [
            ("/api/events", "/api/events"),
            (
                "/api/events/019aa2f4-7c1e-7d3a-9b60-1f2e3d4c5b6a",
                "/api/events/{id}",
            ),
            ("/api/events/short", "/api/events/short"),
            ("/", "/"),
        ] {
            assert_eq!(route(path), template);
        }
    }
}
