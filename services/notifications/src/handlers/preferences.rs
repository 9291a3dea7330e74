//! `GET` and `PUT /api/notifications/preferences`

use std::collections::BTreeMap;

use axum::extract::State;
use chrono::NaiveTime;
use common::{
    extract::{self, Caller},
    fields::{Fields, FromFields, Parsed, Value},
    problem::ApiError,
};
use serde::Serialize;
use serde_json::{Map, Value as Json};
use utoipa::ToSchema;

use crate::{
    app::App,
    domain::preferences::{Preferences, QuietHours, Ways, is_optional},
    store::PreferencesChange,
};

/// The ways of a kind of message.
#[derive(Serialize, ToSchema)]
#[schema(as = MessageWays)]
pub struct WaysView {
    /// By e-mail.
    #[schema(example = true)]
    pub email: bool,
    /// As a text message too.
    #[schema(example = false)]
    pub sms: bool,
}

/// When text messages wait.
#[derive(Serialize, ToSchema)]
#[schema(as = QuietHours)]
pub struct QuietView {
    /// From then on, by your clock.
    #[schema(example = "22:00")]
    pub from: String,
    /// Until then.
    #[schema(example = "07:00")]
    pub to: String,
}

/// What you want to be told, and how.
#[derive(Serialize, ToSchema)]
pub struct PreferencesView {
    /// News by the organizer.
    pub announcement: WaysView,
    /// The event will not take place. Always by e-mail.
    pub event_cancelled: WaysView,
    /// Its time, place or name is another.
    pub event_updated: WaysView,
    /// The seat held for you was given back.
    pub hold_expired: WaysView,
    /// A payment did not work out.
    pub payment_failed: WaysView,
    /// Your money is on its way back. Always by e-mail.
    pub payment_refunded: WaysView,
    /// You are out. Always by e-mail.
    pub registration_cancelled: WaysView,
    /// It starts soon.
    pub reminder: WaysView,
    /// You are in, with your ticket. Always by e-mail.
    pub ticket: WaysView,
    /// A seat is held for you, who waited for one.
    pub waitlist_offer: WaysView,
    /// When text messages wait; null: never.
    #[schema(required = true)]
    pub quiet_hours: Option<QuietView>,
}

impl From<&Preferences> for PreferencesView {
    fn from(preferences: &Preferences) -> Self {
        let ways = |kind| {
            let Ways { email, sms } = preferences.ways(kind);
            WaysView { email, sms }
        };
        let clock = |time: NaiveTime| time.format("%H:%M").to_string();
        Self {
            announcement: ways("announcement"),
            event_cancelled: ways("event_cancelled"),
            event_updated: ways("event_updated"),
            hold_expired: ways("hold_expired"),
            payment_failed: ways("payment_failed"),
            payment_refunded: ways("payment_refunded"),
            registration_cancelled: ways("registration_cancelled"),
            reminder: ways("reminder"),
            ticket: ways("ticket"),
            waitlist_offer: ways("waitlist_offer"),
            quiet_hours: preferences.quiet.map(|quiet| QuietView {
                from: clock(quiet.from),
                to: clock(quiet.to),
            }),
        }
    }
}

/// The ways of a kind, as far as they are named.
#[derive(ToSchema)]
#[schema(as = SetMessageWays)]
#[expect(dead_code, reason = "the document's view of what is read")]
pub struct SetWays {
    /// By e-mail; default true.
    #[schema(nullable = false, example = true)]
    email: Option<bool>,
    /// As a text message too; default true.
    #[schema(nullable = false, example = false)]
    sms: Option<bool>,
}

/// The same for what always goes by e-mail.
#[derive(ToSchema)]
#[schema(as = SetTextMessage)]
#[expect(dead_code, reason = "the document's view of what is read")]
pub struct SetSms {
    /// As a text message too; default true.
    #[schema(nullable = false, example = false)]
    sms: Option<bool>,
}

/// When text messages are to wait.
#[derive(ToSchema)]
#[schema(as = SetQuietHours)]
#[expect(dead_code, reason = "the document's view of what is read")]
pub struct SetQuiet {
    /// From then on, by the clock of your account's zone.
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$", example = "22:00")]
    from: String,
    /// Until then; from a later to an earlier time is over midnight. Not the same as `from`.
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$", example = "07:00")]
    to: String,
}

/// All that you want. A kind that is left out is as by default: by both ways.
#[derive(ToSchema)]
#[schema(as = SetPreferences)]
#[expect(dead_code, reason = "the document's view of what is read")]
pub struct PreferencesBody {
    /// News by the organizer.
    #[schema(nullable = false)]
    announcement: Option<SetWays>,
    /// The event will not take place. Always by e-mail.
    #[schema(nullable = false)]
    event_cancelled: Option<SetSms>,
    /// Its time, place or name is another.
    #[schema(nullable = false)]
    event_updated: Option<SetWays>,
    /// The seat held for you was given back.
    #[schema(nullable = false)]
    hold_expired: Option<SetWays>,
    /// A payment did not work out.
    #[schema(nullable = false)]
    payment_failed: Option<SetWays>,
    /// Your money is on its way back. Always by e-mail.
    #[schema(nullable = false)]
    payment_refunded: Option<SetSms>,
    /// You are out. Always by e-mail.
    #[schema(nullable = false)]
    registration_cancelled: Option<SetSms>,
    /// It starts soon.
    #[schema(nullable = false)]
    reminder: Option<SetWays>,
    /// You are in, with your ticket. Always by e-mail.
    #[schema(nullable = false)]
    ticket: Option<SetSms>,
    /// A seat is held for you, who waited for one.
    #[schema(nullable = false)]
    waitlist_offer: Option<SetWays>,
    /// When text messages wait; null or left out: never.
    quiet_hours: Option<SetQuiet>,
}

