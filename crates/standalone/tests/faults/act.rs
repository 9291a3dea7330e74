//! What payers, organizers, banks and Razorpay's dashboard do, by the dice.

use std::{future::Future, pin::Pin, sync::Arc};

use axum::http::Method;
use serde_json::{Value, json};

use crate::{
    fault::{PAST_HOLD, PAST_LEASE},
    world::{Promise, World},
};

/// The price of every event.
const PAISE: i64 = 50_000;

/// Somebody does something.
pub fn act(world: Arc<World>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let (person, event) = world.pair();
        match world.dice(36) {
            0..=3 => world.register(person, event).await,
            4..=12 => world.pay(person, event).await,
            13..=15 => world.storm(person, event).await,
            16..=18 => world.checkout().await,
            19..=21 => world.at_the_bank().await,
            22 | 23 => world.cancel(person, event).await,
            24 if world.dice(3) == 0 => world.cancel_event(event).await,
            24..=26 => world.refund_outside().await,
            27 => world.refund_turns().await,
            28 => {
                let hold = world.dice(2) == 0;
                world.control("/refunds", json!({"hold": hold})).await;
            }
            29 | 30 => world.jump([1, 5, PAST_LEASE][world.dice(3)]).await,
            31 => world.jump(PAST_HOLD).await,
            32 => world.kill_now(),
            33 | 34 => world.capture_outside().await,
            _ => world.verify_any().await,
        }
    })
}

impl World {
    /// A person, and an event.
    pub fn pair(&self) -> (usize, usize) {
        (self.dice(self.people.len()), self.dice(self.events.lock().len()))
    }

    fn event(&self, event: usize) -> String {
        self.events.lock()[event].clone()
    }

    /// Creates one event.
    pub async fn create_event(&self, capacity: usize) {
        let start = common::time::utc(self.now() + chrono::TimeDelta::days(300));
        let body = json!({"e_name": "Rust evening", "e_details": "About things that last.", "event_time": start,
                          "event_add": "Hall 7", "capacity": capacity, "fees": PAISE / 100});
        let path = "/api/organiser/create_event";
        let created = self
            .call(&self.organizer, Method::POST, path, Some(body), None)
            .await;
        let created = created.expect("nothing has gone wrong yet");
        let id = created.json()["event_id"].as_str().map(str::to_owned);
        let id = id.unwrap_or_else(|| panic!("{}", created.text));
        self.events.lock().push(id);
    }

    /// Registers.
    pub async fn register(&self, person: usize, event: usize) {
        let body = json!({"event_id": self.event(event)});
        let path = "/api/reg/register_event";
        let token = &self.people[person].token;
        let answer = self.call(token, Method::POST, path, Some(body), None).await;
        self.note_answer(
            format!("{person} registers for {event}"),
            answer.as_ref().map(|it| it.status),
        );
    }

    /// Pays, sometimes with a key that was used before, sometimes in vain.
    pub async fn pay(&self, person: usize, event: usize) {
        let key = match self.dice(4) {
            0 => None,
            1 => Some(format!("key {person} {event}")),
            _ => Some(format!("key {}", self.dice(1 << 30))),
        };
        self.pay_with(person, event, key).await;
    }

    /// Pays under this key.
    pub async fn pay_with(&self, person: usize, event: usize, key: Option<String>) {
        let who = &self.people[person];
        let mut body = json!({"event_id": self.event(event), "amount": PAISE / 100, "user_id": who.id,
                              "payment_method": "upi"});
        // The same key goes with the same body.
        if key
            .as_deref()
            .is_none_or(|key| !key.contains(&format!("{person} {event}")))
        {
            match self.dice(8) {
                0 => body["upi_vpa"] = json!("failure@razorpay"),
                1 | 2 => body["payment_method"] = json!("netbanking"),
                _ => {}
            }
        }
        let path = "/api/payment/process_payment";
        // Before the first try: the clock may jump between the capture and the answer.
        let jumps = self.jumps();
        let mut answer = None;
        for _ in 0..3 {
            answer = self
                .call(&who.token, Method::POST, path, Some(body.clone()), key.as_deref())
                .await;
            let status = answer.as_ref().map(|answer| answer.status);
            self.note_answer(format!("{person} pays for {event}, key {key:?}"), status);
            // Who gets no answer presses the button again.
            if status.is_some_and(|status| status < 500) {
                break;
            }
        }
        let Some(answer) = answer else { return };
        if answer.status == 500 {
            self.violation(format!("500 for a payment: {}", answer.text));
        }
        if answer.status == 200 {
            let text = answer.text;
            let at = self.now();
            self.promises.lock().push(Promise {
                person,
                event,
                at,
                jumps,
                key,
                text,
            });
        }
    }

