//! Razorpay's API, as far as we use it: orders, payments, captures and refunds.

pub mod signature;
pub mod types;
pub mod webhook;

use std::time::Duration;

use common::{clock::Timestamp, ids::RefundId, money::Paise, settings::RazorpayKeys};
use reqwest::{Method as Verb, StatusCode};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::Instant;

use self::types::{
    Collection, ErrorBody, OrderEntity, PaymentCreated, PaymentEntity, REFUND_NOTE, RefundEntity,
};
use crate::domain::{
    method::{Instrument, Method},
    order::Order,
};

const CONNECT: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(5);
/// Pauses before the retries of a GET without a usable answer, within [`ANSWER`]: Razorpay answers 500, 502 and 504 now
/// and then, and the payer waits.
const ASK_AGAIN: [Duration; 3] = [
    Duration::from_millis(50),
    Duration::from_millis(250),
    Duration::from_secs(1),
];
/// Entities per page: Razorpay's maximum.
const PAGE: usize = 100;
/// The most pages of one order's payments; each payment takes an action of the payer.
const MOST_PAGES: usize = 50;

/// How long authorized money waits for a capture before Razorpay releases it. Longer than any outage that is to be
/// bridged; shorter than the five days after which payers would otherwise get back money that was not captured.
const CAPTURE_WITHIN_MINUTES: u32 = 24 * 60;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum RazorpayError {
    /// Razorpay refused the call; a retry would be refused again.
    #[error("Razorpay refused ({status}): {reason}: {description}")]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// The machine-readable reason; empty if there is none.
        reason: String,
        /// A text for humans.
        description: String,
    },
    /// Razorpay does not accept our keys. The payer cannot do anything about it.
    #[error("Razorpay does not accept the API keys")]
    Keys,
    /// No answer, or an unusable one. The call may have had its effect.
    #[error("Razorpay could not be asked: {0}")]
    Unclear(String),
}

/// A connection to Razorpay. Cheap to clone.
#[derive(Clone)]
pub struct Razorpay {
    http: reqwest::Client,
    base: String,
    keys: RazorpayKeys,
}

/// The payer's contact details, which Razorpay requires.
pub struct Payer {
    /// E-mail address.
    pub email: String,
    /// Phone number.
    pub contact: String,
}

/// An HTTP client with short timeouts.
///
/// # Errors
/// When it cannot be built.
pub fn http_client() -> Result<reqwest::Client, String> {
    // Two TLS back ends are in the dependency tree; the first one installed serves the process, and a second call has
    // no effect.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent("organise-event")
        .build()
        .map_err(|error| format!("no HTTP client: {error}"))
}

impl Razorpay {
    /// `base` is the URL without `/v1`.
    ///
    /// # Errors
    /// When no HTTP client can be built.
    pub fn new(base: &str, keys: RazorpayKeys) -> Result<Self, String> {
        Ok(Self {
            http: http_client()?,
            base: base.trim_end_matches('/').to_owned(),
            keys,
        })
    }

    /// The keys in use.
    pub fn keys(&self) -> &RazorpayKeys {
        &self.keys
    }

    /// Creates an order whose payments wait for a capture by this service.
    ///
    /// # Errors
    /// When it was not created, or that is unknown.
    pub async fn create_order(&self, order: &Order) -> Result<OrderEntity, RazorpayError> {
        let body = json!({
            "amount": order.amount,
            "currency": "INR",
            "receipt": order.receipt(),
            // A retry, after a lost answer or a crash, gets the same order.
            "unique_receipt": true,
            "payment": {"capture": "manual", "capture_options": {
                "manual_expiry_period": CAPTURE_WITHIN_MINUTES,
                "refund_speed": "normal",
            }},
            "notes": {"registration_id": order.registration_id, "event_id": order.event_id},
        });
        self.call(Verb::POST, "/v1/orders", Some(body), None).await
    }

    /// Razorpay's order for ours, if there is one.
    ///
    /// # Errors
    /// When it could not be determined.
    pub async fn order_by_receipt(&self, order: &Order) -> Result<Option<OrderEntity>, RazorpayError> {
        let receipt = order.receipt();
        let path = format!("/v1/orders?receipt={receipt}&count=10");
        let found: Collection<OrderEntity> = self.call(Verb::GET, &path, None, None).await?;
        // The answer is compared, not trusted: an order of a deleted payment or with another receipt would be another
        // payer's.
        Ok(found
            .items
            .into_iter()
            .find(|item| item.receipt.as_deref() == Some(&receipt)))
    }

