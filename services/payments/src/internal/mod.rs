//! The endpoints for other services.

use async_trait::async_trait;
use axum::{Json, body::Body, extract::State};
use common::{
    extract::{CallingService, asked},
    outbox::Receipt,
    problem::{self, ApiError},
    subscriber::{self, Incoming, Subscriber},
    wire::{ExportPage, ExportQuestion},
};
use runtime::export;

use crate::{
    app::App,
    domain::fact::Fact,
    store::{PaymentFilter, PaymentsOf},
    views::PaymentView,
};

#[async_trait]
impl Subscriber for App {
    type Fact = Fact;

    async fn consume(&self, batch: Vec<Incoming<Fact>>) -> Vec<Receipt> {
        let ids = batch.iter().map(|event| event.id).collect();
        subscriber::receipts(ids, self.store.consume(batch, self.clock.now()).await)
    }
}

/// `POST /internal/messages`
///
/// # Errors
/// When the body is no batch of messages.
pub async fn messages(
    _: CallingService,
    State(app): State<App>,
    body: Body,
) -> Result<Json<Vec<Receipt>>, ApiError> {
    subscriber::receive(&app, body).await
}

/// `POST /internal/export`: what is held of a user.
///
/// # Errors
/// 404 for a section that there is not, and storage errors.
pub async fn export(
    _: CallingService,
    State(app): State<App>,
    body: Body,
) -> Result<Json<ExportPage>, ApiError> {
    let question: ExportQuestion = asked(body).await?;
    Ok(Json(match question.section.as_str() {
        "payments" => {
            let (of, page) = (PaymentsOf::Payer(question.user_id), export::page(&question));
            let (found, next) = app.store.statements(of, PaymentFilter::default(), page).await?;
            export::answer(found.iter().map(PaymentView::from), next)
        }
        export::ACTIVITY => export::activity(&*app.store.audit(), &question).await?,
        _ => return Err(problem::no_such_section()),
    }))
}