    /// The button is pressed five times at once.
    async fn storm(&self, person: usize, event: usize) {
        self.wire.count("five requests at once");
        let key = (self.dice(2) == 0).then(|| format!("storm {}", self.dice(1 << 30)));
        let presses = (0..5).map(|_| self.pay_with(person, event, key.clone()));
        futures_util::future::join_all(presses).await;
    }

    async fn list(&self, path: &str) -> Vec<Value> {
        let list = self.razorpay(path, None).await;
        list["items"].as_array().cloned().unwrap_or_default()
    }

    /// Some payment at Razorpay that is one of these.
    async fn some_payment(&self, is: &[&str]) -> Option<Value> {
        let mut payments = self.list("/v1/payments?count=100").await;
        payments.retain(|one| is.iter().any(|status| one["status"] == *status));
        self.choose(&payments).cloned()
    }

    /// A second tab, or a page that was left open: another payment for some order.
    async fn checkout(&self) {
        let orders = self.list("/v1/orders?count=100").await;
        let Some(order) = self.choose(&orders) else { return };
        let id = order["id"].as_str().unwrap_or_default();
        let body = json!({"amount": order["amount"], "currency": "INR", "order_id": id, "email": "a@example.com",
                          "contact": "+919876543210", "method": "netbanking", "bank": "HDFC"});
        let made = self.razorpay("/v1/payments/create/json", Some(body)).await;
        let Some(payment) = made["razorpay_payment_id"].as_str() else {
            return;
        };
        self.wire.count_act("another payment for an order");
        self.wire.note(format!("{payment} for {id} by another tab"));
        if self.dice(2) == 0 {
            self.verify(id, payment).await;
        }
    }

    /// The payer's step, the bank's answer, or both late.
    async fn at_the_bank(&self) {
        let Some(payment) = self.some_payment(&["created", "failed"]).await else {
            return;
        };
        let id = payment["id"].as_str().unwrap_or_default();
        if payment["status"] == "failed" {
            self.wire.count_act("authorized late");
        } else {
            match self.dice(8) {
                0 => {
                    self.wire.count_act("failed at the bank");
                    self.control(&format!("/payments/{id}/fail"), json!({})).await;
                    return;
                }
                1 | 2 => {
                    self.wire.count_act("offer or fee");
                    let amount = [45_000, 51_180][self.dice(2)];
                    self.control(&format!("/payments/{id}/adjust"), json!({"amount": amount}))
                        .await;
                }
                3 => {
                    self.wire.count_act("less than due");
                    let less = json!({"amount": 100, "settles": 0});
                    self.control(&format!("/payments/{id}/adjust"), less).await;
                }
                _ => {}
            }
        }
        self.wire.note(format!("{id} is authorized by the bank"));
        self.control(&format!("/payments/{id}/authorize"), json!({}))
            .await;
    }

    /// Somebody captures at Razorpay's dashboard what the product has not captured, or has let go.
    async fn capture_outside(&self) {
        let Some(payment) = self.some_payment(&["authorized"]).await else {
            return;
        };
        let id = payment["id"].as_str().unwrap_or_default();
        let body = json!({"amount": payment["amount"], "currency": "INR"});
        let captured = self
            .razorpay(&format!("/v1/payments/{id}/capture"), Some(body))
            .await;
        if captured["status"] == "captured" {
            self.wire.count_act("captured at Razorpay");
            self.wire.note(format!("{id} is captured at Razorpay"));
        }
    }

    async fn verify_any(&self) {
        let payments = self.list("/v1/payments?count=100").await;
        let Some(payment) = self.choose(&payments) else {
            return;
        };
        let text = |name: &str| payment[name].as_str().unwrap_or_default().to_owned();
        self.verify(&text("order_id"), &text("id")).await;
    }

