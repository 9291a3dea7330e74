//! The audit trail, which is the same in every service.

use common::{
    audit::{AT_ONCE, Entry, Wanted},
    clock::from_millis,
    ids::{UserId, new_id},
};

use crate::store::Store;

fn entry(user: Option<UserId>, at: i64) -> Entry {
    Entry {
        id: new_id(),
        at: from_millis(at),
        user,
        session: user.map(|_| new_id()),
        api_key: user.is_none().then(new_id),
        action: "PATCH /api/organiser/events/{id}".to_owned(),
        subject: Some("आशा".to_owned()),
        network: "192.0.2.0/24".to_owned(),
        status: 404,
        code: Some("event_not_found".to_owned()),
        request_id: "x".to_owned(),
        times: 7,
    }
}

pub async fn audit_entries_are_found_by_user_and_time(store: &dyn Store) {
    let trail = store.audit();
    let (asha, ben) = (UserId::new(), UserId::new());
    let mut all = vec![
        entry(Some(asha), 3_000),
        entry(Some(ben), 2_000),
        entry(None, 2_000),
        entry(Some(asha), 1_000),
    ];
    let mut bare = entry(Some(asha), 4_000);
    (bare.session, bare.subject, bare.code) = (None, None, None);
    all.push(bare);
    trail.append(all.clone()).await.unwrap();
    trail.append(all[..2].to_vec()).await.unwrap();
    trail.append(Vec::new()).await.unwrap();
    all.sort_by_key(|entry| (entry.at, entry.id));
    let find = async |wanted| trail.entries(wanted).await.unwrap();
    assert_eq!(find(Wanted::default()).await, all);
    let of = |user: Option<UserId>, since: i64| -> Vec<Entry> {
        let wanted = |entry: &&Entry| {
            user.is_none_or(|user| entry.user == Some(user)) && entry.at >= from_millis(since)
        };
        all.iter().filter(wanted).cloned().collect()
    };
    for (user, since) in [
        (Some(asha), 0),
        (Some(ben), 0),
        (None, 2_000),
        (Some(asha), 1_001),
        (None, 4_001),
    ] {
        let wanted = Wanted {
            user,
            since: Some(from_millis(since)),
            ..Wanted::default()
        };
        assert_eq!(find(wanted).await, of(user, since));
    }
    let beyond = Wanted {
        after: Some((all[1].at, all[1].id)),
        ..Wanted::default()
    };
    assert_eq!(find(beyond).await, all[2..]);
    // The newest first.
    let back = |after: Option<&Entry>| Wanted {
        after: after.map(|entry| (entry.at, entry.id)),
        newest_first: true,
        since: Some(from_millis(1_500)),
        ..Wanted::default()
    };
    let mut newest: Vec<Entry> = of(None, 1_500);
    newest.reverse();
    assert_eq!(find(back(None)).await, newest);
    assert_eq!(find(back(Some(&newest[1]))).await, newest[2..]);
    assert_eq!(trail.drop_before(from_millis(3_000), 2).await.unwrap(), 2);
    assert_eq!(trail.drop_before(from_millis(3_000), 9).await.unwrap(), 1);
    assert_eq!(find(Wanted::default()).await, all[3..]);
    let many = (0..=AT_ONCE)
        .map(|at| entry(Some(ben), 5_000 + at as i64))
        .collect();
    trail.append(many).await.unwrap();
    let page = find(Wanted {
        user: Some(ben),
        ..Wanted::default()
    })
    .await;
    assert_eq!(page.len(), AT_ONCE);
}
