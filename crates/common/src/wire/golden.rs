//! What services write to each other, as files: while they are replaced one after the other, the old release reads what
//! the new one writes, and the reverse. A file changes only by additions, which have a default and are named in `added`.

use std::fmt::Debug;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::*;

fn golden<T: Serialize + DeserializeOwned + PartialEq + Debug>(kind: &str, file: &str) {
    let file: Value = serde_json::from_str(file).unwrap();
    let (data, added) = (&file["data"], file["added"].as_array().unwrap());
    let read = |data: &Value| serde_json::from_value::<T>(data.clone());
    let message = read(data).unwrap_or_else(|error| panic!("{kind}: {error}"));
    assert_eq!(
        serde_json::to_value(&message).unwrap(),
        *data,
        "{kind} is written otherwise"
    );
    // A newer release sends more fields.
    let mut more = data.clone();
    more["of_tomorrow"] = json!({"what": [1]});
    if let Some(event) = more.get_mut("event") {
        event["of_tomorrow"] = json!("too");
    }
    assert_eq!(read(&more).unwrap(), message, "{kind} with a field of tomorrow");
    // The release before the additions sent fewer.
    let mut less = data.clone();
    for field in added {
        less.as_object_mut()
            .unwrap()
            .remove(field.as_str().unwrap())
            .unwrap();
    }
    read(&less).unwrap_or_else(|error| panic!("{kind} without {added:?}: {error}"));
}

macro_rules! golden {
    ($($kind:ident: $type:ty = $file:literal),+ $(,)?) => {
        #[test]
        fn messages_are_written_and_read_as_ever() {
            $(
                assert_eq!($file, kind::$kind);
                golden::<$type>(kind::$kind, include_str!(concat!("messages/", $file, ".json")));
            )+
        }
    };
}

golden! {
    REGISTRATION_CONFIRMED: RegistrationConfirmed = "registration.confirmed",
    REGISTRATION_ENDED: RegistrationEnded = "registration.ended",
    EVENT_CHANGED: EventFacts = "event.changed",
    PAYMENT_CAPTURED: PaymentCaptured = "payment.captured",
    PAYMENT_REVERSED: PaymentReversed = "payment.reversed",
    PAYMENT_REFUSED: PaymentRefused = "payment.refused",
    PAYMENT_REFUNDED: PaymentRefunded = "payment.refunded",
    HOLD_EXPIRED: HoldExpired = "hold.expired",
    WAITLIST_OFFERED: WaitlistOffered = "waitlist.offered",
    WAITLIST_CLOSED: WaitlistClosed = "waitlist.closed",
    PAYMENT_FAILED: PaymentFailed = "payment.failed",
    ACCOUNT_DELETED: AccountDeleted = "account.deleted",
    TOKEN_ISSUED: TokenIssued = "token.issued",
    TEAM_INVITED: TeamInvited = "team.invited",
}
