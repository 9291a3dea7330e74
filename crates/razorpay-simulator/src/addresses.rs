//! Addresses for browsers: of our own pages, as answers and events name them, and those that merchants give.

/// The address of a payment's bank page.
pub(crate) fn bank_url(base: &str, payment: &str) -> String {
    format!("{base}/sim/bank/{payment}")
}

/// The address of a payment link's page.
pub(crate) fn link_url(base: &str, link: &str) -> String {
    format!("{base}/sim/links/{link}")
}

/// Whether a browser can be sent there.
pub(crate) fn is_web_address(url: &str) -> bool {
    reqwest::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}
