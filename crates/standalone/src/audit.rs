//! `audit`: what the audit trails of all services say.

use clap::ArgMatches;
use common::{services::Service, settings::Settings};
use futures_util::FutureExt;
use runtime::{audit_command, process::Command};

/// The command.
pub const AUDIT: Command = audit_command::command(|settings, arguments| show(settings, arguments).boxed());

async fn show(settings: Settings, arguments: ArgMatches) -> Result<(), String> {
    let users = users::store::open(&settings).await?;
    let user = users::commands::user(&*users, &arguments).await?;
    let trails = vec![
        (Service::Users, users.audit()),
        (Service::Events, events::store::open(&settings).await?.audit()),
        (
            Service::Notifications,
            notifications::audit_trail(&settings).await?,
        ),
        (Service::Payments, payments::store::open(&settings).await?.audit()),
    ];
    audit_command::show(&arguments, user, trails).await
}
