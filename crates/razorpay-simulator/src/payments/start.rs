//! Starting a payment of an order, by the API or on a payment link's page.

use std::time::Duration;

use crate::{
    app::Tx,
    db,
    failure::Failure,
    http::Notes,
    ids, moves,
    records::{Coming, Due, Instrument, Order, OrderStatus, Payment, PaymentStatus},
};

/// A payment that nobody completes fails after this.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// What a customer sets out to pay.
pub(crate) struct Attempt {
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) instrument: Instrument,
    pub(crate) will_decline: Option<&'static str>,
    pub(crate) email: String,
    pub(crate) contact: String,
    pub(crate) description: Option<String>,
    pub(crate) notes: Notes,
    pub(crate) callback_url: Option<String>,
    /// When the outcome comes by itself; `None`: when somebody brings it about.
    pub(crate) outcome_after: Option<Duration>,
}

/// Starts a payment of an order. One whose outcome comes at once has it when this returns.
pub(crate) fn start(tx: &Tx<'_>, order: &mut Order, attempt: Attempt) -> Result<Payment, Failure> {
    check(tx, order, &attempt)?;
    order.attempts += 1;
    order.status = OrderStatus::Attempted;
    order.save(tx)?;
    let (what, after) = match attempt.outcome_after {
        Some(after) => (Coming::Outcome, after),
        None => (Coming::Abandonment, PATIENCE),
    };
    let at_ms = tx.now_ms + i64::try_from(after.as_millis()).unwrap_or(i64::MAX / 4);
    let at_once = attempt.outcome_after.is_some_and(|after| after.is_zero());
    let mut payment = Payment {
        settles: None,
        id: ids::new("pay"),
        order_id: order.id.clone(),
        amount: attempt.amount,
        currency: attempt.currency,
        status: PaymentStatus::Created,
        instrument: attempt.instrument,
        amount_refunded: 0,
        captured: false,
        description: attempt.description,
        email: attempt.email,
        contact: attempt.contact,
        notes: attempt.notes,
        fee: None,
        tax: None,
        error: None,
        bank_reference: None,
        created_at: tx.now(),
        will_decline: attempt.will_decline.map(str::to_owned),
        wrong_otps: 0,
        callback_url: attempt.callback_url,
        due: (!at_once).then_some(Due { at_ms, what }),
    };
    payment.insert(tx)?;
    if at_once {
        moves::payment::complete(tx, &mut payment)?;
    }
    Ok(payment)
}

fn check(tx: &Tx<'_>, order: &Order, attempt: &Attempt) -> Result<(), Failure> {
    let declined = |text: &str| {
        Err(Failure::refused(text).because("business", "payment_initiation", "input_validation_failed"))
    };
    if order.status == OrderStatus::Paid {
        return declined(
            "Your payment has been declined as the order is already paid. Please initiate the payment with a new order.",
        );
    }
    if attempt.currency != order.currency {
        return declined("Your payment currency is different from your order currency.");
    }
    let first_part = order.first_part.filter(|_| order.amount_paid == 0).unwrap_or(1);
    let fits = if order.partial {
        (first_part..=order.amount_due()).contains(&attempt.amount)
    } else {
        attempt.amount == order.amount_due()
    };
    if !fits {
        return declined(
            "Your payment amount is different from your order amount. To pay successfully, please try using right amount.",
        );
    }
    let sql = "SELECT 1 FROM payments WHERE order_id = ?1 AND status = 'authorized' LIMIT 1";
    if db::value::<i64>(tx.db, sql, [&order.id])?.is_some() {
        return declined(
            "Your payment could not be started as another payment of this order is authorized and not yet captured.",
        );
    }
    Ok(())
}
