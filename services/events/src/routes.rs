//! The table of routes.

use axum::{
    Router,
    routing::{get, post},
};
use common::settings::Settings;
use utoipa::{OpenApi, openapi::OpenApi as Document};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    handlers::{self, desk, live, streams},
    internal, pages,
};

#[derive(OpenApi)]
#[openapi(tags(
    (name = "organiser", description = "Creating and running events"),
    (name = "events", description = "Finding events"),
    (name = "registrations", description = "Taking part"),
    (name = "desk", description = "The desk and the door of an event"),
    (name = "live", description = "Following it live"),
    (name = "streams", description = "Streaming and watching"),
))]
struct Docs;

/// The pages that there are.
#[derive(Clone, Copy, Debug)]
pub struct Pages {
    /// To follow an event on, for development.
    pub live: bool,
    /// To watch its streams on.
    pub watch: bool,
}

impl Pages {
    /// Those that the settings ask for.
    pub fn of(settings: &Settings) -> Self {
        Self {
            live: !settings.is_production(),
            watch: !settings.is_production() || settings.watch_page,
        }
    }
}

/// All routes, and the document that describes the public ones.
pub fn routes(app: App, served: Pages) -> (Router, Document) {
    let (public, document) = OpenApiRouter::with_openapi(Docs::openapi())
        .routes(routes!(handlers::create_event::create_event))
        .routes(routes!(handlers::organiser_events::organiser_events))
        .routes(routes!(handlers::update_event::update_event))
        .routes(routes!(handlers::cancel_event::cancel_event))
        .routes(routes!(handlers::publish_event::publish_event))
        .routes(routes!(handlers::duplicate_event::duplicate_event))
        .routes(routes!(
            handlers::reminders::get_reminders,
            handlers::reminders::set_reminders
        ))
        .routes(routes!(handlers::team::list_team, handlers::team::invite))
        .routes(routes!(handlers::team::remove))
        .routes(routes!(handlers::join_team::accept))
        .routes(routes!(handlers::browse::browse))
        .routes(routes!(handlers::ticket_key::ticket_key))
        .routes(routes!(handlers::browse::event))
        .routes(routes!(handlers::register_event::register_event))
        .routes(routes!(handlers::my_registrations::my_registrations))
        .routes(routes!(
            handlers::my_registrations::my_registration,
            handlers::cancel_registration::cancel_registration
        ))
        .routes(routes!(handlers::ticket_files::ticket_pdf))
        .routes(routes!(handlers::ticket_files::ticket_svg))
        .routes(routes!(handlers::ticket_files::ticket_png))
        .routes(routes!(handlers::ticket_files::ticket_ics))
        .routes(routes!(handlers::ticket_files::ticket_by_code))
        .routes(routes!(
            handlers::calendar::create_calendar,
            handlers::calendar::remove_calendar
        ))
        .routes(routes!(handlers::calendar::read_calendar))
        .routes(routes!(desk::check_in::check_in))
        .routes(routes!(desk::check_in::undo_check_in))
        .routes(routes!(desk::attendees::attendees))
        .routes(routes!(desk::csv::attendees_csv))
        .routes(routes!(desk::cancel_for::cancel_for))
        .routes(routes!(desk::stats::stats))
        .routes(routes!(
            handlers::waitlist::join_waitlist,
            handlers::waitlist::leave_waitlist
        ))
        .routes(routes!(handlers::waitlist::list_waitlist))
        .routes(routes!(handlers::live_socket::live_socket))
        .routes(routes!(handlers::live_events::live_events))
        .routes(routes!(handlers::live_ticket::live_ticket))
        .routes(routes!(live::chat::list_chat, live::chat::send_chat))
        .routes(routes!(
            live::chat_mode::get_chat_mode,
            live::chat_mode::set_chat_mode
        ))
        .routes(routes!(
            live::chat_message::edit_chat,
            live::chat_message::delete_chat
        ))
        .routes(routes!(
            live::questions::list_questions,
            live::questions::ask_question
        ))
        .routes(routes!(live::question::set_question))
        .routes(routes!(live::voting::vote_for_question))
        .routes(routes!(live::polls::list_polls, live::polls::create_poll))
        .routes(routes!(live::polls::open_poll))
        .routes(routes!(live::polls::close_poll))
        .routes(routes!(live::voting::vote_in_poll))
        .routes(routes!(live::reactions::react))
        .routes(routes!(live::bans::ban, live::bans::lift_ban))
        .routes(routes!(live::presence::presence))
        .routes(routes!(
            live::announcements::list_announcements,
            live::announcements::announce
        ))
        .routes(routes!(live::announcements::withdraw_announcement))
        .routes(routes!(
            streams::list_streams::list_streams,
            streams::create_stream::create_stream
        ))
        .routes(routes!(
            streams::change_stream::update_stream,
            streams::change_stream::delete_stream
        ))
        .routes(routes!(streams::actions::new_key))
        .routes(routes!(streams::actions::end))
        .routes(routes!(streams::actions::kick))
        .routes(routes!(live::timetable::timetable))
        .routes(routes!(live::playback::begin_playback))
        .routes(routes!(live::playback::heartbeat))
        .routes(routes!(live::hls::file))
        .split_for_parts();
    let internal = Router::new()
        .route("/asyncapi.json", get(pages::asyncapi))
        .route("/team/accept", get(pages::team))
        .route(
            "/internal/registrations/claim",
            post(internal::claim_seat::claim_seat),
        )
        .route(
            "/internal/registrations/secure",
            post(internal::secure_seat::secure_seat),
        )
        .route(
            "/internal/registrations/release",
            post(internal::secure_seat::release_hold),
        )
        .route("/internal/registrations/ticket", post(internal::ticket::ticket))
        .route("/internal/events/open", post(internal::accounts::open))
        .route(runtime::live::PATH, post(internal::publish::publish))
        .route(runtime::export::PATH, post(internal::accounts::export))
        .route("/internal/events/organizer", post(internal::organizer::organizer))
        .route(common::routes::MEDIAMTX, post(internal::mediamtx::auth))
        .route("/internal/events/attendees", post(internal::attendees::attendees))
        .route("/internal/events/announce", post(internal::announce::announce))
        .route(common::outbox::PATH, post(internal::messages::messages));
    let mut all = public.merge(internal);
    if served.live {
        all = all.route("/live/{event_id}", get(pages::live));
    }
    if served.watch {
        all = all.route("/watch/{event_id}", get(pages::watch));
    }
    (all.with_state(app), document)
}
