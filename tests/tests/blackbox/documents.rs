//! The API documents say what there is.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use common::{
    routes::{Audience, Policy, ROUTES},
    services::Service,
};
use serde_json::{Value, json};
use tests::{Options, System, Topology, process::root};

use crate::everywhere;

everywhere!(the_documents_are_whole);

/// Every public call: what clients generated from the document call it, and where it is.
const DOCUMENTED: [(&str, &str, &str); 119] = [
    ("liveEvents", "get", "/api/live/sse"),
    ("liveSocket", "get", "/api/live/ws"),
    ("issueLiveTicket", "post", "/api/live/ticket"),
    ("listChat", "get", "/api/live/events/{id}/chat"),
    ("sendChat", "post", "/api/live/events/{id}/chat"),
    ("editChat", "patch", "/api/live/events/{id}/chat/{message_id}"),
    ("deleteChat", "delete", "/api/live/events/{id}/chat/{message_id}"),
    ("getChatMode", "get", "/api/live/events/{id}/chat/mode"),
    ("setChatMode", "put", "/api/live/events/{id}/chat/mode"),
    ("listQuestions", "get", "/api/live/events/{id}/questions"),
    ("askQuestion", "post", "/api/live/events/{id}/questions"),
    (
        "setQuestion",
        "patch",
        "/api/live/events/{id}/questions/{question_id}",
    ),
    (
        "voteForQuestion",
        "post",
        "/api/live/events/{id}/questions/{question_id}/vote",
    ),
    ("listPolls", "get", "/api/live/events/{id}/polls"),
    ("createPoll", "post", "/api/live/events/{id}/polls"),
    ("openPoll", "post", "/api/live/events/{id}/polls/{poll_id}/open"),
    ("closePoll", "post", "/api/live/events/{id}/polls/{poll_id}/close"),
    ("voteInPoll", "post", "/api/live/events/{id}/polls/{poll_id}/vote"),
    ("react", "post", "/api/live/events/{id}/reactions"),
    ("ban", "post", "/api/live/events/{id}/bans/{user_id}"),
    ("liftBan", "delete", "/api/live/events/{id}/bans/{user_id}"),
    ("getPresence", "get", "/api/live/events/{id}/presence"),
    ("listAnnouncements", "get", "/api/live/events/{id}/announcements"),
    ("announce", "post", "/api/live/events/{id}/announcements"),
    (
        "withdrawAnnouncement",
        "delete",
        "/api/live/events/{id}/announcements/{announcement_id}",
    ),
    ("listStreams", "get", "/api/organiser/events/{id}/streams"),
    ("createStream", "post", "/api/organiser/events/{id}/streams"),
    (
        "updateStream",
        "patch",
        "/api/organiser/events/{id}/streams/{stream_id}",
    ),
    (
        "deleteStream",
        "delete",
        "/api/organiser/events/{id}/streams/{stream_id}",
    ),
    (
        "newStreamKey",
        "post",
        "/api/organiser/events/{id}/streams/{stream_id}/key",
    ),
    (
        "endStream",
        "post",
        "/api/organiser/events/{id}/streams/{stream_id}/end",
    ),
    (
        "kickPublisher",
        "post",
        "/api/organiser/events/{id}/streams/{stream_id}/kick",
    ),
    ("getTimetable", "get", "/api/live/events/{id}/streams"),
    ("beginPlayback", "post", "/api/live/streams/{stream_id}/playback"),
    (
        "playbackHeartbeat",
        "post",
        "/api/live/playback/{playback_id}/heartbeat",
    ),
    ("getStreamFile", "get", "/api/live/hls/{stream_id}/{file}"),
    ("listEvents", "get", "/api/events"),
    ("getEvent", "get", "/api/events/{id}"),
    ("listNotifications", "get", "/api/notifications"),
    ("createEvent", "post", "/api/organiser/create_event"),
    ("listOwnEvents", "get", "/api/organiser/events"),
    ("updateEvent", "patch", "/api/organiser/events/{id}"),
    ("cancelEvent", "post", "/api/organiser/events/{id}/cancel"),
    ("publishEvent", "post", "/api/organiser/events/{id}/publish"),
    ("duplicateEvent", "post", "/api/organiser/events/{id}/duplicate"),
    ("listPayments", "get", "/api/payment/payments"),
    ("listEventPayments", "get", "/api/organiser/events/{id}/payments"),
    ("getPayment", "get", "/api/payment/payments/{id}"),
    ("processPayment", "post", "/api/payment/process_payment"),
    ("verifyPayment", "post", "/api/payment/verify"),
    ("receiveWebhook", "post", "/api/payment/webhook"),
    ("listRegistrations", "get", "/api/reg/get_registrevent"),
    ("registerForEvent", "post", "/api/reg/register_event"),
    ("joinWaitlist", "post", "/api/reg/waitlist/{event_id}"),
    ("leaveWaitlist", "delete", "/api/reg/waitlist/{event_id}"),
    ("listWaitlist", "get", "/api/reg/waitlist"),
    ("cancelRegistration", "delete", "/api/reg/registrations/{id}"),
    ("getRegistration", "get", "/api/reg/registrations/{id}"),
    ("getTicketPdf", "get", "/api/reg/registrations/{id}/ticket.pdf"),
    ("getTicketSvg", "get", "/api/reg/registrations/{id}/ticket.svg"),
    ("getTicketPng", "get", "/api/reg/registrations/{id}/ticket.png"),
    ("getTicketIcs", "get", "/api/reg/registrations/{id}/ticket.ics"),
    ("getTicketByCode", "get", "/api/reg/tickets/{file}"),
    ("getTicketKey", "get", "/api/events/ticket_key"),
    ("createCalendar", "post", "/api/reg/calendar"),
    ("removeCalendar", "delete", "/api/reg/calendar"),
    ("readCalendar", "get", "/api/reg/calendar/{file}"),
    ("checkIn", "post", "/api/organiser/events/{id}/check_in"),
    (
        "undoCheckIn",
        "delete",
        "/api/organiser/events/{id}/check_ins/{ticket_id}",
    ),
    ("listAttendees", "get", "/api/organiser/events/{id}/registrations"),
    (
        "exportAttendees",
        "get",
        "/api/organiser/events/{id}/registrations.csv",
    ),
    (
        "cancelForAttendee",
        "post",
        "/api/organiser/events/{id}/registrations/{registration_id}/cancel",
    ),
    ("getStats", "get", "/api/organiser/events/{id}/stats"),
    ("login", "post", "/api/users/login"),
    ("logout", "post", "/api/users/logout"),
    ("logoutAll", "post", "/api/users/logout_all"),
    ("getMe", "get", "/api/users/me"),
    ("updateMe", "patch", "/api/users/me"),
    ("deleteMe", "delete", "/api/users/me"),
    ("exportMe", "get", "/api/users/me/export"),
    ("createApiKey", "post", "/api/users/api_keys"),
    ("listApiKeys", "get", "/api/users/api_keys"),
    ("deleteApiKey", "delete", "/api/users/api_keys/{id}"),
    ("readNotification", "post", "/api/notifications/{id}/read"),
    ("readAllNotifications", "post", "/api/notifications/read_all"),
    ("getPreferences", "get", "/api/notifications/preferences"),
    ("setPreferences", "put", "/api/notifications/preferences"),
    ("askUnsubscribe", "get", "/api/notifications/unsubscribe"),
    ("unsubscribe", "post", "/api/notifications/unsubscribe"),
    ("listTemplates", "get", "/api/notifications/templates"),
    (
        "previewTemplate",
        "get",
        "/api/notifications/templates/{kind}/preview",
    ),
    (
        "listLetterAnnouncements",
        "get",
        "/api/organiser/events/{id}/announcements",
    ),
    (
        "announceByLetter",
        "post",
        "/api/organiser/events/{id}/announcements",
    ),
    (
        "withdrawLetterAnnouncement",
        "delete",
        "/api/organiser/events/{id}/announcements/{announcement_id}",
    ),
    (
        "getLetterAnnouncement",
        "get",
        "/api/organiser/events/{id}/announcements/{announcement_id}",
    ),
    ("listWordings", "get", "/api/organiser/events/{id}/templates"),
    ("setWording", "put", "/api/organiser/events/{id}/templates/{kind}"),
    (
        "dropWording",
        "delete",
        "/api/organiser/events/{id}/templates/{kind}",
    ),
    ("getReminders", "get", "/api/organiser/events/{id}/reminders"),
    ("setReminders", "put", "/api/organiser/events/{id}/reminders"),
    ("reportByTwilio", "post", "/api/notifications/webhooks/twilio"),
    ("reportByMsg91", "post", "/api/notifications/webhooks/msg91"),
    ("changePassword", "post", "/api/users/password/change"),
    ("forgotPassword", "post", "/api/users/password/forgot"),
    ("resetPassword", "post", "/api/users/password/reset"),
    ("changeEmail", "post", "/api/users/email/change"),
    ("verifyEmail", "post", "/api/users/email/verify"),
    ("sendVerification", "post", "/api/users/email/verify/send"),
    ("signInWithGoogle", "get", "/api/users/oauth/google"),
    (
        "finishSignInWithGoogle",
        "get",
        "/api/users/oauth/google/callback",
    ),
    ("exchangeCode", "post", "/api/users/oauth/exchange"),
    ("linkGoogle", "post", "/api/users/oauth/link"),
    ("refresh", "post", "/api/users/refresh"),
    ("registerUser", "post", "/api/users/register"),
    ("proposeTotp", "post", "/api/users/totp"),
    ("removeTotp", "delete", "/api/users/totp"),
    ("confirmTotp", "post", "/api/users/totp/confirm"),
    ("listSessions", "get", "/api/users/sessions"),
    ("endSession", "delete", "/api/users/sessions/{session_id}"),
];

