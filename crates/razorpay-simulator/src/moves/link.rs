//! The moves of a payment link: created → partially paid → paid, created → cancelled, open → expired.

use serde_json::Value;

use crate::{
    app::Tx,
    failure::Failure,
    http::Notes,
    ids,
    records::{CapturePolicy, Link, LinkStatus, Order, OrderStatus, Part, Payment},
    webhooks,
};

/// The order under which a link is paid; made when somebody first pays.
pub(crate) fn open_order(tx: &Tx<'_>, link: &mut Link) -> Result<Order, Failure> {
    if let Some(order) = &link.order_id {
        return Order::find(tx.db, order);
    }
    let order = Order {
        id: ids::new("order"),
        amount: link.amount,
        amount_paid: 0,
        currency: link.currency.clone(),
        receipt: link.reference_id.clone(),
        status: OrderStatus::Created,
        attempts: 0,
        notes: Notes::default(),
        created_at: tx.now(),
        partial: link.accept_partial,
        first_part: Some(link.first_min_partial_amount).filter(|amount| *amount > 0),
        capture: CapturePolicy::automatic(),
        link: Some(link.id.clone()),
    };
    order.insert(tx)?;
    link.order_id = Some(order.id.clone());
    link.save(tx)?;
    Ok(order)
}

/// A payment of a link's order was captured.
pub(super) fn paid(tx: &Tx<'_>, link: &str, payment: &Payment, order: &Order) -> Result<(), Failure> {
    let mut link = Link::find(tx.db, link)?;
    link.amount_paid += payment.amount;
    link.payments.push(Part {
        payment_id: payment.id.clone(),
        amount: payment.amount,
        method: payment.instrument.method().to_owned(),
        created_at: tx.now(),
    });
    link.status = if link.amount_due() == 0 {
        LinkStatus::Paid
    } else {
        LinkStatus::PartiallyPaid
    };
    link.save(tx)?;
    let more = [("order", order.view()), ("payment", payment.view_with_card())];
    emit(tx, &link, &more)
}

/// The merchant takes it back.
pub(crate) fn cancel(tx: &Tx<'_>, link: &mut Link) -> Result<(), Failure> {
    match link.status {
        LinkStatus::Created => {}
        LinkStatus::Paid | LinkStatus::PartiallyPaid => {
            return Err(Failure::refused(
                "cannot cancel or expire an already paid/partially paid link",
            ));
        }
        LinkStatus::Expired => return Err(Failure::refused("cannot cancel or expire an expired link")),
        LinkStatus::Cancelled => return Err(Failure::refused("cannot cancel or expire a cancelled link")),
    }
    link.status = LinkStatus::Cancelled;
    link.cancelled_at = tx.now();
    link.save(tx)?;
    emit(tx, link, &[])
}

/// Its time has run out, if it has.
pub(crate) fn expire(tx: &Tx<'_>, link: &mut Link) -> Result<(), Failure> {
    if !link.status.is_open() || link.expire_by == 0 || link.expire_by * 1000 > tx.now_ms {
        return Ok(());
    }
    link.status = LinkStatus::Expired;
    link.expired_at = tx.now();
    link.save(tx)?;
    emit(tx, link, &[])
}

/// Sends the event that is named after the link's status.
fn emit(tx: &Tx<'_>, link: &Link, more: &[(&str, Value)]) -> Result<(), Failure> {
    // An event has no caller whose name for us could be used.
    let base = match tx.app.address.get() {
        Some(address) => format!("http://{address}"),
        None => String::new(),
    };
    let mut entities = vec![("payment_link", link.view(&base))];
    entities.extend_from_slice(more);
    let subject = link.order_id.as_deref().unwrap_or(&link.id);
    webhooks::emit(
        tx,
        &format!("payment_link.{}", link.status.as_str()),
        subject,
        &entities,
    )
}
