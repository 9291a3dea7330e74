//! The wire: every call between payments, events, notifications and Razorpay passes here, and may go wrong.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use common::{
    http::{Pipeline, Upstream},
    metrics::Metrics,
};
use parking_lot::Mutex;
use rand::{SeedableRng, rngs::StdRng};
use tokio::sync::Notify;

use crate::fault::{Fault, Leg, When, draw};

/// What happens outside of a call while it is under way.
pub trait Outside: Send + Sync {
    /// So many seconds pass.
    fn jump(&self, seconds: i64) -> Pin<Box<dyn Future<Output = ()> + Send>>;
    /// Somebody does something.
    fn meanwhile(&self) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// The longest body that passes.
const MOST: usize = 16 * 1024 * 1024;
/// How long a call waits for what happens meanwhile: a part of it may wait for the call.
const MEANWHILE: Duration = Duration::from_millis(60);

/// The wire of a world.
pub struct Wire {
    dice: Mutex<StdRng>,
    calm: AtomicBool,
    calls: AtomicUsize,
    /// Kill at this call, once, and nothing else goes wrong.
    only: Option<(usize, When)>,
    /// Notified when the product is to be killed.
    pub kill: Notify,
    faults: Mutex<BTreeMap<&'static str, usize>>,
    acts: Mutex<BTreeMap<&'static str, usize>>,
    noted: Mutex<Vec<String>>,
    outside: OnceLock<Arc<dyn Outside>>,
}

impl Wire {
    /// One whose faults follow the seed, or only the one kill.
    pub fn new(seed: u64, only: Option<(usize, When)>) -> Arc<Self> {
        Arc::new(Self {
            dice: Mutex::new(StdRng::seed_from_u64(seed ^ 0x5eed)),
            calm: AtomicBool::new(true),
            calls: AtomicUsize::new(0),
            only,
            kill: Notify::new(),
            faults: Mutex::default(),
            acts: Mutex::default(),
            noted: Mutex::default(),
            outside: OnceLock::new(),
        })
    }

    /// Who makes things happen outside of a call. Set once.
    pub fn with(&self, outside: Arc<dyn Outside>) {
        let _ = self.outside.set(outside);
    }

    /// Nothing goes wrong from now on, or everything may.
    pub fn calm(&self, calm: bool) {
        self.calm.store(calm, Ordering::SeqCst);
    }

    /// Whether nothing goes wrong.
    pub fn is_calm(&self) -> bool {
        self.calm.load(Ordering::SeqCst)
    }

    /// How many calls have passed while something could go wrong.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Notes what happened, for whoever reads a failure.
    pub fn note(&self, what: impl Into<String>) {
        self.noted.lock().push(what.into());
    }

    /// Everything noted.
    pub fn history(&self) -> String {
        self.noted.lock().join("\n  ")
    }

    /// Counts a fault.
    pub fn count(&self, fault: &'static str) {
        *self.faults.lock().entry(fault).or_default() += 1;
    }

    /// Counts what somebody did, which is no fault.
    pub fn count_act(&self, act: &'static str) {
        *self.acts.lock().entry(act).or_default() += 1;
    }

    /// The faults there have been, and the acts.
    pub fn counted(&self) -> [BTreeMap<&'static str, usize>; 2] {
        [self.faults.lock().clone(), self.acts.lock().clone()]
    }

    /// A service behind the wire.
    pub fn before(self: &Arc<Self>, leg: Leg, name: &'static str, behind: Upstream) -> Pipeline {
        let wire = self.clone();
        let router = Router::new().fallback(move |request: Request| {
            let (wire, behind) = (wire.clone(), behind.clone());
            async move {
                let forward = move |request| {
                    let behind = behind.clone();
                    Box::pin(async move {
                        let answer = behind.call(request).await;
                        answer.unwrap_or_else(|_| StatusCode::SERVICE_UNAVAILABLE.into_response())
                    }) as Pin<Box<dyn Future<Output = Response> + Send>>
                };
                wire.pass(leg, request, forward).await
            }
        });
        Pipeline::new(name, router, Metrics::new(name, Vec::new()))
    }

    fn fault(&self, leg: Leg, changes: bool) -> Option<Fault> {
        if self.is_calm() {
            return None;
        }
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        match self.only {
            Some((at, when)) => (at == call).then_some(Fault::Kill(when)),
            None => draw(&mut self.dice.lock(), leg, changes),
        }
    }

    /// Passes a call on, or not.
    pub async fn pass<F>(&self, leg: Leg, request: Request, forward: F) -> Response
    where
        F: Fn(Request) -> Pin<Box<dyn Future<Output = Response> + Send>>,
    {
        let what = format!("{leg:?} {} {}", request.method(), request.uri().path());
        // A new order or payment each time is right for Razorpay; only what it knows again can come twice.
        let path = request.uri().path();
        let repeatable = leg != Leg::Razorpay || path.ends_with("/capture") || path.ends_with("/refund");
        let changes = request.method() == Method::POST && repeatable;
        let Some(fault) = self.fault(leg, changes) else {
            return forward(request).await;
        };
        self.count(fault.name());
        self.note(format!("{what}: {fault:?}"));
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, MOST).await.unwrap_or_default();
        let call = || forward(Request::from_parts(parts.clone(), Body::from(body.clone())));
        let outside = self.outside.get();
        match fault {
            Fault::Kill(when) => {
                if when == When::After {
                    let _ = call().await;
                }
                self.kill.notify_one();
                std::future::pending().await
            }
            Fault::Failure(when) | Fault::Html(when) | Fault::Broken(when) => {
                if when == When::After {
                    let _ = call().await;
                }
                failure(fault)
            }
            Fault::Twice => {
                let _ = call().await;
                call().await
            }
            Fault::Slow(time) => {
                tokio::time::sleep(time).await;
                call().await
            }
            Fault::Jump(seconds) => {
                if let Some(outside) = outside {
                    outside.jump(seconds).await;
                }
                call().await
            }
            Fault::Meanwhile => {
                if let Some(outside) = outside {
                    let _ = tokio::time::timeout(MEANWHILE, outside.meanwhile()).await;
                }
                call().await
            }
        }
    }
}

fn failure(fault: Fault) -> Response {
    match fault {
        Fault::Html(_) => (
            StatusCode::BAD_GATEWAY,
            [("content-type", "text/html")],
            "<html>bad gateway</html>",
        )
            .into_response(),
        Fault::Broken(_) => {
            let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
            let body = futures_util::stream::iter([Err::<Bytes, _>(broken)]);
            Response::new(Body::from_stream(body))
        }
        _ => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}
