use common::clock::from_millis;

use super::*;

/// 31 January 2027, noon UTC.
const NOON: i64 = 1_801_396_800_000;

fn entry(zone: Tz) -> Entry {
    Entry {
        uid: "019309a2-0000-7000-8000-000000000003@organise-event".into(),
        sequence: 2,
        written_at: from_millis(NOON - 86_400_000),
        starts: EventTime {
            at: from_millis(NOON),
            zone,
        },
        ends_at: Some(from_millis(NOON + 5_400_000)),
        summary: "Rust, for organisers".into(),
        location: "12 MG Road".into(),
        description: String::new(),
        url: Some("https://events.example.org/e/1".into()),
        cancelled: false,
        organizer: Some(Person {
            name: Some("Asha \"Rao\"".into()),
            email: "no-reply@example.org".into(),
        }),
        attendee: None,
    }
}

#[test]
fn an_entry_is_written_in_the_zone_of_the_event() {
    let written = write(Method::Request, None, &[entry(Tz::Asia__Kolkata)]);
    for line in [
        "METHOD:REQUEST",
        "TZID:Asia/Kolkata",
        "TZOFFSETTO:+0530",
        "UID:019309a2-0000-7000-8000-000000000003@organise-event",
        "SEQUENCE:2",
        "DTSTART;TZID=Asia/Kolkata:20270131T173000",
        "DTEND;TZID=Asia/Kolkata:20270131T190000",
        "SUMMARY:Rust\\, for organisers",
        "ORGANIZER;CN=\"Asha 'Rao'\":mailto:no-reply@example.org",
        "STATUS:CONFIRMED",
    ] {
        assert!(
            written.lines().any(|found| found == line),
            "{line} is missing:\n{written}"
        );
    }
    assert_eq!(written.matches("BEGIN:").count(), written.matches("END:").count());
}

#[test]
fn utc_needs_no_zone() {
    let written = write(Method::Cancel, None, &[entry(Tz::UTC)]);
    assert!(written.contains("DTSTART:20270131T120000Z\r\n") && !written.contains("VTIMEZONE"));
}

#[test]
fn each_zone_is_defined_once() {
    let entries = [
        entry(Tz::Asia__Kolkata),
        entry(Tz::Europe__Berlin),
        entry(Tz::Asia__Kolkata),
    ];
    let written = write(Method::Publish, Some("Events"), &entries);
    assert_eq!(written.matches("BEGIN:VTIMEZONE").count(), 2);
    assert_eq!(written.matches("BEGIN:VEVENT").count(), 3);
    assert!(written.contains("X-WR-CALNAME:Events\r\n"));
}

#[test]
fn an_end_at_the_start_is_none() {
    let mut entry = entry(Tz::UTC);
    entry.ends_at = Some(entry.starts.at);
    assert!(!write(Method::Publish, None, &[entry]).contains("DTEND"));
}