    /// An order.
    ///
    /// # Errors
    /// When it could not be fetched.
    pub async fn order(&self, id: &str) -> Result<OrderEntity, RazorpayError> {
        self.call(Verb::GET, &format!("/v1/orders/{id}"), None, None)
            .await
    }

    /// Every payment of an order, in no particular order.
    ///
    /// # Errors
    /// When they could not be fetched.
    pub async fn payments_of(&self, order: &str) -> Result<Vec<PaymentEntity>, RazorpayError> {
        let mut all: Vec<PaymentEntity> = Vec::new();
        for page in 0..MOST_PAGES {
            let path = format!("/v1/orders/{order}/payments?count={PAGE}&skip={}", page * PAGE);
            let found: Collection<PaymentEntity> = self.call(Verb::GET, &path, None, None).await?;
            let full = found.items.len() >= PAGE;
            let before = all.len();
            for payment in found.items {
                if !all.iter().any(|known| known.id == payment.id) {
                    all.push(payment);
                }
            }
            // Razorpay does not document whether this list is paged; if it is not, every page is the same.
            if !full || all.len() == before {
                return Ok(all);
            }
        }
        Err(RazorpayError::Unclear(format!(
            "order {order} has more payments than can be read"
        )))
    }

    /// One payment.
    ///
    /// # Errors
    /// When it could not be fetched.
    pub async fn payment(&self, id: &str) -> Result<PaymentEntity, RazorpayError> {
        let path = format!("/v1/payments/{id}?expand[]=card");
        self.call(Verb::GET, &path, None, None).await
    }

    /// Starts a payment from this service (server to server). Without a special contract only the simulator allows it.
    ///
    /// # Errors
    /// When it was not started, or that is unknown.
    pub async fn start_payment(
        &self,
        order: &Order,
        order_id: &str,
        method: Method,
        instrument: &Instrument,
        payer: &Payer,
    ) -> Result<PaymentCreated, RazorpayError> {
        let mut body = json!({
            "amount": order.amount,
            "currency": "INR",
            "order_id": order_id,
            "email": payer.email,
            "contact": payer.contact,
            "method": method.name(),
            "description": order.event_name,
        });
        let or = |given: &Option<String>, default: &str| given.clone().unwrap_or_else(|| default.to_owned());
        match method {
            Method::Upi => {
                body["upi"] = json!({"flow": "collect", "vpa": or(&instrument.vpa, "success@razorpay")})
            }
            Method::Netbanking => body["bank"] = json!(or(&instrument.bank, "HDFC")),
            Method::Wallet => body["wallet"] = json!(or(&instrument.wallet, "payzapp")),
            Method::Card => {
                body["card"] = json!({
                    "number": or(&instrument.test_card, "4100280000001007"),
                    "name": "Test Card", "expiry_month": "12", "expiry_year": "2099", "cvv": "123",
                });
            }
        }
        self.call(Verb::POST, "/v1/payments/create/json", Some(body), None)
            .await
    }

    /// Captures an authorized payment.
    ///
    /// # Errors
    /// When it was not captured, or that is unknown.
    pub async fn capture(&self, id: &str, amount: Paise) -> Result<PaymentEntity, RazorpayError> {
        let body = json!({"amount": amount, "currency": "INR"});
        self.call(
            Verb::POST,
            &format!("/v1/payments/{id}/capture"),
            Some(body),
            None,
        )
        .await
    }

    /// Requests a refund. The same key gives the same refund, however often it is sent.
    ///
    /// # Errors
    /// When it was not accepted, or that is unknown.
    pub async fn refund(
        &self,
        payment: &str,
        amount: Paise,
        key: &str,
        refund: RefundId,
    ) -> Result<RefundEntity, RazorpayError> {
        let path = format!("/v1/payments/{payment}/refund");
        self.call(
            Verb::POST,
            &path,
            Some(json!({"amount": amount, "speed": "normal", "notes": {REFUND_NOTE: refund}})),
            Some(key),
        )
        .await
    }

