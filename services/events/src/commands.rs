//! The events service's commands for operators.

use common::services::Service;
use futures_util::FutureExt;
use runtime::{audit_command, process::Command};

use crate::store;

/// All commands.
pub const COMMANDS: [Command; 1] = [audit_command::command(|settings, arguments| {
    async move {
        let user = audit_command::by_id(&arguments)?;
        let trail = store::open(&settings).await?.audit();
        audit_command::show(&arguments, user, vec![(Service::Events, trail)]).await
    }
    .boxed()
})];
