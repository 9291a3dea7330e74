//! The checker: whether what Razorpay has, what payments and events say, and what people were told agree.

use std::collections::HashMap;

use axum::http::Method;
use serde_json::Value;
use tokio::process::Command;

use crate::world::World;

/// Time that passes between two looks, in seconds: past a lease, a hold, a back-off, a sweep, and what a bank may take.
const ROUNDS: [i64; 9] = [
    25,
    25,
    16 * 60,
    65 * 60,
    65 * 60,
    65 * 60,
    25 * 3600,
    25 * 3600,
    6 * 24 * 3600,
];
/// Looks in a round, and milliseconds between them.
const LOOKS: usize = 12;
const BETWEEN: u64 = 60;

/// A payment at Razorpay.
struct AtRazorpay {
    order: String,
    captured: i64,
    refunded: i64,
    authorized: bool,
}

impl World {
    /// Lets the world come to rest, and gives what does not agree then.
    ///
    /// Rest is reached when all agrees; what a back-off or a lost webhook has left to a later hour is given that hour.
    pub async fn rest(&self) -> Vec<String> {
        self.control("/refunds", serde_json::json!({"hold": false})).await;
        let mut found = Vec::new();
        for (round, seconds) in ROUNDS.into_iter().enumerate() {
            self.jump(seconds).await;
            self.process_refunds().await;
            // What looks every minute by the machine's clock looks at its start too.
            self.restart().await;
            for _ in 0..LOOKS {
                tokio::time::sleep(std::time::Duration::from_millis(BETWEEN)).await;
                found = self.differences().await;
                if found.is_empty() {
                    break;
                }
            }
            if found.is_empty() && self.webhooks() == 0 {
                self.wire.calm(true);
                let (fine, told) = self.ledger_check().await;
                if fine && told.contains(" 0 payments have a message on their way") {
                    self.wire.note(format!("at rest after round {round}"));
                    return self.violations.lock().clone();
                }
                found.push(told);
            }
        }
        found.extend(self.violations.lock().iter().cloned());
        found.push(format!("no rest, {} webhooks on their way", self.webhooks()));
        found
    }

    async fn process_refunds(&self) {
        let refunds = self.all("/v1/refunds").await;
        for refund in refunds.iter().filter(|one| one["status"] == "pending") {
            let id = refund["id"].as_str().unwrap_or_default();
            self.control(&format!("/refunds/{id}/process"), serde_json::json!({}))
                .await;
        }
    }