    /// A page of all payments, the newest first; empty after the last.
    ///
    /// # Errors
    /// When it could not be fetched.
    pub async fn payments_page(&self, page: usize) -> Result<Vec<PaymentEntity>, RazorpayError> {
        let path = format!("/v1/payments?count={PAGE}&skip={}", page * PAGE);
        let found: Collection<PaymentEntity> = self.call(Verb::GET, &path, None, None).await?;
        Ok(found.items)
    }

    /// The refunds of a payment: at most a hundred, the newest first.
    ///
    /// # Errors
    /// When they could not be fetched.
    pub async fn refunds_of(&self, payment: &str) -> Result<Vec<RefundEntity>, RazorpayError> {
        let path = format!("/v1/payments/{payment}/refunds?count={PAGE}");
        let found: Collection<RefundEntity> = self.call(Verb::GET, &path, None, None).await?;
        Ok(found.items)
    }

    /// One refund.
    ///
    /// # Errors
    /// When it could not be fetched.
    pub async fn fetch_refund(&self, id: &str) -> Result<RefundEntity, RazorpayError> {
        self.call(Verb::GET, &format!("/v1/refunds/{id}"), None, None)
            .await
    }

    /// A page of all refunds created since `from`, including those made at the dashboard; empty after the last.
    ///
    /// # Errors
    /// When it could not be fetched.
    pub async fn refunds_since(
        &self,
        from: Timestamp,
        page: usize,
    ) -> Result<Vec<RefundEntity>, RazorpayError> {
        let (from, skip) = (from.timestamp(), page * PAGE);
        let path = format!("/v1/refunds?from={from}&count={PAGE}&skip={skip}");
        let found: Collection<RefundEntity> = self.call(Verb::GET, &path, None, None).await?;
        Ok(found.items)
    }

    /// Makes a call; a GET, which changes nothing, is retried when it gets no usable answer.
    async fn call<T: DeserializeOwned>(
        &self,
        verb: Verb,
        path: &str,
        body: Option<Value>,
        refund_key: Option<&str>,
    ) -> Result<T, RazorpayError> {
        let deadline = Instant::now() + ANSWER;
        let mut pauses = match verb {
            Verb::GET => ASK_AGAIN.iter(),
            _ => [].iter(),
        };
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let answer = self
                .call_once(verb.clone(), path, body.as_ref(), refund_key, left)
                .await;
            let Err(RazorpayError::Unclear(why)) = &answer else {
                return answer;
            };
            let Some(pause) = pauses
                .next()
                .map(|pause| pause.mul_f64(rand::random_range(0.5..1.0)))
            else {
                return answer;
            };
            if Instant::now() + pause >= deadline {
                return answer;
            }
            tracing::debug!(path, why, "Razorpay is asked again");
            tokio::time::sleep(pause).await;
        }
    }

    async fn call_once<T: DeserializeOwned>(
        &self,
        verb: Verb,
        path: &str,
        body: Option<&Value>,
        refund_key: Option<&str>,
        patience: Duration,
    ) -> Result<T, RazorpayError> {
        let mut request = self
            .http
            .request(verb, format!("{}{path}", self.base))
            .timeout(patience)
            .basic_auth(&self.keys.key_id, Some(self.keys.key_secret.expose_secret()));
        if let Some(key) = refund_key {
            request = request.header("X-Refund-Idempotency", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        // reqwest's errors name the URL, which holds no secret, but only their sources give the cause.
        let unclear = |error: reqwest::Error| {
            let source = std::error::Error::source(&error)
                .map(|source| format!(": {source}"))
                .unwrap_or_default();
            RazorpayError::Unclear(format!("{}{source}", error.without_url()))
        };
        let response = request.send().await.map_err(unclear)?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(unclear)?;
        if status.is_success() {
            return serde_json::from_slice(&bytes).map_err(|error| RazorpayError::Unclear(error.to_string()));
        }
        if status == StatusCode::UNAUTHORIZED {
            return Err(RazorpayError::Keys);
        }
        // Errors may be HTML from a proxy in between; 409 and 429 mean "retry later".
        let error = serde_json::from_slice::<ErrorBody>(&bytes)
            .unwrap_or_default()
            .error;
        if status.is_server_error()
            || status == StatusCode::CONFLICT
            || status == StatusCode::TOO_MANY_REQUESTS
        {
            return Err(RazorpayError::Unclear(format!("{status}: {}", error.description)));
        }
        Err(RazorpayError::Refused {
            status,
            reason: error.reason,
            description: error.description,
        })
    }
}