    /// Some browser brings the callback.
    async fn verify(&self, order: &str, payment: &str) {
        let person = self.dice(self.people.len());
        let (token, callback) = (&self.people[person].token, self.callback(order, payment));
        let path = "/api/payment/verify";
        let answer = self.call(token, Method::POST, path, Some(callback), None).await;
        self.note_answer(format!("{person} verifies {payment}"), answer.map(|it| it.status));
    }

    /// Somebody's registrations, as the product lists them.
    pub async fn registrations(&self, person: usize) -> Option<Vec<Value>> {
        let path = "/api/reg/get_registrevent?status=all";
        let answer = self
            .call(&self.people[person].token, Method::GET, path, None, None)
            .await?;
        (answer.status == 200).then(|| answer.json().as_array().cloned().unwrap_or_default())
    }

    /// Cancels somebody's registration.
    pub async fn cancel(&self, person: usize, event: usize) {
        let id = self.event(event);
        let all = self.registrations(person).await.unwrap_or_default();
        let Some(one) = all.iter().find(|one| one["event_id"] == id.as_str()) else {
            return;
        };
        self.wire.count_act("registration cancelled");
        self.may_end(person, event);
        let path = format!(
            "/api/reg/registrations/{}",
            one["registration_id"].as_str().unwrap_or_default()
        );
        let answer = self
            .call(&self.people[person].token, Method::DELETE, &path, None, None)
            .await;
        self.note_answer(format!("{person} cancels {event}"), answer.map(|it| it.status));
    }

    async fn cancel_event(&self, event: usize) {
        self.wire.count_act("event cancelled");
        (0..self.people.len()).for_each(|person| self.may_end(person, event));
        let path = format!("/api/organiser/events/{}/cancel", self.event(event));
        let answer = self
            .call(&self.organizer, Method::POST, &path, Some(json!({})), None)
            .await;
        self.note_answer(format!("event {event} is cancelled"), answer.map(|it| it.status));
    }

    /// An organizer sends money back at Razorpay's dashboard.
    async fn refund_outside(&self) {
        let Some(payment) = self.some_payment(&["captured"]).await else {
            return;
        };
        let (id, amount) = (
            payment["id"].as_str().unwrap_or_default(),
            payment["amount"].as_i64().unwrap_or(0),
        );
        let amount = [amount, 100, 20_000][self.dice(3)];
        // Noted before it is done: what happens during a call may be cut off between the two.
        let order = payment["order_id"].as_str().unwrap_or_default();
        self.refunded.lock().extend([id, order].map(str::to_owned));
        let path = format!("/v1/payments/{id}/refund");
        let made = self.razorpay(&path, Some(json!({"amount": amount}))).await;
        if made["id"].is_string() {
            self.wire.count_act("refund at Razorpay");
            self.wire
                .note(format!("{amount} of {id} is sent back at Razorpay"));
        }
    }

    /// A refund fails at the bank, or is processed.
    async fn refund_turns(&self) {
        let refunds = self.list("/v1/refunds?count=100").await;
        let Some(refund) = self.choose(&refunds) else {
            return;
        };
        let id = refund["id"].as_str().unwrap_or_default();
        let turn = ["process", "fail"][self.dice(2)];
        self.wire.count_act("refund failed or processed late");
        self.wire
            .note(format!("{id} of {}: {turn}", refund["payment_id"]));
        self.control(&format!("/refunds/{id}/{turn}"), json!({})).await;
    }

    /// A call of the simulator's controls.
    pub async fn control(&self, path: &str, body: Value) -> Value {
        self.razorpay(&format!("/sim/control{path}"), Some(body)).await
    }

    fn kill_now(&self) {
        if !self.wire.is_calm() {
            self.wire.count("killed at any moment");
            self.wire.note("killed");
            self.wire.kill.notify_one();
        }
    }

    fn note_answer(&self, what: String, status: Option<u16>) {
        match status {
            Some(status) => self.wire.note(format!("{what}: {status}")),
            None => self.wire.note(format!("{what}: no answer")),
        }
    }
}
