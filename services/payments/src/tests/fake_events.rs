//! A fake events service that holds a seat for every payer.

use std::{collections::HashMap, net::Ipv4Addr, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Uri, header},
    response::Response,
};
use chrono::TimeDelta;
use common::{
    http::{Pipeline, Upstream},
    ids::{EventId, PaymentId, RegistrationId, UserId},
    metrics::Metrics,
    money::Paise,
    outbox::{self, CloudEvent, Receipt},
    wire::{ClaimSeat, PaymentCaptured, SeatClaim, kind, service},
};
use parking_lot::Mutex;
use runtime::process::Context;
use serde_json::json;

use super::troubles::{Troubles, json};

/// The price of every seat, in paise.
pub const PRICE: i64 = 50_000;

/// The calls by name.
pub const CLAIM: &str = "claim";
pub const SECURE: &str = "secure";
pub const RELEASE: &str = "release";
pub const ORGANIZER: &str = "organizer";

#[derive(Clone)]
pub struct FakeEvents(Arc<Inner>);

struct Inner {
    troubles: Troubles,
    context: Context,
    organizer: UserId,
    books: Mutex<Books>,
}

struct Books {
    seats: HashMap<(EventId, UserId), SeatClaim>,
    /// How long a hold is; `None`: not part of the claim, so that the seat is secured before each capture.
    hold: Option<TimeDelta>,
    /// Why a seat is not secured.
    refuses: Option<&'static str>,
    /// The effect in the receipt of captured money.
    effect: &'static str,
    captured: Vec<PaymentId>,
}

impl FakeEvents {
    pub fn new(context: &Context) -> Self {
        let books = Books {
            seats: HashMap::new(),
            hold: Some(TimeDelta::seconds(900)),
            refuses: None,
            effect: "confirmed",
            captured: Vec::new(),
        };
        Self(Arc::new(Inner {
            troubles: Troubles::default(),
            context: context.clone(),
            organizer: UserId::new(),
            books: Mutex::new(books),
        }))
    }

    pub fn troubles(&self) -> &Troubles {
        &self.0.troubles
    }

    /// The organizer of every event.
    pub fn organizer(&self) -> UserId {
        self.0.organizer
    }

    /// Leaves the end of the hold out of claims, so that the seat has to be secured before a capture.
    pub fn has_to_be_asked(&self) {
        self.0.books.lock().hold = None;
    }

    /// Seats are not secured, for this reason.
    pub fn refuses(&self, reason: &'static str) {
        self.0.books.lock().refuses = Some(reason);
    }

    /// Captured money has this effect.
    pub fn decides(&self, effect: &'static str) {
        self.0.books.lock().effect = effect;
    }

    /// The payments in the messages that it consumed, repeats included.
    pub fn captured(&self) -> Vec<PaymentId> {
        self.0.books.lock().captured.clone()
    }

    pub fn upstream(&self) -> Upstream {
        let (upstream, slot) = Upstream::local();
        let router = Router::new().fallback(call).with_state(self.clone());
        let pipeline = Pipeline::new(service::EVENTS, router, Metrics::new(service::EVENTS, Vec::new()));
        assert!(slot.set(pipeline).is_ok());
        upstream
    }

    /// The same over a socket, which passes responses on as they are.
    pub fn upstream_on_a_port(&self) -> Upstream {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(call).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Upstream::remote(&url).unwrap()
    }

    fn claim(&self, question: &ClaimSeat) -> SeatClaim {
        let mut books = self.0.books.lock();
        let held_until = books.hold.map(|hold| self.0.context.clock.now() + hold);
        let key = (question.event_id, question.user_id);
        let seat = books.seats.entry(key).or_insert_with(|| SeatClaim {
            registration_id: RegistrationId::new(),
            confirmed: false,
            amount: Paise(PRICE),
            payment_id: None,
            event_name: "Rust evening".to_owned(),
            held_until: None,
        });
        seat.held_until = held_until;
        seat.clone()
    }

    fn take(&self, message: &CloudEvent) -> Receipt {
        if message.kind != kind::PAYMENT_CAPTURED {
            return Receipt::accepted(message.id);
        }
        let told: PaymentCaptured = message.data().unwrap();
        let mut books = self.0.books.lock();
        books.captured.push(told.payment_id);
        if books.effect == "confirmed" {
            let seats = books.seats.values_mut();
            for seat in seats.filter(|seat| seat.registration_id == told.registration_id) {
                (seat.confirmed, seat.payment_id) = (true, Some(told.payment_id));
            }
        }
        Receipt::with_effect(message.id, books.effect)
    }
}

async fn call(State(events): State<FakeEvents>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let token = headers[header::AUTHORIZATION].to_str().unwrap();
    let token = token.strip_prefix("Bearer ").unwrap();
    let auth = events.0.context.auth(service::EVENTS);
    assert_eq!(auth.verify_service(token).unwrap(), service::PAYMENTS);
    let (name, right): (_, Box<dyn FnOnce() -> Response + Send>) = match uri.path() {
        "/internal/registrations/claim" => {
            let events = events.clone();
            let question: ClaimSeat = serde_json::from_slice(&body).unwrap();
            (
                CLAIM,
                Box::new(move || json(200, &serde_json::to_value(events.claim(&question)).unwrap())),
            )
        }
        "/internal/registrations/secure" => {
            let refused = events.0.books.lock().refuses;
            let until = events.0.context.clock.now();
            let hold = json!({"registration_id": RegistrationId::new(), "before": until, "until": until});
            let extended = refused.is_none().then_some(hold);
            let secured = json!({"refused": refused, "extended": extended});
            (SECURE, Box::new(move || json(200, &secured)))
        }
        "/internal/registrations/release" => (RELEASE, Box::new(|| json(200, &json!(null)))),
        "/internal/events/organizer" => {
            let organizer = events.0.organizer;
            (
                ORGANIZER,
                Box::new(move || json(200, &json!({"organizer": organizer}))),
            )
        }
        outbox::PATH => {
            let events = events.clone();
            let batch: Vec<CloudEvent> = serde_json::from_slice(&body).unwrap();
            let receipts = move || {
                let receipts: Vec<_> = batch.iter().map(|message| events.take(message)).collect();
                json(200, &serde_json::to_value(receipts).unwrap())
            };
            ("messages", Box::new(receipts))
        }
        path => panic!("payments asks events for {path}"),
    };
    events.0.troubles.answer(name, right).await
}