    /// `organise-event ledger check` beside the running product.
    async fn ledger_check(&self) -> (bool, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_organise-event"))
            .args(["ledger", "check"])
            .current_dir(self.dir.path())
            .env_clear()
            .env("DATA_DIR", self.dir.path())
            .env("RAZORPAY_SIMULATOR_PORT", self.port.to_string())
            .output()
            .await
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&text).into_owned(),
        )
    }

    async fn all(&self, path: &str) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let page = self
                .razorpay(&format!("{path}?count=100&skip={}", all.len()), None)
                .await;
            let items = page["items"].as_array().cloned().unwrap_or_default();
            if items.is_empty() {
                return all;
            }
            all.extend(items);
        }
    }

    async fn at_razorpay(&self) -> HashMap<String, AtRazorpay> {
        let all = self.all("/v1/payments").await;
        let of = |payment: &Value| {
            let paise = |name: &str| payment[name].as_i64().unwrap_or(0);
            let captured = payment["captured"] == true;
            AtRazorpay {
                order: payment["order_id"].as_str().unwrap_or_default().to_owned(),
                captured: if captured { paise("amount") } else { 0 },
                refunded: if captured { paise("amount_refunded") } else { 0 },
                authorized: payment["status"] == "authorized",
            }
        };
        all.iter()
            .map(|payment| (payment["id"].as_str().unwrap_or_default().to_owned(), of(payment)))
            .collect()
    }

    async fn payments(&self, person: usize) -> Option<Vec<Value>> {
        let path = "/api/payment/payments?limit=100";
        let answer = self
            .call(&self.people[person].token, Method::GET, path, None, None)
            .await?;
        (answer.status == 200).then(|| answer.json().as_array().cloned().unwrap_or_default())
    }

    /// What does not agree now.
    async fn differences(&self) -> Vec<String> {
        let there = self.at_razorpay().await;
        let events = self.events.lock().clone();
        let mut found = Vec::new();
        let mut known: HashMap<String, (usize, usize)> = HashMap::new();
        let mut goes_back = HashMap::new();
        let mut taken = vec![0; events.len()];
        let mut confirmed_by: HashMap<(usize, usize), Option<String>> = HashMap::new();
        for person in 0..self.people.len() {
            let lists = (self.payments(person).await, self.registrations(person).await);
            let (Some(payments), Some(registrations)) = lists else {
                return vec!["the product does not answer".to_owned()];
            };
            for payment in &payments {
                let text = |name: &str| payment[name].as_str().unwrap_or_default();
                let reason = payment["refund"]["reason"].as_str().map(str::to_owned);
                goes_back.insert(text("payment_id").to_owned(), reason);
                let event = events.iter().position(|event| event == text("event_id"));
                known.insert(
                    text("razorpay_payment_id").to_owned(),
                    (person, event.unwrap_or(0)),
                );
            }
            for (event, id) in events.iter().enumerate() {
                let of = registrations.iter().filter(|one| one["event_id"] == id.as_str());
                let live: Vec<_> = of
                    .filter(|one| one["status"] == "confirmed" || one["status"] == "pending_payment")
                    .collect();
                if live.len() > 1 {
                    found.push(format!(
                        "{person} has {} live registrations for {event}",
                        live.len()
                    ));
                }
                taken[event] += live.len();
                if let Some(one) = live.iter().find(|one| one["status"] == "confirmed") {
                    let payment = one["payment_id"].as_str();
                    let by = payments.iter().find(|one| one["payment_id"].as_str() == payment);
                    let razorpay = by.and_then(|by| by["razorpay_payment_id"].as_str());
                    confirmed_by.insert((person, event), razorpay.map(str::to_owned));
                }
            }
        }
        self.orders_are_made_once(&mut found).await;
        self.seats_agree(&events, &taken, &mut found).await;
        self.money_agrees(&there, &known, &confirmed_by, &mut found);
        self.promises_are_kept(&confirmed_by, &goes_back, &mut found);
        found
    }

    /// A second order for one of ours would take payments that nobody looks for.
    async fn orders_are_made_once(&self, found: &mut Vec<String>) {
        let mut receipts = HashMap::new();
        for order in self.all("/v1/orders").await {
            let receipt = order["receipt"].to_string();
            if let Some(first) = receipts.insert(receipt, order["id"].clone()) {
                found.push(format!("{first} and {} are one order of ours", order["id"]));
            }
        }
    }

    /// I1: no seat is sold twice, and none is lost.
    async fn seats_agree(&self, events: &[String], taken: &[usize], found: &mut Vec<String>) {
        for (event, id) in events.iter().enumerate() {
            let path = format!("/api/events/{id}");
            let answer = self.call(&self.organizer, Method::GET, &path, None, None).await;
            let shown = answer.map(|answer| answer.json()).unwrap_or_default();
            let (capacity, registered) = (shown["capacity"].as_u64(), shown["registered"].as_u64());
            if registered != Some(taken[event] as u64) || capacity < registered {
                let held = taken[event];
                found.push(format!(
                    "{registered:?} of {capacity:?} seats of {event} are taken, by {held} people"
                ));
            }
        }
    }

    /// I3 and I4: money is where it belongs.
    fn money_agrees(
        &self,
        there: &HashMap<String, AtRazorpay>,
        known: &HashMap<String, (usize, usize)>,
        confirmed_by: &HashMap<(usize, usize), Option<String>>,
        found: &mut Vec<String>,
    ) {
        let mut orders: HashMap<&str, usize> = HashMap::new();
        for (id, payment) in there {
            let left = payment.captured - payment.refunded;
            if left < 0 {
                found.push(format!("{id}: more was sent back than captured"));
            }
            if payment.authorized && !known.contains_key(id) {
                found.push(format!("{id} is authorized, and nobody knows of it"));
            }
            if left <= 0 {
                continue;
            }
            *orders.entry(&payment.order).or_default() += 1;
            match known.get(id) {
                None => found.push(format!("{id} is captured, and nobody knows of it")),
                Some(of) if confirmed_by.get(of).and_then(Option::as_deref) != Some(id) => {
                    let (person, event) = of;
                    found.push(format!(
                        "{left} paise of {id} are kept, and it has confirmed nothing of {person} for {event}"
                    ));
                }
                Some(_) => {}
            }
        }
        for (order, payments) in orders {
            if payments > 1 {
                found.push(format!("{order} keeps the money of {payments} payments"));
            }
        }
        for ((person, event), by) in confirmed_by {
            let paid = by.as_ref().and_then(|by| there.get(by));
            if paid.is_none_or(|paid| paid.captured <= paid.refunded) {
                found.push(format!(
                    "{person} is confirmed for {event} by {by:?}, whose money is not there"
                ));
            }
        }
    }

    /// I5: who was told that it is paid has a ticket, unless it was cancelled or sent back; and a key has one answer.
    ///
    /// One more reason counts: the message to events came later than the minute for which the seat of a capture is sure,
    /// which only a jump of the clock or an outage can make it, and meanwhile another had the last seat.
    fn promises_are_kept(
        &self,
        confirmed_by: &HashMap<(usize, usize), Option<String>>,
        goes_back: &HashMap<String, Option<String>>,
        found: &mut Vec<String>,
    ) {
        let (promises, ended) = (self.promises.lock(), self.ended.lock());
        let mut by_key = HashMap::new();
        for promise in promises.iter() {
            let of = (promise.person, promise.event);
            let (person, event) = of;
            if let Some(key) = &promise.key
                && *by_key.entry((person, key)).or_insert(&promise.text) != &promise.text
            {
                found.push(format!("key {key} of {person} has two answers"));
            }
            let told: Value = serde_json::from_str(&promise.text).unwrap_or_default();
            let payment = told["payment_id"].as_str().unwrap_or_default();
            let reason = goes_back.get(payment).and_then(Option::as_deref);
            let slow = self.jumps() > promise.jumps && reason == Some("no_seat");
            let refunded = self.refunded.lock();
            let was_refunded = |of: &str| refunded.iter().any(|id| told[of] == id.as_str());
            // Of two payments for one order the second goes back as a duplicate; then the ticket is the first one's.
            let sent_back = was_refunded("razorpay_payment_id")
                || (reason == Some("duplicate") && was_refunded("razorpay_order_id"));
            if !confirmed_by.contains_key(&of) && !ended.contains(&of) && !sent_back && !slow {
                found.push(format!(
                    "{person} was told at {} that {event} is paid, and has no ticket; back because of {reason:?}: {}",
                    promise.at, promise.text
                ));
            }
        }
    }
}
