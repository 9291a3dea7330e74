//! What the operator sees first.

use std::{fmt::Write, net::SocketAddr};

use common::{services::Service, settings::Settings};

/// What listens where.
pub struct Addresses {
    pub gateway: SocketAddr,
    pub services: Vec<(Service, SocketAddr)>,
    pub simulator: Option<SocketAddr>,
}

/// What runs where, and what to try first.
pub fn banner(settings: &Settings, addresses: &Addresses) -> String {
    let mut text = String::from("\nOrganise Event is running.\n\n");
    let url = settings.public_url(addresses.gateway.port());
    let mut row = |name: &str, place: &str, what: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {name:<14} {place:<30} {what}");
    };
    row("gateway", &url, "the one public door");
    for (service, address) in &addresses.services {
        row(service.name(), &format!("http://{address}"), service.about());
    }
    match addresses.simulator {
        Some(address) => row(
            "razorpay",
            &format!("http://{address}"),
            "simulator; no money moves",
        ),
        None => row(
            "razorpay",
            settings.razorpay.base_url.as_deref().unwrap_or("-"),
            "payments",
        ),
    }
    row(
        "data",
        &settings.data_dir.display().to_string(),
        "SQLite files, secrets, mailbox",
    );
    let _ = writeln!(
        text,
        "\nTry first:\n  {url}/docs              every call, to try out in the browser"
    );
    if !settings.is_production() {
        let _ = writeln!(
            text,
            "  {url}/dev/mailbox       the e-mail and SMS that would have been sent"
        );
    }
    let _ = write!(
        text,
        "\x20 curl {url}/api/users/register -H 'Content-Type: application/json' \\\n\
         \x20      -d '{{\"email\":\"me@example.org\",\"password\":\"a long sentence will do\",\"role\":\"organizer\"}}'\n\n\
         README.md tells the whole story. Ctrl-C stops everything; the data stay.\n\n"
    );
    text
}
