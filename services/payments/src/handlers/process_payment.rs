//! `POST /api/payment/process_payment`

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use common::{
    extract::{Caller, Unsafe},
    fields::{Fields, FromFields, Value},
    http::context,
    idempotency::{Answer, Key},
    ids::{EventId, PaymentId, RegistrationId, UserId},
    money::{Paise, Rupees},
    problem::{ApiError, Problem},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    domain::{
        method::{Instrument, Method},
        order::Order,
        payment::Payment,
    },
    flow::{self, Paid, Wish},
    razorpay::types::NextStep,
    store::Statement,
    views::{PaymentAnswer, PaymentView},
};

/// Pay for a registration.
#[derive(ToSchema)]
pub struct ProcessPayment {
    /// The event.
    #[schema(value_type = String, format = Uuid)]
    pub event_id: EventId,
    /// Rupees; must be what is due.
    #[schema(value_type = f64, example = 500)]
    pub amount: Paise,
    /// Must be the caller.
    #[schema(value_type = String, format = Uuid)]
    pub user_id: UserId,
    /// `upi`, `card` (`credit_card`, `debit_card`), `netbanking` or `wallet`.
    #[schema(value_type = String, example = "upi")]
    pub payment_method: Method,
    /// With what exactly; simulator only.
    pub payment_details: Option<Instrument>,
}

impl FromFields for ProcessPayment {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let event_id = fields.required("event_id", Value::string);
        let amount = fields.required("amount", Value::rupees);
        let user_id = fields.required("user_id", Value::string);
        let payment_method = fields.required("payment_method", |value| Method::parse(&value.string()?));
        let payment_details = fields.optional("payment_details", Value::object);
        Some(Self {
            event_id: EventId::lenient(&event_id?),
            amount: amount?,
            user_id: UserId::lenient(&user_id?),
            payment_method: payment_method?,
            payment_details,
        })
    }
}

/// A payment that waits for the payer.
#[derive(Serialize, ToSchema)]
pub struct WaitingAnswer {
    /// What to do.
    #[schema(example = "Payment created; it waits for the payer.")]
    pub message: &'static str,
    /// `created`.
    #[schema(example = "created")]
    pub status: &'static str,
    /// What is paid.
    #[schema(value_type = String, format = Uuid)]
    pub registration_id: RegistrationId,
    /// The registration's event.
    #[schema(value_type = String, format = Uuid)]
    pub event_id: EventId,
    /// The payment, if one was started from our side.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub payment_id: Option<PaymentId>,
    /// Rupees.
    #[schema(value_type = f64, example = 500)]
    pub amount: Rupees,
    /// What Razorpay Checkout is opened with.
    pub checkout: Checkout,
    /// What the payer may do where no checkout is needed.
    pub next: Vec<NextStep>,
}

/// Options of Razorpay Checkout (`new Razorpay(options)`). Its result goes to `POST /api/payment/verify`.
#[derive(Serialize, ToSchema)]
pub struct Checkout {
    /// Public key.
    #[schema(example = "rzp_test_simulator")]
    pub key: String,
    /// Razorpay's order.
    #[schema(example = "order_DBJOWzybf0sJbb")]
    pub order_id: String,
    /// Paise, as Checkout wants it.
    #[schema(value_type = i64, example = 50000)]
    pub amount: Paise,
    /// ISO 4217.
    #[schema(example = "INR")]
    pub currency: &'static str,
    /// The event.
    pub description: String,
}

/// Pay for your registration. Takes a seat first when you have none.
///
/// 200 when the money was captured; 202 when you have a step to take (Razorpay Checkout), which
/// `POST /api/payment/verify` or Razorpay's webhook finishes.
#[utoipa::path(
    post,
    path = "/api/payment/process_payment",
    tag = "payments",
    request_body = ProcessPayment,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes it safe to send the request again")),
    responses(
        (status = 200, description = "Captured", body = PaymentAnswer),
        (status = 202, description = "Waiting for the payer", body = WaitingAnswer),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "No valid token"),
        (status = 402, body = Problem, content_type = "application/problem+json",
            description = "Declined; `code` is Razorpay's reason. The seat stays held"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "`user_id` is not you"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such event"),
        (status = 409, body = Problem, content_type = "application/problem+json",
            description = "`amount_mismatch`, `nothing_due`, `already_paid` (with payment_id), `payment_in_progress`, \
                           `event_full`, `registration_closed`, `event_cancelled`"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "Missing or wrong fields"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "Razorpay does not answer"),
    ),
    security(("bearer" = []))
)]
pub async fn process_payment(
    State(app): State<App>,
    caller: Caller,
    Unsafe { input, key }: Unsafe<ProcessPayment>,
) -> Result<Response, ApiError> {
    if input.user_id != caller.id {
        return Err(ApiError::forbidden(
            "not_your_payment",
            "You can pay for yourself only.",
        ));
    }
    let instrument = input.payment_details.unwrap_or_default();
    if !app.simulated && instrument != Instrument::default() {
        let why = "is for the simulator only: Razorpay asks the payer itself, and card numbers are never accepted here";
        return Err(ApiError::invalid_field("payment_details", why));
    }
    let wish = Wish {
        user: caller.id,
        event: input.event_id,
        amount: input.amount,
        method: input.payment_method,
        instrument,
    };
    // On a task of its own: a payer who hangs up in the middle must not leave the payment there.
    context::spawn(keyed(app, wish, key))
        .await
        .map_err(ApiError::internal)?
}

async fn keyed(app: App, wish: Wish, key: Option<Key>) -> Result<Response, ApiError> {
    if let Some(key) = &key {
        let now = app.clock.now();
        if let Some(refusal) = app.store.claim_key(key.clone(), now, now + app.lease).await? {
            return Ok(refusal.into_response());
        }
    }
    let result = flow::pay(&app, wish, (key.clone(), answer)).await;
    let waiting = match result {
        Ok(Paid::Captured(statement)) => {
            let answer = answer(&statement);
            if let Some(key) = key {
                // Kept with the capture already, unless an earlier request had captured it.
                app.store
                    .keep_answer(key, answer.clone(), app.clock.now())
                    .await?;
            }
            return Ok(answer.into_response());
        }
        Ok(Paid::Waiting { order, payment, next }) => Ok(waiting(&app, order, payment.as_ref(), next)),
        Err(error) => Err(error),
    };
    match (&waiting, key) {
        (Ok(answer), Some(key)) => {
            app.store
                .keep_answer(key, answer.clone(), app.clock.now())
                .await?
        }
        (Err(_), Some(key)) => app.store.release_key(key).await?,
        (_, None) => {}
    }
    Ok(waiting?.into_response())
}

/// The answer to a captured payment.
pub fn answer(statement: &Statement) -> Answer {
    let payment = PaymentView::from(statement);
    Answer::json(
        StatusCode::OK,
        &PaymentAnswer {
            message: "Payment processed successfully.",
            payment,
        },
    )
}

fn waiting(app: &App, order: Order, payment: Option<&Payment>, next: Vec<NextStep>) -> Answer {
    let body = WaitingAnswer {
        message: "Payment created; it waits for the payer.",
        status: "created",
        registration_id: order.registration_id,
        event_id: order.event_id,
        payment_id: payment.map(|payment| payment.id),
        amount: order.amount.into(),
        checkout: Checkout {
            key: app.razorpay.keys().key_id.clone(),
            order_id: order.razorpay_id.unwrap_or_default(),
            amount: order.amount,
            currency: "INR",
            description: order.event_name,
        },
        next,
    };
    Answer::json(StatusCode::ACCEPTED, &body)
}
