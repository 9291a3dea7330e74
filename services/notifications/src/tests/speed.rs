use std::{sync::Arc, time::Instant};
use chrono_tz::Tz;
use common::{clock::from_millis, ids::*, sqlite::Sqlite, wire::*, money::Paise};
use crate::{domain::letters::Reach, domain::message::Channel, store::{Store, Change, Intake, Report, Tried, sqlite::*}};

#[tokio::test]
#[ignore]
async fn speed() {
    let dir = tempfile::TempDir::new_in(".").unwrap();
    let store = SqliteStore::new(Sqlite::open(&dir.path().join("n.db"), MIGRATIONS).unwrap());
    let event = EventFacts { event_id: EventId::new(), name: "Rust evening".into(), address: "Online".into(),
        starts_at: from_millis(1_900_000_000_000), zone: Tz::Asia__Kolkata, version: 1, schedule_version: 1, cancelled: false };
    for phone in [None, Some("+911234567890".to_owned())] {
        let mut total = 0.0; let mut worst = 0.0f64;
        for _ in 0..20 {
            let batch: Arc<[Intake]> = (0..500).map(|i| {
                let user_id = UserId::new();
                let fact = RegistrationConfirmed { registration_id: RegistrationId::new(), user_id, event: event.clone(),
                    ticket_id: TicketId::new(), ticket_code: "ABCD-EFGH-JKLM".into(), paid: Paise(0), payment_id: None };
                let card = UserCard { user_id, email: format!("user{i}@example.com"), name: None, phone: phone.clone() };
                Intake { id: new_id(), change: Change::Confirmed { registration_id: fact.registration_id, user_id, facts: event.clone(), letters: Reach{sms:true}.confirmed(&fact, &card) } }
            }).collect();
            let t = Instant::now();
            store.take(batch, from_millis(1_800_000_000_000)).await.unwrap();
            let s = t.elapsed().as_secs_f64()*1000.0;
            total += s; worst = worst.max(s);
        }
        println!("phone {}: mean {:.1} ms, worst {:.1} ms", phone.is_some(), total/20.0, worst);
    }
    for n in [64, 256] {
        let t = Instant::now(); let mut c = 0;
        let (mut a, mut b) = (0.0, 0.0);
        for _ in 0..10 {
            let now = from_millis(1_800_000_000_000);
            let t = Instant::now();
            let claims = store.claim(Channel::Email, new_id(), now, now + chrono::TimeDelta::seconds(20), n).await.unwrap();
            a += t.elapsed().as_secs_f64()*1000.0;
            let t = Instant::now();
            c += claims.len();
            store.report(claims.iter().map(|c| Report{ id: c.message.id, fence: c.fence, result: Tried::Sent{provider:"mailbox", provider_id: format!("{}.eml", c.message.id)}}).collect(), now).await.unwrap();
            b += t.elapsed().as_secs_f64()*1000.0;
        }
        println!("{n}: {} per s; claim {:.1} report {:.1}", c as f64 / t.elapsed().as_secs_f64(), a/10.0, b/10.0);
    }
}