async fn the_documents_are_whole(topology: Topology) {
    let system = System::start(topology, Options::default()).await;
    let anyone = system.anyone();
    let document = anyone.get("/openapi.json").await.expect(200);
    assert!(
        document["openapi"].as_str().unwrap().starts_with("3.1"),
        "{}",
        document["openapi"]
    );
    for (id, method, path) in DOCUMENTED {
        assert_eq!(
            document["paths"][path][method]["operationId"], id,
            "{method} {path}"
        );
    }
    // A dot in a name: two services have called different things alike.
    for components in document["components"].as_object().unwrap().values() {
        let names: Vec<&String> = components.as_object().unwrap().keys().collect();
        assert!(names.iter().all(|name| !name.contains('.')), "{names:?}");
    }
    let mut dangling = BTreeSet::new();
    references(&document, &mut |reference| {
        let pointer = reference.trim_start_matches('#');
        if document.pointer(pointer).is_none() {
            dangling.insert(reference.to_owned());
        }
    });
    assert!(dangling.is_empty(), "{dangling:?}");
    for route in ROUTES {
        for call in route.calls {
            let is_page = matches!(call.audience, Audience::Developers | Audience::Browsers);
            let documented = &document["paths"][route.path][call.method.to_lowercase()];
            assert_eq!(documented.is_null(), is_page, "{} {}", call.method, route.path);
        }
    }
    // Whatever the document names has a policy, and says the same of it.
    for (path, methods) in document["paths"].as_object().unwrap() {
        assert!(!path.contains("internal"), "{path}");
        for (method, operation) in methods.as_object().unwrap() {
            assert!(
                DOCUMENTED.contains(&(operation["operationId"].as_str().unwrap(), method, path)),
                "{method} {path} is new"
            );
            let method = reqwest::Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let Policy::Call(call) = Policy::find(path, &method) else {
                panic!("{method} {path} has no policy")
            };
            let mut wanted = Vec::new();
            if call.audience.needs_user() {
                wanted.push(json!({"bearer": []}));
            }
            wanted.extend(call.scope.map(|scope| json!({"api_key": [scope]})));
            assert_eq!(operation["security"], json!(wanted), "{method} {path}");
        }
    }
    assert_eq!(
        document["components"]["securitySchemes"]["bearer"]["scheme"],
        "bearer"
    );
    let docs = anyone
        .send(reqwest::Method::GET, "/docs/", None, &[])
        .await
        .unwrap();
    assert_eq!(docs.status, 200);
    for outside in ["https://", "http://", "//cdn"] {
        assert!(
            !docs.text.contains(&format!("src=\"{outside}"))
                && !docs.text.contains(&format!("href=\"{outside}"))
        );
    }
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let (dirs, mut files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    files.extend(dirs.iter().flat_map(|dir| files_below(dir)));
    files
}

/// A call that reads a form, as its source says: the operation, and its fields with whether they must be there.
fn parsers() -> Vec<(String, BTreeSet<(String, bool)>)> {
    let mut parsers = Vec::new();
    for service in Service::ALL {
        let handlers = root().join("services").join(service.name()).join("src/handlers");
        for file in files_below(&handlers) {
            let code = std::fs::read_to_string(file).unwrap();
            if !code.contains("impl FromFields for") {
                continue;
            }
            let text_after = |code: &str, mark: &str| {
                let rest = code.split_once(mark).unwrap().1;
                rest.split('"').next().unwrap().to_owned()
            };
            let mut fields = BTreeSet::new();
            for kind in ["required", "optional", "nullable", "changed"] {
                let mark = format!("fields.{kind}(\"");
                let calls = code
                    .match_indices(&mark)
                    .map(|(at, _)| text_after(&code[at..], &mark));
                // What may be null and not absent has a sentence of its own.
                let must_be = |name: &str| {
                    kind == "required" || code.contains(&format!("fields.error(\"{name}\", \"is required"))
                };
                fields.extend(calls.map(|name| (name.clone(), must_be(&name))));
            }
            // The operation that has a body, where a file has several.
            let before = code
                .split_once("request_body(")
                .map_or(&*code, |(before, _)| before);
            let (_, operation) = before.rsplit_once("operation_id = \"").unwrap();
            parsers.push((operation.split('"').next().unwrap().to_owned(), fields));
        }
    }
    parsers
}

/// The document says of each form exactly what its parser reads.
#[tokio::test(flavor = "multi_thread")]
async fn forms_are_documented_as_they_are_read() {
    let system = System::start(Topology::One, Options::default()).await;
    let document = system.anyone().get("/openapi.json").await.expect(200);
    let operation = |id: &str| {
        let (_, method, path) = DOCUMENTED.iter().find(|(of, ..)| *of == id).unwrap();
        &document["paths"][path][method]
    };
    let parsers = parsers();
    assert!(parsers.len() > 7, "{parsers:?}");
    for (id, fields) in parsers {
        let schema = &operation(&id)["requestBody"]["content"]["application/json"]["schema"];
        let schema = match schema["$ref"].as_str() {
            Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
            None => schema,
        };
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let documented: BTreeSet<(String, bool)> = schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .map(|name| (name.clone(), required.contains(&name.as_str().into())))
            .collect();
        assert_eq!(documented, fields, "{id}");
    }
}

fn references(value: &Value, found: &mut impl FnMut(&str)) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                match value.as_str() {
                    Some(reference) if name == "$ref" => found(reference),
                    _ => references(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}
