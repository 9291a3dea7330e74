//! `POST /api/payment/process_payment`

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use common::{
    context,
    extract::{Caller, KeyedJson},
    fields::{Fields, FromFields, Value},
    idempotency::{Answer, Key, Refusal},
    ids::{EventId, PaymentId, RegistrationId, UserId},
    money::{Paise, Rupees},
    problem::ApiError,
    schemas::{Amount, KeyParam},
    wire::RefundReason,
};
use runtime::verified_email::email_not_verified;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    app::App,
    domain::{
        method::{Instrument, Method},
        order::Order,
        payment::Payment,
    },
    flow::{self, Paid, PaymentRequest},
    problems::{
        already_paid, amount_mismatch, event_not_found, goes_back, not_taken, not_your_payment, nothing_due,
        payment_failed, payment_in_progress, provider_problem,
    },
    razorpay::{RazorpayError, types::NextStep},
    store::{RefundState, Statement},
    views::{PaymentAnswer, render_answer},
};

/// The request body.
#[derive(ToSchema)]
pub struct ProcessPayment {
    /// The event.
    #[schema(value_type = String, example = "019309a2-0000-7000-8000-000000000002")]
    pub event_id: EventId,
    /// Rupees; must be the amount due.
    #[schema(value_type = Amount, example = 500)]
    pub amount: Paise,
    /// The payer; must be the caller.
    #[schema(value_type = String, example = "019309a2-0000-7000-8000-000000000006")]
    pub user_id: UserId,
    /// The payment method; `credit_card` and `debit_card` are the same as `card`.
    #[schema(value_type = PaymentMethodInput, example = "upi")]
    pub payment_method: Method,
    /// The means of payment; simulator only.
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

/// The accepted names of payment methods.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "the document's view of what Method::parse takes")]
enum PaymentMethodInput {
    Upi,
    Card,
    CreditCard,
    DebitCard,
    Netbanking,
    Wallet,
}

/// The outcome, distinguished by `status`.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(discriminator(property_name = "status", mapping(
    ("captured" = "#/components/schemas/PaymentAnswer"),
    ("created" = "#/components/schemas/WaitingAnswer"),
)))]
#[expect(
    dead_code,
    clippy::large_enum_variant,
    reason = "the document's view of the two answers"
)]
enum ProcessedPayment {
    Captured(PaymentAnswer),
    Waiting(WaitingAnswer),
}

/// The status of a payment that waits.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaitingStatus {
    /// The payer has not finished.
    Created,
}

/// A payment that waits for the payer.
#[derive(Serialize, ToSchema)]
pub struct WaitingAnswer {
    /// A text for the payer.
    #[schema(example = "Payment created; it waits for the payer.")]
    pub message: &'static str,
    /// Always `created`.
    #[schema(example = "created")]
    pub status: WaitingStatus,
    /// The registration to be paid.
    #[schema(value_type = String, format = Uuid, example = "019309a2-0000-7000-8000-000000000003")]
    pub registration_id: RegistrationId,
    /// The registration's event.
    #[schema(value_type = String, format = Uuid, example = "019309a2-0000-7000-8000-000000000002")]
    pub event_id: EventId,
    /// The payment, if the service has started one.
    #[schema(value_type = Option<String>, required = true, format = Uuid, example = "019309a2-0000-7000-8000-000000000005")]
    pub payment_id: Option<PaymentId>,
    /// Rupees.
    #[schema(value_type = f64, example = 500)]
    pub amount: Rupees,
    /// The options for opening Razorpay Checkout.
    pub checkout: Checkout,
    /// The payer's next steps, where Checkout is not needed.
    pub next: Vec<NextStep>,
}

/// Options of Razorpay Checkout (`new Razorpay(options)`). Its result goes to `POST /api/payment/verify`.
#[derive(Serialize, ToSchema)]
pub struct Checkout {
    /// The public key id.
    #[schema(example = "rzp_test_simulator")]
    pub key: String,
    /// Razorpay's order.
    #[schema(example = "order_DBJOWzybf0sJbb")]
    pub order_id: String,
    /// Paise, as Checkout requires.
    #[schema(value_type = i64, example = 50000)]
    pub amount: Paise,
    /// ISO 4217.
    #[schema(example = "INR")]
    pub currency: &'static str,
    /// The event.
    #[schema(example = "Rust for organisers")]
    pub description: String,
}

common::problems!(
    Problems:
    payment_failed("insufficient_fund", "The account does not have enough money.")
        .with("payment_id", "019309a2-0000-7000-8000-000000000005"),
    not_your_payment(),
    email_not_verified(),
    // The errors of the events service, with its texts.
    event_not_found(),
    ApiError::conflict("event_cancelled", "This event was cancelled."),
    ApiError::conflict("event_full", "Every seat of this event is taken."),
    ApiError::conflict("registration_closed", "Registration for this event is closed."),
    ApiError::conflict("registration_not_open", "Registration for this event opens at 2026-11-22T13:14:06.000Z.")
        .with("registration_opens_at", "2026-11-22T13:14:06.000Z"),
    ApiError::conflict("event_not_published", "This event is a draft: publish it before anybody registers."),
    nothing_due(),
    amount_mismatch(Paise(50_000), RegistrationId::lenient("019309a2-0000-7000-8000-000000000003")),
    already_paid(Some(PaymentId::lenient("019309a2-0000-7000-8000-000000000005"))),
    payment_in_progress(RegistrationId::lenient("019309a2-0000-7000-8000-000000000003")),
    goes_back(&RefundState { reason: RefundReason::NoSeat, amount: Paise(50_000), done: false, refused: None }, Some(PaymentId::lenient("019309a2-0000-7000-8000-000000000005"))),
    not_taken(RefundReason::Attendee, Some(PaymentId::lenient("019309a2-0000-7000-8000-000000000005"))),
    not_taken(RefundReason::WrongAmount, Some(PaymentId::lenient("019309a2-0000-7000-8000-000000000005"))),
    provider_problem(RazorpayError::Keys),
);

