//! The mailbox in a browser, for development only: anybody who reaches these pages reads everybody's mail. They
//! exist only outside production and on a loopback address; elsewhere they are not routed at all.

mod list;
mod message;

use axum::{
    Router,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};
use common::{problem::ApiError, settings::Settings};
use minijinja::{Environment, UndefinedBehavior, Value};

use crate::app::App;

/// Whether the pages may be shown.
pub fn allowed(settings: &Settings) -> bool {
    !settings.is_production() && settings.bind_addr.is_loopback()
}

/// The pages.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/dev/mailbox", get(list::list))
        .route("/dev/mailbox.json", get(list::list_json))
        .route("/dev/mailbox/{message_id}", get(message::message))
}

/// The templates of the pages.
pub struct Pages(Environment<'static>);

impl Pages {
    /// Reads the templates, which are part of the program.
    ///
    /// # Errors
    /// Never, unless a template is wrong.
    pub fn new() -> Result<Self, minijinja::Error> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_debug(false);
        environment.add_template("page.html", include_str!("../templates/dev/page.html"))?;
        environment.add_template("list.html", include_str!("../templates/dev/list.html"))?;
        environment.add_template("message.html", include_str!("../templates/dev/message.html"))?;
        Ok(Self(environment))
    }

    fn show(&self, name: &str, values: Value) -> Result<Response, ApiError> {
        // What is shown was written by strangers: nothing in it may run or load anything. The one script is the list's
        // own, named by its hash.
        const POLICY: HeaderValue = HeaderValue::from_static(
            "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; form-action 'self'; base-uri 'none'; \
             script-src 'sha256-K9JyWdX821g2OTYCl6bnvJRgZN8yorT1fHWQPrdAbIA='",
        );
        let html = self
            .0
            .get_template(name)
            .and_then(|template| template.render(values))
            .map_err(ApiError::internal)?;
        let mut response = axum::response::Html(html).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_SECURITY_POLICY, POLICY);
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }
}
