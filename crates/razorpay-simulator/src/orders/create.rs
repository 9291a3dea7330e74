//! `POST /v1/orders`

use axum::{Json, extract::State};
use serde_json::Value;

use super::{check_chargeable, required_currency};
use crate::{
    app::App,
    failure::Failure,
    http::{Answer, Body, Fields, Notes},
    ids,
    records::{CapturePolicy, LONGEST_WINDOW_MINUTES, Order, OrderStatus},
};

/// Makes an order. With `unique_receipt`, a receipt that exists gives the order that has it.
pub(crate) async fn create(State(app): State<App>, Body(fields): Body) -> Answer {
    let wanted = parse(&fields)?;
    let order = app
        .change(move |tx| {
            if let (true, Some(receipt)) = (wanted.unique_receipt, &wanted.receipt)
                && let Some(existing) = Order::with_receipt(tx.db, receipt)?
            {
                return if existing.amount == wanted.amount && existing.currency == wanted.currency {
                    Ok(existing)
                } else {
                    Err(Failure::invalid("receipt", "Order receipt should be unique."))
                };
            }
            let order = Order {
                id: ids::new("order"),
                amount: wanted.amount,
                amount_paid: 0,
                currency: wanted.currency,
                receipt: wanted.receipt,
                status: OrderStatus::Created,
                attempts: 0,
                notes: wanted.notes,
                created_at: tx.now(),
                partial: wanted.partial,
                first_part: wanted.first_part,
                capture: wanted.capture,
                link: None,
            };
            order.insert(tx)?;
            Ok(order)
        })
        .await?;
    Ok(Json(order.view()))
}

struct Wanted {
    amount: i64,
    currency: String,
    receipt: Option<String>,
    unique_receipt: bool,
    notes: Notes,
    partial: bool,
    first_part: Option<i64>,
    capture: CapturePolicy,
}

fn parse(fields: &Fields) -> Result<Wanted, Failure> {
    let amount = fields.required_amount("amount")?;
    let currency = required_currency(fields)?;
    check_chargeable(amount, &currency, "amount")?;
    let partial = fields.flag("partial_payment")?.unwrap_or(false);
    let first_part = fields.amount("first_payment_min_amount")?.filter(|_| partial);
    if first_part.is_some_and(|first| first > amount) {
        return Err(Failure::invalid(
            "first_payment_min_amount",
            "The first payment min amount may not be greater than the amount.",
        ));
    }
    Ok(Wanted {
        receipt: fields.text("receipt", 40)?,
        unique_receipt: fields.flag("unique_receipt")?.unwrap_or(false),
        notes: fields.notes()?,
        capture: capture_policy(fields)?,
        amount,
        currency,
        partial,
        first_part,
    })
}

/// `payment.capture` and its options, or the older `payment_capture`, or what accounts start with.
fn capture_policy(fields: &Fields) -> Result<CapturePolicy, Failure> {
    let Some(payment) = fields.object("payment") else {
        return Ok(match fields.flag("payment_capture")? {
            Some(false) => CapturePolicy::manual(),
            Some(true) | None => CapturePolicy::automatic(),
        });
    };
    let automatic = match payment.get("capture") {
        Some(Value::String(capture)) if capture == "automatic" => true,
        Some(Value::String(capture)) if capture == "manual" => false,
        Some(_) => {
            return Err(Failure::invalid(
                "capture",
                "The capture must be automatic or manual.",
            ));
        }
        None => return Err(Failure::missing("capture")),
    };
    let mut policy = if automatic {
        CapturePolicy::automatic()
    } else {
        CapturePolicy::manual()
    };
    let Some(options) = payment.object("capture_options") else {
        return if automatic {
            Err(Failure::missing("automatic_expiry_period"))
        } else {
            Ok(policy)
        };
    };
    let automatic_minutes = options.integer("automatic_expiry_period")?;
    if automatic_minutes.is_some_and(|minutes| minutes < 12) {
        return Err(Failure::invalid(
            "automatic_expiry_period",
            "The automatic expiry period must be at least 12 minutes.",
        ));
    }
    if automatic {
        policy.automatic_minutes =
            Some(automatic_minutes.ok_or_else(|| Failure::missing("automatic_expiry_period"))?);
    }
    if let Some(minutes) = options.integer("manual_expiry_period")? {
        let least = automatic_minutes.unwrap_or(12);
        if minutes < least || minutes > LONGEST_WINDOW_MINUTES {
            return Err(Failure::invalid(
                "manual_expiry_period",
                format!(
                    "The manual expiry period must be between {least} and {LONGEST_WINDOW_MINUTES} minutes."
                ),
            ));
        }
        policy.manual_minutes = minutes;
    }
    policy.optimum_refund = match options.text("refund_speed", 16)?.as_deref() {
        Some("optimum") => true,
        Some("normal") | None => false,
        Some(_) => {
            return Err(Failure::invalid(
                "refund_speed",
                "The refund speed must be normal or optimum.",
            ));
        }
    };
    Ok(policy)
}
