//! The payments service's commands for operators.

use std::time::Duration;

use common::{services::Service, settings::Settings, time::utc};
use futures_util::FutureExt;
use runtime::{
    audit_command,
    process::{Command, razorpay_keys},
};

use crate::{
    razorpay::{http_client, signature, webhook},
    store,
};

/// The timeout of one webhook.
const PATIENCE: Duration = Duration::from_secs(30);

/// The audit trail.
pub const AUDIT: Command = audit_command::command(|settings, arguments| {
    async move {
        let user = audit_command::by_id(&arguments)?;
        let trail = store::open(&settings).await?.audit();
        audit_command::show(&arguments, user, vec![(Service::Payments, trail)]).await
    }
    .boxed()
});

/// What Razorpay reported and was not understood.
pub const WEBHOOKS: [Command; 2] = [
    Command {
        name: "webhooks list",
        about: "lists Razorpay's webhooks that could not be understood and are parked",
        arguments: Vec::new,
        run: |settings, _| list(settings).boxed(),
    },
    Command {
        name: "webhooks replay",
        about: "sends the parked webhooks to the running payments service again",
        arguments: Vec::new,
        run: |settings, _| replay(settings).boxed(),
    },
];

/// All commands.
pub fn all() -> Vec<Command> {
    WEBHOOKS.into_iter().chain([AUDIT]).collect()
}

async fn list(settings: Settings) -> Result<(), String> {
    let parked = store::open(&settings).await?.parked_webhooks().await;
    let parked = parked.map_err(|error| error.to_string())?;
    for one in &parked {
        println!(
            "{}  {:<20}  {:<18}  {}",
            utc(one.received_at),
            one.id,
            one.event,
            one.why
        );
    }
    println!("{} parked webhooks.", parked.len());
    Ok(())
}

/// Sends each parked webhook under its own id with a new signature, as Razorpay would, so that it takes the regular
/// path.
async fn replay(settings: Settings) -> Result<(), String> {
    let parked = store::open(&settings).await?.parked_webhooks().await;
    let parked = parked.map_err(|error| error.to_string())?;
    let secret = razorpay_keys(&settings)?.webhook_secret;
    let first = settings.payments_url.split(',').next().unwrap_or_default();
    let url = format!("{}/api/payment/webhook", first.trim().trim_end_matches('/'));
    let http = http_client()?;
    let mut still = 0;
    for one in &parked {
        if let Err(why) = webhook::read(&one.body) {
            println!("{}  {}: still not understood: {why}", one.id, one.event);
            still += 1;
            continue;
        }
        let response = http
            .post(&url)
            .timeout(PATIENCE)
            .header("Content-Type", "application/json")
            .header(
                "X-Razorpay-Signature",
                signature::sign(&one.body, &secret).unwrap_or_default(),
            )
            .header("X-Razorpay-Event-Id", &one.id)
            .body(one.body.clone())
            .send()
            .await
            .map_err(|error| {
                format!(
                    "the payments service at {url} does not answer: {}.",
                    error.without_url()
                )
            })?;
        if !response.status().is_success() {
            return Err(format!(
                "the payments service answered {} to {}.",
                response.status(),
                one.id
            ));
        }
        println!("{}  {}: consumed", one.id, one.event);
    }
    match still {
        0 => {
            println!("{} replayed; none is parked any more.", parked.len());
            Ok(())
        }
        still => Err(format!("{still} of {} are still not understood.", parked.len())),
    }
}
