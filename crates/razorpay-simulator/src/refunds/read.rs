//! `GET /v1/refunds`, `/v1/refunds/:id`, `/v1/payments/:id/refunds` and `/v1/payments/:id/refunds/:rid`

use axum::{Json, extract::State};
use rusqlite::{Connection, params};

use crate::{
    app::App,
    db,
    failure::Failure,
    http::{Answer, Id, Ids, Page, Query, collection},
    records::{Payment, Refund},
};

/// One refund.
pub(crate) async fn fetch(State(app): State<App>, Id(id): Id) -> Answer {
    let refund = app.db.read(move |db| Refund::find(db, &id)).await?;
    Ok(Json(refund.view()))
}

/// One refund of a payment.
pub(crate) async fn fetch_of_payment(State(app): State<App>, Ids(payment, id): Ids) -> Answer {
    let refund = app
        .db
        .read(move |db| {
            Payment::find(db, &payment)?;
            Refund::find(db, &id).and_then(|refund| {
                if refund.payment_id == payment {
                    Ok(refund)
                } else {
                    Err(Failure::unknown_id())
                }
            })
        })
        .await?;
    Ok(Json(refund.view()))
}

/// All refunds, newest first.
pub(crate) async fn list(State(app): State<App>, query: Query) -> Answer {
    let page = query.page()?;
    let refunds = app.db.read(move |db| select(db, None, page)).await?;
    Ok(Json(collection(refunds.iter().map(Refund::view).collect())))
}

/// The refunds of a payment, newest first.
pub(crate) async fn list_of_payment(State(app): State<App>, Id(payment): Id, query: Query) -> Answer {
    let page = query.page()?;
    let refunds = app
        .db
        .read(move |db| {
            Payment::find(db, &payment)?;
            select(db, Some(&payment), page)
        })
        .await?;
    Ok(Json(collection(refunds.iter().map(Refund::view).collect())))
}

fn select(db: &Connection, payment: Option<&str>, page: Page) -> Result<Vec<Refund>, Failure> {
    let sql = match payment {
        None => {
            "SELECT doc FROM refunds WHERE created_at BETWEEN ?1 AND ?2 AND ?5 IS NULL
            ORDER BY seq DESC LIMIT ?3 OFFSET ?4"
        }
        Some(_) => {
            "SELECT doc FROM refunds WHERE payment_id = ?5 AND created_at BETWEEN ?1 AND ?2
            ORDER BY seq DESC LIMIT ?3 OFFSET ?4"
        }
    };
    db::documents(
        db,
        sql,
        params![page.from, page.to, page.count, page.skip, payment],
    )
}
