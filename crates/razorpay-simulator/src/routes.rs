//! The routes, and nothing else.

use axum::{
    Router,
    routing::{MethodRouter, get, post},
};

use crate::{
    app::App, control, failure::Failure, http::Pipeline, links, orders, pages, payments, refunds, webhooks,
};

/// Everything that is served.
pub(crate) fn router(app: &App) -> Router {
    let mut routes = Router::new()
        .route("/v1/orders", post(orders::create).get(orders::list))
        .route("/v1/orders/{id}", get(orders::fetch).patch(orders::update))
        .route("/v1/orders/{id}/payments", get(orders::payments))
        .route("/v1/payments", get(payments::list))
        .route("/v1/payments/create/json", post(payments::create_json))
        .route("/v1/payments/create/upi", post(payments::create_upi))
        .route("/v1/payments/validate/vpa", post(payments::validate_vpa))
        .route("/v1/payments/{id}", get(payments::fetch).patch(payments::update))
        .route("/v1/payments/{id}/card", get(payments::card_of))
        .route("/v1/payments/{id}/capture", post(payments::capture))
        .route("/v1/payments/{id}/otp_generate", post(payments::otp_generate))
        .route("/v1/payments/{id}/otp/submit", post(payments::otp_submit))
        .route("/v1/payments/{id}/otp/resend", post(payments::otp_resend))
        .route("/v1/payments/{id}/refund", post(refunds::create_of_payment))
        .route("/v1/payments/{id}/refunds", get(refunds::list_of_payment))
        .route(
            "/v1/payments/{id}/refunds/{refund}",
            get(refunds::fetch_of_payment),
        )
        .route("/v1/refunds", post(refunds::create).get(refunds::list))
        .route("/v1/refunds/{id}", get(refunds::fetch).patch(refunds::update))
        .route("/v1/methods", get(payments::methods))
        // Where the Python SDK looks for it.
        .route("/methods", get(payments::methods))
        .route("/v1/payment_links", post(links::create).get(links::list))
        .route("/v1/payment_links/{id}", get(links::fetch).patch(links::update))
        .route("/v1/payment_links/{id}/cancel", post(links::cancel))
        .route(
            "/v1/payment_links/{id}/notify_by/{medium}",
            post(links::notify_by),
        )
        .route("/v1/webhooks", post(webhooks::create).get(webhooks::list))
        .route("/v1/webhooks/{id}", registration())
        // The same for partners. There is one account here, so whose it is does not matter.
        .route(
            "/v2/accounts/{account}/webhooks",
            post(webhooks::create).get(webhooks::list),
        )
        .route("/v2/accounts/{account}/webhooks/{id}", registration())
        .route("/sim/bank/{id}", get(pages::bank))
        .route("/sim/bank/{id}/{what}", post(pages::bank_decide))
        .route("/v1/checkout.js", get(pages::checkout_script))
        .route("/v1/checkout/embedded", post(pages::checkout_hosted))
        .route("/sim/checkout", get(pages::checkout))
        .route("/sim/checkout/pay", post(pages::checkout_pay))
        .route("/sim/links/{id}", get(pages::link))
        .route("/sim/links/{id}/pay", post(pages::link_pay));
    if app.settings.controls {
        routes = routes.merge(control::routes());
    }
    let routes = routes
        .fallback(no_route)
        .method_not_allowed_fallback(no_route)
        .with_state(app.clone());
    Pipeline::router(app.clone(), routes)
}

fn registration() -> MethodRouter<App> {
    let update = webhooks::update;
    get(webhooks::fetch)
        .patch(update)
        .put(update)
        .delete(webhooks::remove)
}

async fn no_route() -> Failure {
    Failure::no_route()
}