/// What was read of it.
pub struct Wanted {
    kinds: BTreeMap<String, Ways>,
    quiet: Option<(NaiveTime, NaiveTime)>,
}

impl FromFields for Wanted {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let given = [
            ("announcement", fields.changed("announcement", ways)),
            ("event_cancelled", fields.changed("event_cancelled", ways)),
            ("event_updated", fields.changed("event_updated", ways)),
            ("hold_expired", fields.changed("hold_expired", ways)),
            ("payment_failed", fields.changed("payment_failed", ways)),
            ("payment_refunded", fields.changed("payment_refunded", ways)),
            (
                "registration_cancelled",
                fields.changed("registration_cancelled", ways),
            ),
            ("reminder", fields.changed("reminder", ways)),
            ("ticket", fields.changed("ticket", ways)),
            ("waitlist_offer", fields.changed("waitlist_offer", ways)),
        ];
        let mut kinds = BTreeMap::new();
        for (kind, ways) in given {
            let Some(ways) = ways else { continue };
            if !ways.email && !is_optional(kind) {
                fields.error(kind, "always goes by e-mail: `email` cannot be false");
            }
            kinds.insert(kind.to_owned(), ways);
        }
        let quiet = fields.optional("quiet_hours", quiet);
        Some(Self { kinds, quiet })
    }
}

fn ways(value: Value<'_>) -> Parsed<Ways> {
    const FORM: &str = "must be an object such as {\"email\": true, \"sms\": false}";
    let object: Map<String, Json> = value.object().map_err(|_| FORM.to_owned())?;
    let flag = |name| match object.get(name) {
        None => Ok(true),
        Some(Json::Bool(flag)) => Ok(*flag),
        Some(_) => Err(FORM.to_owned()),
    };
    Ok(Ways {
        email: flag("email")?,
        sms: flag("sms")?,
    })
}

fn quiet(value: Value<'_>) -> Parsed<(NaiveTime, NaiveTime)> {
    const FORM: &str = "must be an object such as {\"from\": \"22:00\", \"to\": \"07:00\"}";
    let object: Map<String, Json> = value.object().map_err(|_| FORM.to_owned())?;
    let clock = |name| {
        let text = object
            .get(name)
            .and_then(Json::as_str)
            .filter(|text| text.len() == 5);
        let time = text.and_then(|text| NaiveTime::parse_from_str(text, "%H:%M").ok());
        time.ok_or_else(|| FORM.to_owned())
    };
    let (from, to) = (clock("from")?, clock("to")?);
    if from == to {
        return Err("must not begin and end at the same time".to_owned());
    }
    Ok((from, to))
}

/// What you want to be told, and how.
#[utoipa::path(
    get,
    path = "/api/notifications/preferences",
    operation_id = "getPreferences",
    tag = "notifications",
    responses((status = 200, description = "What you have chosen", body = PreferencesView)),
    security(("bearer" = []))
)]
pub async fn preferences(
    State(app): State<App>,
    caller: Caller,
) -> Result<axum::Json<PreferencesView>, ApiError> {
    let chosen = app.parts.store.preferences(caller.id).await?;
    Ok(axum::Json(PreferencesView::from(&chosen)))
}

/// Choose what you want to be told, and how. It holds for what is written from now on. Letters about your account always come.
#[utoipa::path(
    put,
    path = "/api/notifications/preferences",
    operation_id = "setPreferences",
    tag = "notifications",
    request_body(content = PreferencesBody, example = json!({
        "reminder": {"email": true, "sms": false}, "announcement": {"email": false},
        "quiet_hours": {"from": "22:00", "to": "07:00"},
    })),
    responses((status = 200, description = "What you have chosen", body = PreferencesView)),
    security(("bearer" = []))
)]
pub async fn set_preferences(
    State(app): State<App>,
    caller: Caller,
    extract::Json(wanted): extract::Json<Wanted>,
) -> Result<axum::Json<PreferencesView>, ApiError> {
    let zone = app.default_timezone;
    let change = PreferencesChange::Set(Preferences {
        kinds: wanted.kinds,
        quiet: wanted.quiet.map(|(from, to)| QuietHours { from, to, zone }),
    });
    let now = app.parts.clock.now();
    let chosen = app.parts.store.set_preferences(caller.id, change, now).await?;
    tracing::info!(user_id = %caller.id, "message preferences set");
    Ok(axum::Json(PreferencesView::from(&chosen)))
}
