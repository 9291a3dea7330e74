//! Razorpay as it is seen from outside the product: the simulator's API, its controls, and the webhooks it signs.

use std::path::PathBuf;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{System, people};

/// The simulator of a system that was started with `SIMULATOR_CONTROLS` on.
pub struct Razorpay {
    http: reqwest::Client,
    url: String,
    gateway: String,
    data: PathBuf,
}

impl Razorpay {
    /// That of this system.
    pub fn of(system: &System) -> Self {
        Self {
            http: people::http_client(),
            url: system.service_url("RAZORPAY_SIMULATOR_PORT"),
            gateway: system.url(),
            data: system.data(),
        }
    }

    fn secret(&self, name: &str) -> String {
        let secret = std::fs::read_to_string(self.data.join(name)).expect("a secret");
        secret.trim().to_owned()
    }

    /// A call of the API, with the system's keys. A body makes it a POST.
    pub async fn call(&self, path: &str, body: Option<Value>) -> Value {
        let url = format!("{}{path}", self.url);
        let request = match body {
            Some(body) => self.http.post(url).json(&body),
            None => self.http.get(url),
        };
        let secret = self.secret("razorpay_key_secret");
        let response = request
            .basic_auth("rzp_test_simulator", Some(secret))
            .send()
            .await;
        let text = response.expect("an answer").text().await.expect("a text");
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{path}: {text}"))
    }

    /// A call of the controls.
    pub async fn control(&self, path: &str, body: Value) -> Value {
        let answer = self.call(&format!("/sim/control{path}"), Some(body)).await;
        assert!(answer["error"].is_null(), "{path}: {answer}");
        answer
    }

    /// The next calls go wrong.
    pub async fn fault(&self, fault: Value) {
        self.control("/faults", fault).await;
    }

    /// Sends a body to the webhook, signed as Razorpay signs.
    pub async fn webhook(&self, id: &str, body: &[u8]) -> reqwest::Response {
        let secret = self.secret("razorpay_webhook_secret");
        let request = self.http.post(format!("{}/api/payment/webhook", self.gateway));
        request
            .header("content-type", "application/json")
            .header("x-razorpay-event-id", id)
            .header("x-razorpay-signature", sign(body, &secret))
            .body(body.to_vec())
            .send()
            .await
            .expect("an answer")
    }

    /// Sends a webhook about entities.
    pub async fn report(&self, id: &str, event: &str, entities: &[(&str, &Value)]) {
        let payload: serde_json::Map<String, Value> = entities
            .iter()
            .map(|(name, entity)| ((*name).to_owned(), json!({"entity": entity})))
            .collect();
        let body = json!({"entity": "event", "event": event, "payload": payload});
        assert_eq!(self.webhook(id, body.to_string().as_bytes()).await.status(), 200);
    }

    /// What Checkout hands to the browser at the end of a payment.
    pub fn callback(&self, order: &str, payment: &str) -> Value {
        let signature = sign(
            format!("{order}|{payment}").as_bytes(),
            &self.secret("razorpay_key_secret"),
        );
        json!({"razorpay_order_id": order, "razorpay_payment_id": payment, "razorpay_signature": signature})
    }
}

fn sign(message: &[u8], secret: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key will do");
    mac.update(message);
    mac.finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
