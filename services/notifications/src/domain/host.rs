//! In whose name letters about an event come.

use common::{text::is_visible, wire::UserCard};

use super::name::holds_link;

/// The longest name that a sender is given, in characters.
const NAME: usize = 60;

/// The organizer of an event, as the sender of letters about it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Host {
    /// Comes before the product's name; `None`: the product is the sender.
    pub name: Option<String>,
    /// Where answers go; `None`: nowhere.
    pub reply_to: Option<String>,
}

impl Host {
    /// Of an organizer's account. The name is left out where it could be taken for a link or another sender's address.
    /// Answers go to an address that its owner has proved to read and to no other, since any address can be signed up with, and
    /// whose it is has not asked for answers.
    pub fn of(card: &UserCard) -> Self {
        let fit = |name: &&String| is_visible(name) && !holds_link(name) && name.chars().count() <= NAME;
        Self {
            name: card.name.as_ref().filter(fit).cloned(),
            reply_to: card.email_verified.then(|| card.email.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use common::ids::UserId;

    use super::*;

    fn host(name: Option<&str>, email_verified: bool) -> Host {
        Host::of(&UserCard {
            user_id: UserId::new(),
            email: "meera@example.org".into(),
            name: name.map(str::to_owned),
            phone: None,
            timezone: None,
            locale: None,
            email_verified,
        })
    }

    #[test]
    fn answers_go_to_who_has_proved_to_read_them() {
        assert_eq!(
            host(Some("मीरा"), true),
            Host {
                name: Some("मीरा".into()),
                reply_to: Some("meera@example.org".into())
            }
        );
        assert_eq!(host(None, false), Host::default());
        for odd in [
            "support@bank.example",
            "www.example.org",
            " ",
            "\u{200b}",
            &"x".repeat(61),
        ] {
            assert_eq!(host(Some(odd), false), Host::default(), "{odd:?}");
        }
    }
}
