//! What messages are about.

use std::sync::LazyLock;

use common::leads::{Lead, MAX_HOURS};
use serde_json::json;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr, Type,
        schema::{AnyOfBuilder, ObjectBuilder, Schema},
    },
};

/// The kinds whose name is all there is to them, and reminders, of which there is one for each lead.
macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)+) => {
        /// What a message is about.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Kind {
            $($(#[$doc])* $variant,)+
            /// It starts soon: so long before.
            Reminder(Lead),
        }

        impl Kind {
            /// Every kind but the reminders.
            pub const NAMED: &[Self] = &[$(Self::$variant),+];
            /// The same with two reminders.
            #[cfg(test)]
            pub const ALL: &[Self] = &[$(Self::$variant,)+ Self::DAY_BEFORE, Self::HOURS_BEFORE];

            /// The name in stores and answers.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Reminder(lead) => reminder(lead),
                }
            }
        }
    };
}

kinds! {
    /// You are in. Written by earlier releases; now the ticket says so.
    RegistrationConfirmed = "registration_confirmed",
    /// You are in, and this is what to show at the door.
    Ticket = "ticket",
    /// The seat held for you was given back, since it was not paid for in time.
    HoldExpired = "hold_expired",
    /// A seat is held for you, who waited for one.
    WaitlistOffer = "waitlist_offer",
    /// A payment did not work out.
    PaymentFailed = "payment_failed",
    /// Its time, place or name is another now.
    EventUpdated = "event_updated",
    /// It will not take place.
    EventCancelled = "event_cancelled",
    /// You are out, as you wished.
    RegistrationCancelled = "registration_cancelled",
    /// What its organizer writes to those who take part.
    Announcement = "announcement",
    /// Your money is on its way back.
    PaymentRefunded = "payment_refunded",
    /// Confirm that an e-mail address is yours.
    VerifyEmail = "verify_email",
    /// The address of your account is to be another one, or is.
    EmailChanged = "email_changed",
    /// Set another password.
    PasswordReset = "password_reset",
    /// Your password is another one.
    PasswordChanged = "password_changed",
    /// You are invited to the team of an event.
    TeamInvitation = "team_invitation",
}

/// The names of all reminders, since a name is kept nowhere else for as long as the program runs.
fn reminder(lead: Lead) -> &'static str {
    static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
        (0..=MAX_HOURS)
            .map(|hours| format!("reminder_{hours}h"))
            .collect()
    });
    NAMES
        .get(usize::from(lead.hours()))
        .map_or("reminder", String::as_str)
}

impl Kind {
    /// The reminder a day before.
    #[cfg(test)]
    pub const DAY_BEFORE: Self = Self::Reminder(Lead::DAY);
    /// The reminder three hours before.
    #[cfg(test)]
    pub const HOURS_BEFORE: Self = Self::Reminder(Lead::THREE_HOURS);

    /// The name of its template.
    pub fn template(self) -> &'static str {
        match self {
            Self::Reminder(_) => "reminder",
            other => other.name(),
        }
    }

    /// The kind of that name.
    pub fn parse(text: &str) -> Option<Self> {
        let named = Self::NAMED.iter().copied().find(|kind| kind.name() == text);
        named.or_else(|| {
            let hours = text.strip_prefix("reminder_")?.strip_suffix('h')?.parse().ok()?;
            let kind = Self::Reminder(Lead::new(hours)?);
            // One name each: `reminder_024h` is none.
            (kind.name() == text).then_some(kind)
        })
    }
}

impl PartialSchema for Kind {
    fn schema() -> RefOr<Schema> {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        AnyOfBuilder::new()
            .description(Some(
                "What a message is about. A reminder's kind says how long before the start it is sent: \
                 `reminder_24h`; 1 to 720 hours.",
            ))
            .item(text().enum_values(Some(Self::NAMED.iter().map(|kind| kind.name()))))
            .item(text().pattern(Some("^reminder_([1-9][0-9]?|[1-6][0-9]{2}|7[01][0-9]|720)h$")))
            .examples([json!("ticket"), json!("reminder_24h")])
            .into()
    }
}

impl ToSchema for Kind {
    fn name() -> std::borrow::Cow<'static, str> {
        "MessageKind".into()
    }
}

/// One kind, or all reminders of whatever lead: those that were sent may have one that their event has no more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kinds {
    /// This one.
    Only(Kind),
    /// Reminders.
    Reminders,
}

impl Kinds {
    /// The first and the last name of them, in the order of stores, which is that of bytes.
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Only(kind) => (kind.name(), kind.name()),
            Self::Reminders => ("reminder_", "reminder_~"),
        }
    }
}

impl From<Kind> for Kinds {
    fn from(kind: Kind) -> Self {
        Self::Only(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        let reminders = (1..=MAX_HOURS).map(|hours| Kind::Reminder(Lead::new(hours).unwrap()));
        for kind in Kind::NAMED.iter().copied().chain(reminders) {
            assert_eq!(Kind::parse(kind.name()), Some(kind));
        }
        assert_eq!(Kind::DAY_BEFORE.name(), "reminder_24h");
        for absurd in [
            "",
            "reminder",
            "reminder_",
            "reminder_h",
            "reminder_0h",
            "reminder_024h",
            "reminder_+3h",
            "reminder_-3h",
            "reminder_3",
            "reminder_721h",
            "reminder_99999999999999999999h",
            "reminder_3h ",
            "REMINDER_3H",
        ] {
            assert_eq!(Kind::parse(absurd), None, "{absurd:?}");
        }
    }

    #[test]
    fn reminders_are_together_and_nothing_else_is_among_them() {
        let (first, last) = Kinds::Reminders.names();
        for hours in 1..=MAX_HOURS {
            let name = Kind::Reminder(Lead::new(hours).unwrap()).name();
            assert!(first < name && name < last, "{name}");
        }
        for kind in Kind::NAMED {
            assert!(!(first..=last).contains(&kind.name()), "{kind:?}");
        }
    }
}
