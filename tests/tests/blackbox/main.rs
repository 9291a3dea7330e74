//! Black-box tests: the system as processes, known only through its doors. Run by `./test`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "tests fail loudly"
)]

mod accounts;
mod audit;
mod checkout;
mod clock;
mod compose;
mod containers;
mod crash;
mod dead_letters;
mod disk;
mod documents;
mod drafts;
mod errors;
mod export;
mod google;
mod idempotency;
mod limits;
mod live;
mod live_clients;
mod log;
mod mail;
mod mailbox;
mod migration;
mod money;
mod openapi;
mod organizer_day;
mod policies;
mod postman;
mod races;
mod readme;
mod recovery;
mod redis;
mod refunds;
mod replicas;
mod sdk;
mod sessions;
mod start;
mod story;
mod streaming;
mod talking;
mod team;
mod tickets;
mod traces;
mod unreadable;
mod upgrade;
mod waitlist;

/// Runs a story in every topology.
macro_rules! everywhere {
    ($($story:ident),+ $(,)?) => {
        mod one_process {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $story() {
                super::$story(tests::Topology::One).await;
            })+
        }
        mod five_processes {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $story() {
                super::$story(tests::Topology::Five).await;
            })+
        }
        mod production {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $story() {
                super::$story(tests::Topology::Production).await;
            })+
        }
        mod replicas {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $story() {
                super::$story(tests::Topology::Replicas).await;
            })+
        }
    };
}
pub(crate) use everywhere;
