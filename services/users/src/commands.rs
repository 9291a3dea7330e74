//! The users service's commands for operators.

use clap::ArgMatches;
use common::{ids::UserId, services::Service};
use futures_util::FutureExt;
use runtime::{
    audit_command::{self, Named},
    process::Command,
};

use crate::{
    domain::Email,
    store::{self, Store},
};

/// All commands.
pub const COMMANDS: [Command; 1] = [audit_command::command(|settings, arguments| {
    async move {
        let store = store::open(&settings).await?;
        let user = user(&*store, &arguments).await?;
        audit_command::show(&arguments, user, vec![(Service::Users, store.audit())]).await
    }
    .boxed()
})];

/// The user that the arguments name, by the id or an e-mail address.
///
/// # Errors
/// One sentence.
pub async fn user(store: &dyn Store, arguments: &ArgMatches) -> Result<Option<UserId>, String> {
    match audit_command::named(arguments)? {
        Named::All => Ok(None),
        Named::Id(user) => Ok(Some(user)),
        Named::Email(text) => {
            let email = Email::parse(&text).map_err(|why| format!("the e-mail address {why}."))?;
            let account = store.by_email(&email).await.map_err(|error| error.to_string())?;
            let account = account.ok_or("there is no account of this e-mail address.")?;
            Ok(Some(account.user.id))
        }
    }
}
