//! The routes.

use super::{
    Audience::{Anyone, Browsers, Developers, MediaServer, Organizers, Providers, Services, SignedIn},
    Call, Route, route,
};
use crate::{
    api_keys::Scope::{CheckIn, EventsRead, EventsWrite, RegistrationsRead},
    services::Service::{Events, Notifications, Payments, Users},
};

/// All public ones; the first that fits counts.
pub const ROUTES: &[Route] = &[
    route("/api/users/register", Users, &[Call::new("POST", Anyone)]).never_repeated(),
    route("/api/users/login", Users, &[Call::new("POST", Anyone)]).never_repeated(),
    route("/api/users/refresh", Users, &[Call::new("POST", Anyone)]).never_repeated(),
    route("/api/users/logout", Users, &[Call::new("POST", SignedIn)]).never_repeated(),
    route("/api/users/logout_all", Users, &[Call::new("POST", SignedIn)]).never_repeated(),
    route("/api/users/sessions", Users, &[Call::new("GET", SignedIn)]).never_repeated(),
    route(
        "/api/users/sessions/{session_id}",
        Users,
        &[Call::new("DELETE", SignedIn).of_owner()],
    )
    .never_repeated(),
    route(
        "/api/users/password/change",
        Users,
        &[Call::new("POST", SignedIn)],
    )
    .never_repeated(),
    route("/api/users/password/forgot", Users, &[Call::new("POST", Anyone)]).never_repeated(),
    route("/api/users/password/reset", Users, &[Call::new("POST", Anyone)]).never_repeated(),
    route("/api/users/email/change", Users, &[Call::new("POST", SignedIn)]).never_repeated(),
    route("/api/users/email/verify", Users, &[Call::new("POST", Anyone)]).never_repeated(),
    route(
        "/api/users/email/verify/send",
        Users,
        &[Call::new("POST", SignedIn)],
    )
    .never_repeated(),
    route(
        "/api/users/totp",
        Users,
        &[Call::new("POST", SignedIn), Call::new("DELETE", SignedIn)],
    )
    .never_repeated(),
    route("/api/users/totp/confirm", Users, &[Call::new("POST", SignedIn)]).never_repeated(),
    route(
        "/api/users/api_keys",
        Users,
        &[Call::new("POST", SignedIn), Call::new("GET", SignedIn)],
    )
    .never_repeated(),
    route(
        "/api/users/api_keys/{id}",
        Users,
        &[Call::new("DELETE", SignedIn).of_owner()],
    )
    .never_repeated(),
    route(
        "/api/users/me",
        Users,
        &[
            Call::new("GET", SignedIn),
            Call::new("PATCH", SignedIn),
            Call::new("DELETE", SignedIn),
        ],
    )
    .never_repeated(),
    route(
        "/api/users/me/export",
        Users,
        &[Call::new("GET", SignedIn).audited()],
    )
    .never_repeated(),
    route("/api/users/oauth/google", Users, &[Call::new("GET", Anyone)]).never_repeated(),
    route(
        "/api/users/oauth/google/callback",
        Users,
        &[Call::new("GET", Anyone).audited()],
    )
    .never_repeated(),
    route("/api/users/oauth/exchange", Users, &[Call::new("POST", Anyone)]).never_repeated(),
    route("/api/users/oauth/link", Users, &[Call::new("POST", Anyone)]).never_repeated(),
    route("/api/users/{*rest}", Users, &[]).never_repeated(),
    route("/verify-email", Users, &[Call::new("GET", Browsers)]),
    route("/reset-password", Users, &[Call::new("GET", Browsers)]),
    route(
        "/api/organiser/create_event",
        Events,
        &[Call::new("POST", Organizers).with_key(EventsWrite)],
    ),
    route(
        "/api/organiser/events",
        Events,
        &[Call::new("GET", SignedIn).with_key(EventsRead)],
    ),
    route(
        "/api/organiser/events/{id}",
        Events,
        &[Call::new("PATCH", SignedIn).of_owner().with_key(EventsWrite)],
    ),
    route(
        "/api/organiser/events/{id}/streams",
        Events,
        &[
            Call::new("GET", SignedIn).of_owner().with_key(EventsRead),
            Call::new("POST", SignedIn).of_owner().with_key(EventsWrite),
        ],
    ),
    route(
        "/api/organiser/events/{id}/streams/{stream_id}",
        Events,
        &[
            Call::new("PATCH", SignedIn).of_owner().with_key(EventsWrite),
            Call::new("DELETE", SignedIn).of_owner().with_key(EventsWrite),
        ],
    ),
    route(
        "/api/organiser/events/{id}/streams/{stream_id}/key",
        Events,
        &[Call::new("POST", SignedIn).of_owner().with_key(EventsWrite)],
    ),
    route(
        "/api/organiser/events/{id}/streams/{stream_id}/end",
        Events,
        &[Call::new("POST", SignedIn).of_owner().with_key(EventsWrite)],
    ),
    route(
        "/api/organiser/events/{id}/streams/{stream_id}/kick",
        Events,
        &[Call::new("POST", SignedIn).of_owner().with_key(EventsWrite)],
    ),
    route(
        "/api/organiser/events/{id}/cancel",
        Events,
        &[Call::new("POST", Organizers).of_owner().with_key(EventsWrite)],
    ),
    route(
        "/api/organiser/events/{id}/publish",
        Events,
        &[Call::new("POST", SignedIn).of_owner().with_key(EventsWrite)],
    ),
    route(
        "/api/organiser/events/{id}/duplicate",
        Events,
        &[Call::new("POST", Organizers).of_owner().with_key(EventsWrite)],
    ),
    route(
        "/api/organiser/events/{id}/reminders",
        Events,
        &[
            Call::new("GET", SignedIn).of_owner().with_key(EventsRead),
            Call::new("PUT", SignedIn).of_owner().with_key(EventsWrite),
        ],
    ),
    route(
        "/api/organiser/events/{id}/templates",
        Notifications,
        &[Call::new("GET", SignedIn).of_owner().with_key(EventsRead)],
    ),
    route(
        "/api/organiser/events/{id}/templates/{kind}",
        Notifications,
        &[
            Call::new("PUT", SignedIn).of_owner().with_key(EventsWrite),
            Call::new("DELETE", SignedIn).of_owner().with_key(EventsWrite),
        ],
    ),
    route(
        "/api/organiser/events/{id}/announcements",
        Notifications,
        &[
            Call::new("GET", SignedIn).of_owner().with_key(EventsRead),
            Call::new("POST", SignedIn).of_owner().with_key(EventsWrite),
        ],
    ),
    route(
        "/api/organiser/events/{id}/announcements/{announcement_id}",
        Notifications,
        &[
            Call::new("GET", SignedIn).of_owner().with_key(EventsRead),
            Call::new("DELETE", SignedIn).of_owner().with_key(EventsWrite),
        ],
    ),
    route(
        "/api/organiser/events/{id}/payments",
        Payments,
        &[Call::new("GET", SignedIn).of_owner().with_key(EventsRead)],
    ),
    route(
        "/api/organiser/events/{id}/check_in",
        Events,
        &[Call::new("POST", SignedIn).of_owner().with_key(CheckIn)],
    ),
    route(
        "/api/organiser/events/{id}/check_ins/{ticket_id}",
        Events,
        &[Call::new("DELETE", SignedIn).of_owner().with_key(CheckIn)],
    ),
    route(
        "/api/organiser/events/{id}/registrations",
        Events,
        &[Call::new("GET", SignedIn).of_owner().with_key(RegistrationsRead)],
    ),
    route(
        "/api/organiser/events/{id}/registrations.csv",
        Events,
        &[Call::new("GET", SignedIn)
            .of_owner()
            .audited()
            .with_key(RegistrationsRead)],
    ),
    route(
        "/api/organiser/events/{id}/registrations/{registration_id}/cancel",
        Events,
        &[Call::new("POST", SignedIn).of_owner().with_key(EventsWrite)],
    ),
    route(
        "/api/organiser/events/{id}/stats",
        Events,
        &[Call::new("GET", SignedIn).of_owner().with_key(EventsRead)],
    ),
    route(
        "/api/organiser/events/{id}/team",
        Events,
        &[
            Call::new("GET", SignedIn).of_owner().with_key(EventsRead),
            Call::new("POST", Organizers).of_owner(),
        ],
    ),
    route(
        "/api/organiser/events/{id}/team/{user_id}",
        Events,
        &[Call::new("DELETE", SignedIn).of_owner()],
    ),
    route(
        "/api/organiser/team/accept",
        Events,
        &[Call::new("POST", SignedIn)],
    ),
    route("/api/organiser/{*rest}", Events, &[]),
    route("/api/reg/register_event", Events, &[Call::new("POST", SignedIn)]),
    route(
        "/api/reg/get_registrevent",
        Events,
        &[Call::new("GET", SignedIn).with_key(RegistrationsRead)],
    ),
    route(
        "/api/reg/registrations/{id}",
        Events,
        &[
            Call::new("GET", SignedIn).of_owner().with_key(RegistrationsRead),
            Call::new("DELETE", SignedIn).of_owner(),
        ],
    ),
    route(
        "/api/reg/registrations/{id}/ticket.pdf",
        Events,
        &[Call::new("GET", SignedIn).of_owner().with_key(RegistrationsRead)],
    ),
    route(
        "/api/reg/registrations/{id}/ticket.svg",
        Events,
        &[Call::new("GET", SignedIn).of_owner().with_key(RegistrationsRead)],
    ),
    route(
        "/api/reg/registrations/{id}/ticket.png",
        Events,
        &[Call::new("GET", SignedIn).of_owner().with_key(RegistrationsRead)],
    ),
    route(
        "/api/reg/registrations/{id}/ticket.ics",
        Events,
        &[Call::new("GET", SignedIn).of_owner().with_key(RegistrationsRead)],
    ),
    route(
        "/api/reg/tickets/{file}",
        Events,
        &[Call::new("GET", Anyone).browsed()],
    ),
    route(
        "/api/reg/waitlist",
        Events,
        &[Call::new("GET", SignedIn).with_key(RegistrationsRead)],
    ),
    route(
        "/api/reg/waitlist/{event_id}",
        Events,
        &[Call::new("POST", SignedIn), Call::new("DELETE", SignedIn)],
    ),
    route(
        "/api/reg/calendar",
        Events,
        &[Call::new("POST", SignedIn), Call::new("DELETE", SignedIn)],
    )
    .never_repeated(),
    route(
        "/api/reg/calendar/{file}",
        Events,
        &[Call::new("GET", Anyone).browsed()],
    ),
    route("/api/reg/{*rest}", Events, &[]),
    route("/api/events", Events, &[Call::new("GET", Anyone).browsed()]),
    route("/api/events/ticket_key", Events, &[Call::new("GET", Anyone)]),
    route("/api/events/{id}", Events, &[Call::new("GET", Anyone).browsed()]),
    route("/api/events/{*rest}", Events, &[]),
    route("/api/live/ws", Events, &[Call::new("GET", Anyone)])
        .with_upgrade()
        .long_lived(),
    route("/api/live/sse", Events, &[Call::new("GET", Anyone)]).long_lived(),
    route("/api/live/ticket", Events, &[Call::new("POST", SignedIn)]).never_repeated(),
    route(
        "/api/live/events/{id}/chat",
        Events,
        &[Call::new("GET", SignedIn), Call::new("POST", SignedIn)],
    ),
    route(
        "/api/live/events/{id}/chat/mode",
        Events,
        &[Call::new("GET", SignedIn), Call::new("PUT", SignedIn)],
    ),
    route(
        "/api/live/events/{id}/chat/{message_id}",
        Events,
        &[Call::new("PATCH", SignedIn), Call::new("DELETE", SignedIn)],
    ),
    route(
        "/api/live/events/{id}/questions",
        Events,
        &[Call::new("GET", SignedIn), Call::new("POST", SignedIn)],
    ),
    route(
        "/api/live/events/{id}/questions/{question_id}",
        Events,
        &[Call::new("PATCH", SignedIn)],
    ),
    route(
        "/api/live/events/{id}/questions/{question_id}/vote",
        Events,
        &[Call::new("POST", SignedIn)],
    ),
    route(
        "/api/live/events/{id}/polls",
        Events,
        &[Call::new("GET", SignedIn), Call::new("POST", SignedIn)],
    ),
    route(
        "/api/live/events/{id}/polls/{poll_id}/open",
        Events,
        &[Call::new("POST", SignedIn)],
    ),
    route(
        "/api/live/events/{id}/polls/{poll_id}/close",
        Events,
        &[Call::new("POST", SignedIn)],
    ),
    route(
        "/api/live/events/{id}/polls/{poll_id}/vote",
        Events,
        &[Call::new("POST", SignedIn)],
    ),
    route(
        "/api/live/events/{id}/reactions",
        Events,
        &[Call::new("POST", SignedIn)],
    ),
    route(
        "/api/live/events/{id}/bans/{user_id}",
        Events,
        &[Call::new("POST", SignedIn), Call::new("DELETE", SignedIn)],
    ),
    route(
        "/api/live/events/{id}/presence",
        Events,
        &[Call::new("GET", SignedIn)],
    ),
    route(
        "/api/live/events/{id}/announcements",
        Events,
        &[Call::new("GET", SignedIn), Call::new("POST", SignedIn)],
    ),
    route(
        "/api/live/events/{id}/announcements/{announcement_id}",
        Events,
        &[Call::new("DELETE", SignedIn)],
    ),
    route(
        "/api/live/events/{id}/streams",
        Events,
        &[Call::new("GET", SignedIn)],
    ),
    route(
        "/api/live/streams/{stream_id}/playback",
        Events,
        &[Call::new("POST", SignedIn)],
    )
    .never_repeated(),
    route(
        "/api/live/playback/{playback_id}/heartbeat",
        Events,
        &[Call::new("POST", SignedIn).of_owner()],
    ),
    route(
        "/api/live/hls/{stream_id}/{file}",
        Events,
        &[Call::new("GET", Anyone)],
    ),
    route("/api/live/{*rest}", Events, &[]).with_upgrade(),
    route("/team/accept", Events, &[Call::new("GET", Browsers)]),
    route("/asyncapi.json", Events, &[Call::new("GET", Browsers)]),
    route("/live/{event_id}", Events, &[Call::new("GET", Developers)]),
    route("/watch/{event_id}", Events, &[Call::new("GET", Browsers)]),
    route("/api/notifications", Notifications, &[Call::new("GET", SignedIn)]),
    route(
        "/api/notifications/{id}/read",
        Notifications,
        &[Call::new("POST", SignedIn).of_owner()],
    ),
    route(
        "/api/notifications/read_all",
        Notifications,
        &[Call::new("POST", SignedIn)],
    ),
    route(
        "/api/notifications/preferences",
        Notifications,
        &[Call::new("GET", SignedIn), Call::new("PUT", SignedIn)],
    ),
    route(
        "/api/notifications/unsubscribe",
        Notifications,
        &[Call::new("GET", Anyone), Call::new("POST", Anyone)],
    ),
    route(
        "/api/notifications/templates",
        Notifications,
        &[Call::new("GET", Organizers)],
    ),
    route(
        "/api/notifications/templates/{kind}/preview",
        Notifications,
        &[Call::new("GET", Organizers)],
    ),
    route(
        "/api/notifications/webhooks/twilio",
        Notifications,
        &[Call::new("POST", Providers)],
    ),
    route(
        "/api/notifications/webhooks/msg91",
        Notifications,
        &[Call::new("POST", Providers)],
    ),
    route("/api/notifications/{*rest}", Notifications, &[]),
    route(
        "/dev/mailbox.json",
        Notifications,
        &[Call::new("GET", Developers)],
    ),
    route("/dev/mailbox", Notifications, &[Call::new("GET", Developers)]),
    route(
        "/dev/mailbox/{message_id}",
        Notifications,
        &[Call::new("GET", Developers)],
    ),
    route("/dev/mailbox/{*rest}", Notifications, &[]),
    route("/api/payment/payments", Payments, &[Call::new("GET", SignedIn)]),
    route(
        "/api/payment/payments/{id}",
        Payments,
        &[Call::new("GET", SignedIn).of_owner()],
    ),
    route(
        "/api/payment/process_payment",
        Payments,
        &[Call::new("POST", SignedIn)],
    ),
    route("/api/payment/verify", Payments, &[Call::new("POST", SignedIn)]),
    route("/api/payment/webhook", Payments, &[Call::new("POST", Providers)]),
    route("/api/payment/{*rest}", Payments, &[]),
];

/// The routes of each service for the others, by POST. The gateway passes none of them on.
pub const INTERNAL: &[&str] = &[
    crate::outbox::PATH,
    crate::sessions::PATH,
    crate::api_keys::PATH,
    "/internal/users/lookup",
    "/internal/registrations/claim",
    "/internal/registrations/secure",
    "/internal/registrations/release",
    "/internal/registrations/ticket",
    "/internal/events/organizer",
    "/internal/events/attendees",
    "/internal/events/announce",
    "/internal/events/open",
    "/internal/export",
    "/internal/live/publish",
];

/// Where a MediaMTX asks the events service who may publish and read. The secret of its address is taken out of the path before
/// anything else looks at it. The gateway does not pass this on either.
pub const MEDIAMTX: &str = "/internal/media/mediamtx/auth";

/// How it is called.
pub const OF_MEDIAMTX: &[Call] = &[Call::new("POST", MediaServer)];

/// How they are called.
pub const OF_SERVICES: &[Call] = &[Call::new("POST", Services)];
