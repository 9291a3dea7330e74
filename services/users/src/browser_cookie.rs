//! By which a browser is known again that comes back from Google.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use common::problem::ApiError;

/// The cookie by which a browser is known again: a state that was begun in another one is worth nothing.
#[derive(Clone)]
pub struct BrowserCookie {
    https: bool,
}

impl BrowserCookie {
    /// For a site at this address.
    pub fn of(public_url: &str) -> Self {
        Self {
            https: public_url.starts_with("https://"),
        }
    }

    fn name(&self) -> &'static str {
        // A name with this prefix can be set by this host alone (RFC 6265bis, 4.1.3.2).
        if self.https {
            "__Host-oe_browser"
        } else {
            "oe_browser"
        }
    }

    /// What a browser shows, if it is one of ours.
    pub fn read(&self, headers: &HeaderMap) -> Option<String> {
        let cookies = headers.get_all(header::COOKIE).iter();
        let pairs = cookies
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'));
        let mut values = pairs.filter_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            let is_ours = value.len() == 43
                && value
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
            (name == self.name() && is_ours).then(|| value.to_owned())
        });
        values.next()
    }

    /// Sets it for so long.
    ///
    /// # Errors
    /// Never, as long as it is one of ours.
    pub fn set(&self, browser: &str, life: Duration) -> Result<HeaderValue, ApiError> {
        let secure = if self.https { "; Secure" } else { "" };
        let life = life.as_secs();
        // Lax, because it must come along when Google sends the browser back.
        let cookie = format!(
            "{}={browser}; Path=/; Max-Age={life}; HttpOnly; SameSite=Lax{secure}",
            self.name()
        );
        HeaderValue::try_from(cookie).map_err(ApiError::internal)
    }
}
