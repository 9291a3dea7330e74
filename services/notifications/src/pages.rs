//! Pages as templates: those of the mailbox, and the one that ends a kind of e-mail.

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use common::problem::ApiError;
use minijinja::{Environment, UndefinedBehavior, Value};
use sha2::{Digest, Sha256};

const SCRIPT: &str = include_str!("templates/dev/mailbox.js");

/// The templates of the pages.
pub struct Pages {
    environment: Environment<'static>,
    policy: HeaderValue,
}

impl Pages {
    /// Reads the templates, which are part of the program.
    ///
    /// # Errors
    /// Never, unless a template is wrong.
    pub fn new() -> Result<Self, minijinja::Error> {
        // What is shown is untrusted input: nothing in it may run or load anything, and its pictures are those it brings. Our
        // own script is known by its hash.
        let hash = BASE64_STANDARD.encode(Sha256::digest(SCRIPT));
        let policy = format!(
            "default-src 'none'; script-src 'sha256-{hash}'; connect-src 'self'; style-src 'unsafe-inline'; \
             img-src data:; frame-src 'self'; form-action 'self'; base-uri 'none'"
        );
        let policy = HeaderValue::try_from(policy).map_err(|error| {
            minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, error.to_string())
        })?;
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.add_template("page.html", include_str!("templates/dev/page.html"))?;
        environment.add_template("list.html", include_str!("templates/dev/list.html"))?;
        environment.add_template("message.html", include_str!("templates/dev/message.html"))?;
        environment.add_template(
            "unsubscribe.html",
            include_str!("templates/unsubscribe.page.html"),
        )?;
        environment.add_global("script", Value::from_safe_string(SCRIPT.to_owned()));
        Ok(Self { environment, policy })
    }

    /// Renders a page.
    ///
    /// # Errors
    /// Never, unless a template is wrong.
    pub fn show(&self, name: &str, values: Value) -> Result<Response, ApiError> {
        let html = self
            .environment
            .get_template(name)
            .and_then(|template| template.render(values))
            .map_err(ApiError::internal)?;
        let mut response = axum::response::Html(html).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_SECURITY_POLICY, self.policy.clone());
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }
}