/// Pay for your registration. Without a live registration, a hold is taken first.
///
/// 200 when the money was captured; 202 when the payer has a step to take (Razorpay Checkout), which
/// `POST /api/payment/verify` or Razorpay's webhook finishes.
#[utoipa::path(
    post,
    path = "/api/payment/process_payment",
    operation_id = "processPayment",
    tag = "payments",
    request_body(content = ProcessPayment, example = json!({
        "event_id": "019309a2-0000-7000-8000-000000000002", "user_id": "019309a2-0000-7000-8000-000000000006",
        "amount": 500, "payment_method": "upi",
    })),
    params(KeyParam),
    responses(
        (status = 200, description = "Captured: a `PaymentAnswer`.", body = ProcessedPayment),
        (status = 202, description = "Waiting for the payer: a `WaitingAnswer`.", body = ProcessedPayment),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn process_payment(
    State(app): State<App>,
    caller: Caller,
    KeyedJson { input, key }: KeyedJson<ProcessPayment>,
) -> Result<Response, ApiError> {
    if input.user_id != caller.id {
        return Err(not_your_payment());
    }
    context::note_subject(input.event_id);
    app.verified_email.check(caller.id).await?;
    let instrument = input.payment_details.unwrap_or_default();
    if !app.payer_side.takes_instruments() && instrument != Instrument::default() {
        let why = "is for the simulator only: Razorpay asks the payer itself, and card numbers are never accepted here";
        return Err(ApiError::invalid_field("payment_details", why));
    }
    let request = PaymentRequest {
        user: caller.id,
        event: input.event_id,
        amount: input.amount,
        method: input.payment_method,
        instrument,
    };
    // In a task of its own: a client that disconnects must not interrupt the payment.
    context::spawn(keyed(app, request, key))
        .await
        .map_err(ApiError::internal)?
}

async fn keyed(app: App, request: PaymentRequest, key: Option<Key>) -> Result<Response, ApiError> {
    if let Some(key) = &key {
        let now = app.clock.now();
        if let Some(refusal) = app.store.claim_key(key.clone(), now, now + app.lease).await? {
            return match taken_back(&app, &request, &refusal).await? {
                None => Ok(refusal.into_response()),
                Some(problem) => {
                    app.store.forget_key(key.clone()).await?;
                    Err(problem)
                }
            };
        }
    }
    let result = flow::pay(&app, request, (key.clone(), render_answer)).await;
    let waiting = match result {
        Ok(Paid::Captured(statement)) => {
            let fate = fate(&statement);
            match (&fate, key) {
                // Stored with the capture already, unless an earlier request captured the payment.
                (Ok(answer), Some(key)) => {
                    app.store
                        .keep_answer(key, answer.clone(), app.clock.now())
                        .await?;
                }
                // The answer stored with the capture is not valid.
                (Err(_), Some(key)) => app.store.forget_key(key).await?,
                (_, None) => {}
            }
            return Ok(fate?.into_response());
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

/// Why a stored answer is no longer valid: it was stored with the capture, and the process died before it received the
/// refusal of the events service.
async fn taken_back(
    app: &App,
    request: &PaymentRequest,
    refusal: &Refusal,
) -> Result<Option<ApiError>, ApiError> {
    #[derive(Deserialize)]
    struct Kept {
        payment_id: PaymentId,
    }
    let Refusal::Replay(kept) = refusal else {
        return Ok(None);
    };
    let captured = kept.status == StatusCode::OK.as_u16();
    let Some(kept) = captured
        .then(|| serde_json::from_slice::<Kept>(&kept.body).ok())
        .flatten()
    else {
        return Ok(None);
    };
    let statement = app.store.statement(kept.payment_id, request.user).await?;
    let going = statement.as_ref().and_then(|statement| statement.refund.as_ref());
    let in_vain = going.is_some_and(|going| going.reason.bought_nothing());
    Ok(statement
        .filter(|_| in_vain)
        .and_then(|statement| fate(&statement).err()))
}

/// The answer to a captured payment, or why it is refunded.
///
/// # Errors
/// Why it is refunded.
pub fn fate(statement: &Statement) -> Result<Answer, ApiError> {
    let payment = match statement.order.paid_by {
        Some(paid_by) => paid_by,
        None => statement.payment.id,
    };
    match &statement.refund {
        None => Ok(render_answer(statement)),
        Some(going) => Err(goes_back(going, Some(payment))),
    }
}

fn waiting(app: &App, order: Order, payment: Option<&Payment>, next: Vec<NextStep>) -> Answer {
    let body = WaitingAnswer {
        message: "Payment created; it waits for the payer.",
        status: WaitingStatus::Created,
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
