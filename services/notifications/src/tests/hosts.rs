//! In whose name letters about an event come.

use std::time::Duration;

use chrono::TimeDelta;
use common::{ids::UserId, subscriber::Subscriber, wire::EventFacts};
use tokio_util::sync::CancellationToken;

use super::{
    kit::{Lab, confirmation, confirmed, event},
    recorder::Recorder,
};
use crate::{
    channels::Content,
    domain::message::Channel,
    workers::sender::{Round, Sender},
};

fn of(organizer: UserId) -> EventFacts {
    EventFacts {
        organizer: Some(organizer),
        ..event(TimeDelta::hours(-1))
    }
}

#[tokio::test]
async fn letters_come_in_the_name_of_the_organizer_and_answers_go_there_once_the_address_is_verified() {
    let lab = Lab::new();
    let users = &lab.users;
    let (meera, ben) = (
        users.add(Some("Meera Iyer"), "meera@example.org", None),
        users.add(Some("Ben"), "ben@example.org", None),
    );
    users.verify(meera);
    let gone = UserId::new();
    let service = lab.service();
    for (organizer, from, reply_to) in [
        (
            meera,
            "From: \"Meera Iyer via Organise Event\" <no-reply@localhost>\r\n",
            Some("Reply-To: \"Meera Iyer\" <meera@example.org>\r\n"),
        ),
        (
            ben,
            "From: \"Ben via Organise Event\" <no-reply@localhost>\r\n",
            None,
        ),
        (gone, "From: \"Organise Event\" <no-reply@localhost>\r\n", None),
    ] {
        let to = format!("{organizer}@example.com");
        let user = users.add(None, &to, None);
        service
            .accepts(&[confirmation(&confirmed(user, &of(organizer)))])
            .await;
        let id = super::kit::eventually(async || {
            let list = service.get(&format!("/dev/mailbox.json?to={to}")).await.json();
            list[0]["id"].as_str().map(str::to_owned)
        })
        .await;
        let raw = service.get(&format!("/dev/mailbox/{id}?raw=1")).await.text;
        assert!(raw.contains(from), "{raw}");
        let answers = raw.lines().find(|line| line.starts_with("Reply-To"));
        assert_eq!(
            answers.map(|line| format!("{line}\r\n")).as_deref(),
            reply_to,
            "{raw}"
        );
        let says_so = raw
            .replace("=\r\n", "")
            .contains("If you answer, it goes to the organiser.");
        assert_eq!(says_so, reply_to.is_some(), "{raw}");
    }
}

#[tokio::test]
async fn letters_do_not_wait_for_the_name_of_their_organizer() {
    let lab = Lab::new();
    let parts = lab.parts();
    let meera = lab.users.add(Some("Meera"), "meera@example.org", None);
    let asha = lab.users.add(Some("Asha"), "asha@example.com", None);
    parts
        .receive(vec![confirmation(&confirmed(asha, &of(meera)))])
        .await;
    let (mailer, mut received) = Recorder::new();
    let sender = Sender::new(parts, Channel::Email, mailer, Duration::from_secs(20));
    lab.users.set_down(true);
    let round = sender.round(&CancellationToken::new()).await.unwrap();
    assert_eq!(round, Round::Worked);
    let parcel = received.try_recv().unwrap();
    assert_eq!(parcel.host, None);
    assert!(matches!(parcel.content, Content::Email { .. }));
}
