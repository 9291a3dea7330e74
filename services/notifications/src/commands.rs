//! The notifications service's commands for operators.

use common::services::Service;
use futures_util::FutureExt;
use runtime::{audit_command, process::Command};

/// All commands.
pub const COMMANDS: [Command; 1] = [audit_command::command(|settings, arguments| {
    async move {
        let user = audit_command::by_id(&arguments)?;
        let trail = crate::audit_trail(&settings).await?;
        audit_command::show(&arguments, user, vec![(Service::Notifications, trail)]).await
    }
    .boxed()
})];
