//! Settings: environment variables (and a `.env` file), checked at start, all mistakes named at once.
//!
//! [`SETTINGS`] is the one list: `--help` prints it, `.env.example` is compared with it, and a variable is read only
//! through it. With nothing set, everything works on one machine, offline.

mod bucket;
mod mediamtx;
mod sms;

pub use bucket::{Bucket, BucketKey};
pub use mediamtx::MediaMtx;
pub use sms::{Msg91, SmsProvider, Twilio};

use std::{fmt, net::IpAddr, path::PathBuf, time::Duration};

use chrono_tz::Tz;
use secrecy::SecretString;

use crate::{
    auth::MIN_SECRET_BYTES,
    origin::{AllowedOrigins, Origin, is_local_url},
};

/// One setting.
pub struct Setting {
    /// The variable.
    pub name: &'static str,
    /// Its value when it is not set; empty: none.
    pub default: &'static str,
    /// What it is for.
    pub help: &'static str,
}

macro_rules! settings {
    ($($name:literal = $default:literal, $help:literal;)+) => {
        /// Every setting there is.
        pub const SETTINGS: &[Setting] = &[$(Setting { name: $name, default: $default, help: $help }),+];
    };
}

settings! {
    "APP_ENV" = "development", "development, or production: refuses everything that is only for trying out";
    "BIND_ADDR" = "127.0.0.1", "address all ports listen on";
    "GATEWAY_PORT" = "3003", "the public door; 0 takes any free port and prints it, here and below";
    "USERS_PORT" = "3101", "users service";
    "EVENTS_PORT" = "3102", "events service";
    "NOTIFICATIONS_PORT" = "3103", "notifications service";
    "PAYMENTS_PORT" = "3104", "payments service";
    "RAZORPAY_SIMULATOR_PORT" = "3199", "Razorpay simulator";
    "INGEST_PORT" = "3105", "where encoders send streams by HTTP PUT";
    "RTMP_PORT" = "1935", "where encoders send streams by RTMP; 0: nowhere";
    "RTMP_URL" = "", "how encoders reach RTMP_PORT; default rtmp, the host of INGEST_URL and that port";
    "INGEST_URL" = "", "how encoders reach INGEST_PORT; default http, the host of PUBLIC_URL and that port";
    "PUBLIC_URL" = "", "how the world reaches the gateway; default http://localhost:GATEWAY_PORT";
    "FRONTEND_URL" = "", "where your web frontend is, for links in letters: /events/{event_id} and /payments/{payment_id} below it; none: events in the API at PUBLIC_URL";
    "CORS_ORIGINS" = "", "browser and app origins, comma-separated: https://app.example.org, capacitor://localhost, https://*.example.org for any one label; in development localhost on any port too";
    "TRUSTED_PROXIES" = "", "addresses of proxies before the gateway whose X-Forwarded-For counts, comma-separated";
    "DATA_DIR" = "./data", "databases, generated secrets and the mailbox";
    "STREAM_QUOTA_GB" = "50", "the most that is kept of one stream";
    "STREAM_KEEP_FREE_GB" = "1", "what recordings of streams leave free on the disk of DATA_DIR";
    "STREAM_STORE" = "", "where recordings of streams are kept: s3://bucket or s3://bucket/prefix; none: in DATA_DIR";
    "S3_ENDPOINT" = "", "the address of a store that speaks S3's protocol; none: Amazon's";
    "S3_REGION" = "us-east-1", "the bucket's region";
    "S3_ACCESS_KEY_ID" = "", "the bucket's key, with the secret beside it; none: AWS_* variables, or the role of the machine";
    "S3_SECRET_ACCESS_KEY" = "", "the key's secret";
    "STREAM_RETENTION_DAYS" = "30", "how long recordings of streams are kept";
    "MEDIAMTX_API_URL" = "", "the control API of a MediaMTX that receives new streams in place of the ports here, such as http://mediamtx:9997; none: they come here";
    "MEDIAMTX_URL" = "", "how viewers reach its HLS, such as https://media.example.org";
    "MEDIAMTX_SECRET" = "", "stands in the address at which it asks who may do what: 32 letters, digits, - and _ or more";
    "MEDIAMTX_PLAYBACK_URL" = "", "how viewers reach its recordings; none: what it receives cannot be watched again";
    "MEDIAMTX_WEBRTC_URL" = "", "how publishers reach its WebRTC; default the host of MEDIAMTX_URL and port 8889";
    "MEDIAMTX_RTMP_URL" = "", "how encoders reach its RTMP; default rtmp, the host of MEDIAMTX_URL and port 1935";
    "MEDIAMTX_SRT_URL" = "", "how encoders reach its SRT; default srt, the host of MEDIAMTX_URL and port 8890";
    "WATCH_PAGE" = "off", "on: /watch/{event_id}, a page to watch streams on, also in production";
    "MONGODB_URI" = "", "mongodb:// or mongodb+srv:// of a replica set; none: SQLite files in DATA_DIR";
    "REDIS_URL" = "", "redis:// or rediss://, or the nodes of a cluster, comma-separated; none: each process caches and counts for itself";
    "JWT_SECRET" = "", "signs user tokens, 32 bytes at least; default: generated in DATA_DIR";
    "JWT_SECRET_OLD" = "", "a second secret whose tokens are valid, while JWT_SECRET is replaced";
    "TICKET_KEY" = "", "signs the QR codes of tickets, 32 bytes at least; default: generated in DATA_DIR";
    "TICKET_KEY_OLD" = "", "the key before, whose tickets stay valid";
    "TICKET_FONTS" = "", "a folder of fonts (.ttf, .otf) for printed tickets, for scripts other than Latin, Greek, Cyrillic and Devanagari";
    "TOKEN_LIFETIME_SECONDS" = "3600", "how long an access token is good; refresh tokens give further ones";
    "REFRESH_IDLE_SECONDS" = "604800", "how long a session lasts that is not refreshed";
    "REFRESH_LIFETIME_SECONDS" = "2592000", "how long a session lasts at most";
    "DEFAULT_TIMEZONE" = "Asia/Kolkata", "IANA zone of event times sent without one";
    "HOLD_SECONDS" = "900", "how long an unpaid registration keeps its seat";
    "OFFER_SECONDS" = "14400", "how long a freed seat is held for the first on the waitlist";
    "USERS_URL" = "", "where other processes find the users service, replicas comma-separated; default http://127.0.0.1:USERS_PORT";
    "EVENTS_URL" = "", "likewise, the events service";
    "LIVE_URL" = "", "the events processes that serve WebSockets and event streams, where those have a pool of their own; default EVENTS_URL";
    "NOTIFICATIONS_URL" = "", "likewise, the notifications service";
    "PAYMENTS_URL" = "", "likewise, the payments service";
    "RAZORPAY_BASE_URL" = "", "default: https://api.razorpay.com when keys are set, else the simulator";
    "RAZORPAY_KEY_ID" = "", "Razorpay API key; none: the simulator";
    "RAZORPAY_KEY_SECRET" = "", "Razorpay API secret";
    "RAZORPAY_WEBHOOK_SECRET" = "", "Razorpay webhook secret";
    "SIMULATOR_AUTO_COMPLETE" = "on", "off: simulated payments wait for the customer's step on the simulator's page";
    "SIMULATOR_CONTROLS" = "off", "on: /sim/control of the simulator makes calls fail, webhooks come late and clocks jump, for tests; anybody who reaches its port can use it";
    "SMTP_URL" = "", "smtp:// or smtps://user:password@host:port; none: e-mail goes to DATA_DIR/mailbox";
    "MAIL_FROM" = "Organise Event <no-reply@localhost>", "sender of e-mail";
    "SMS_PROVIDER" = "mailbox", "who carries text messages: twilio, msg91, or mailbox: they go to DATA_DIR/mailbox, and in production nowhere";
    "SMS_PER_SECOND" = "10", "text messages given to the provider in a second, at most, by each notifications process";
    "TWILIO_ACCOUNT_SID" = "", "account at Twilio, AC...";
    "TWILIO_AUTH_TOKEN" = "", "its token";
    "TWILIO_FROM" = "", "who sends at Twilio: a number such as +15005550006, or an alphanumeric sender";
    "TWILIO_MESSAGING_SERVICE_SID" = "", "or a messaging service, MG...";
    "TWILIO_BASE_URL" = "https://api.twilio.com", "Twilio's API";
    "MSG91_AUTH_KEY" = "", "key of an account at MSG91";
    "MSG91_SENDER_ID" = "", "the registered header, six letters";
    "MSG91_TEMPLATES" = "", "registered texts: kind:template_id, comma-separated, such as ticket:65a1,reminder:65a2; other kinds go by e-mail only";
    "MSG91_BASE_URL" = "https://control.msg91.com", "MSG91's API";
    "MSG91_WEBHOOK_SECRET" = "", "what delivery reports of MSG91 come with, as ?key= or the header authkey; none: reports are refused";
    "LEASE_SECONDS" = "20", "after this a worker that died is replaced";
    "RATE_LIMITS" = "on", "off: for load tests";
    "GOOGLE_CLIENT_ID" = "", "sign-in with Google, with the secret beside it; none: off";
    "GOOGLE_CLIENT_SECRET" = "", "the client's secret";
    "GOOGLE_ISSUER" = "https://accounts.google.com", "the OpenID provider; its endpoints come from its discovery document";
    "REQUIRE_VERIFIED_EMAIL" = "off", "on: only who has verified the e-mail address creates events and pays";
    "LOG" = "info", "log filter, such as warn or info,payments=debug";
    "LOG_FORMAT" = "text", "text, or json for machines";
    "OTEL_EXPORTER_OTLP_ENDPOINT" = "", "where traces go: an OpenTelemetry collector's address for OTLP over HTTP, such as http://127.0.0.1:4318; none: nowhere";
}

/// What a program without the `mongodb` feature says when it needs MongoDB. The plain build leaves the driver out, because it
/// takes longer to compile than any other dependency.
pub const BUILT_WITHOUT_MONGODB: &str = "this program was built without MongoDB, which MONGODB_URI asks for: build it with \
     `--features mongodb`, or unset MONGODB_URI to keep everything in SQLite.";

/// Development or production.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AppEnv {
    /// For trying out and working on it.
    Development,
    /// For real people and money.
    Production,
}

/// Where Razorpay is.
#[derive(Clone, Debug)]
pub struct Razorpay {
    /// Base URL without `/v1`; `None`: the simulator of this system.
    pub base_url: Option<String>,
    /// Keys; `None`: those generated for the simulator.
    pub keys: Option<RazorpayKeys>,
}

/// This system as a client of Google, or of another OpenID provider.
#[derive(Clone, Debug)]
pub struct GoogleClient {
    /// The client's id.
    pub id: String,
    /// Its secret.
    pub secret: SecretString,
    /// The issuer of its id tokens, without a slash at the end.
    pub issuer: String,
}

/// Razorpay's credentials.
#[derive(Clone, Debug)]
pub struct RazorpayKeys {
    /// Public half.
    pub key_id: String,
    /// Secret half; also signs checkouts.
    pub key_secret: SecretString,
    /// Signs webhooks.
    pub webhook_secret: SecretString,
}

/// The checked settings of a process.
#[derive(Clone, Debug)]
#[expect(
    missing_docs,
    reason = "the fields are the settings of the same names; SETTINGS says what each is for"
)]
pub struct Settings {
    pub app_env: AppEnv,
    pub bind_addr: IpAddr,
    pub gateway_port: u16,
    pub users_port: u16,
    pub events_port: u16,
    pub notifications_port: u16,
    pub payments_port: u16,
    pub simulator_port: u16,
    pub ingest_port: u16,
    pub rtmp_port: u16,
    pub ingest_url: Option<String>,
    pub rtmp_url: Option<String>,
    pub public_url: Option<String>,
    pub frontend_url: Option<String>,
    pub cors_origins: Vec<Origin>,
    pub trusted_proxies: Vec<IpAddr>,
    pub data_dir: PathBuf,
    pub bucket: Option<Bucket>,
    /// Bytes.
    pub stream_quota: u64,
    /// Bytes.
    pub stream_keep_free: u64,
    pub stream_retention: Duration,
    /// The media server of new streams; `None`: this one.
    pub mediamtx: Option<MediaMtx>,
    pub watch_page: bool,
    pub mongodb_uri: Option<SecretString>,
    pub redis_url: Option<SecretString>,
    pub jwt_secret: Option<SecretString>,
    pub jwt_secret_old: Option<SecretString>,
    /// Signs tickets; `None`: one generated in the data directory.
    pub ticket_key: Option<SecretString>,
    /// The one before, whose tickets stay valid.
    pub ticket_key_old: Option<SecretString>,
    /// A folder of fonts for printed tickets.
    pub ticket_fonts: Option<PathBuf>,
    pub token_lifetime: Duration,
    pub refresh_idle: Duration,
    pub refresh_lifetime: Duration,
    pub default_timezone: Tz,
    pub hold: Duration,
    pub offer: Duration,
    pub users_url: String,
    pub events_url: String,
    pub live_url: String,
    pub notifications_url: String,
    pub payments_url: String,
    pub razorpay: Razorpay,
    pub simulator_auto_complete: bool,
    pub simulator_controls: bool,
    pub smtp_url: Option<SecretString>,
    pub mail_from: String,
    /// Who carries text messages.
    pub sms: SmsProvider,
    /// Text messages that a process gives to the provider in a second, at most.
    pub sms_per_second: u32,
    pub lease: Duration,
    pub rate_limits: bool,
    /// Sign-in with Google; `None`: off.
    pub google: Option<GoogleClient>,
    pub require_verified_email: bool,
    pub log: String,
    pub log_json: bool,
    /// The collector of traces.
    pub otlp_endpoint: Option<String>,
}

/// Everything that is wrong with the settings.
#[derive(Debug, PartialEq, Eq)]
pub struct SettingsError(pub Vec<String>);

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "The settings are not right:")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
    }
}

impl std::error::Error for SettingsError {}

impl Settings {
    /// Reads `.env`, then the environment.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn from_env() -> Result<Self, SettingsError> {
        match dotenvy::dotenv() {
            Ok(_) => {}
            Err(error) if error.not_found() => {}
            // The line itself is not shown: it may hold a secret.
            Err(dotenvy::Error::LineParse(..)) => {
                let why = ".env has a line that cannot be read; put values with spaces or # in quotes";
                return Err(SettingsError(vec![why.to_owned()]));
            }
            Err(error) => return Err(SettingsError(vec![format!(".env: {error}")])),
        }
        Self::read(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    /// Reads the settings from wherever `lookup` finds them.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let mut reader = Reader {
            lookup: &lookup,
            errors: Vec::new(),
        };
        let r = &mut reader;
        let app_env = r.parse("APP_ENV", "development or production", |text| match text {
            "development" => Some(AppEnv::Development),
            "production" => Some(AppEnv::Production),
            _ => None,
        });
        let port =
            |r: &mut Reader<'_>, name| r.parse(name, "a port, 0 to 65535", |text| text.parse::<u16>().ok());
        let ports = [
            port(r, "GATEWAY_PORT"),
            port(r, "USERS_PORT"),
            port(r, "EVENTS_PORT"),
            port(r, "NOTIFICATIONS_PORT"),
            port(r, "PAYMENTS_PORT"),
            port(r, "RAZORPAY_SIMULATOR_PORT"),
            port(r, "INGEST_PORT"),
            port(r, "RTMP_PORT"),
        ];
        r.different_ports(&ports);
        let [
            gateway_port,
            users_port,
            events_port,
            notifications_port,
            payments_port,
            simulator_port,
            ingest_port,
            rtmp_port,
        ] = ports.map(Option::unwrap_or_default);
        let url = |r: &mut Reader<'_>, name: &'static str, port: u16| {
            r.text(name).unwrap_or_else(|| format!("http://127.0.0.1:{port}"))
        };
        let events_url = url(r, "EVENTS_URL", events_port);
        let live_url = r.text("LIVE_URL").unwrap_or_else(|| events_url.clone());
        let settings = Self {
            app_env: app_env.unwrap_or(AppEnv::Development),
            bind_addr: r
                .parse("BIND_ADDR", "an IP address", |text| text.parse().ok())
                .unwrap_or(IpAddr::from([127, 0, 0, 1])),
            gateway_port,
            users_port,
            events_port,
            notifications_port,
            payments_port,
            simulator_port,
            ingest_port,
            rtmp_port,
            rtmp_url: r.optional("RTMP_URL", "an rtmp or rtmps URL", |text| {
                (text.starts_with("rtmp://") || text.starts_with("rtmps://"))
                    .then(|| text.trim_end_matches('/').to_owned())
            }),
            ingest_url: r.url("INGEST_URL"),
            public_url: r.url("PUBLIC_URL"),
            frontend_url: r.url("FRONTEND_URL"),
            cors_origins: r.list(
                "CORS_ORIGINS",
                "origins such as https://example.org, https://*.example.org or capacitor://localhost, without a path",
                Origin::parse,
            ),
            trusted_proxies: r.list("TRUSTED_PROXIES", "IP addresses", |text| text.parse().ok()),
            data_dir: PathBuf::from(r.text("DATA_DIR").unwrap_or_default()),
            bucket: r.bucket(),
            stream_quota: r.number("STREAM_QUOTA_GB", 1, 1_000_000) * 1_000_000_000,
            stream_keep_free: r.number("STREAM_KEEP_FREE_GB", 0, 1_000_000) * 1_000_000_000,
            stream_retention: Duration::from_secs(r.number("STREAM_RETENTION_DAYS", 1, 36_500) * 24 * 3600),
            mediamtx: r.mediamtx(),
            watch_page: r.switch("WATCH_PAGE"),
            mongodb_uri: r.optional(
                "MONGODB_URI",
                "mongodb:// or mongodb+srv:// with a host",
                |text| {
                    (text.starts_with("mongodb://") || text.starts_with("mongodb+srv://"))
                        .then(|| SecretString::from(text))
                },
            ),
            redis_url: r.optional("REDIS_URL", "redis:// or rediss:// with a host", |text| {
                let is_one = |url: &str| url.starts_with("redis://") || url.starts_with("rediss://");
                text.split(',')
                    .all(|url| is_one(url.trim()))
                    .then(|| SecretString::from(text))
            }),
            jwt_secret: r.optional("JWT_SECRET", "32 bytes or more", |text| {
                (text.len() >= MIN_SECRET_BYTES).then(|| SecretString::from(text))
            }),
            jwt_secret_old: r.optional("JWT_SECRET_OLD", "32 bytes or more", |text| {
                (text.len() >= MIN_SECRET_BYTES).then(|| SecretString::from(text))
            }),
            ticket_key: r.optional("TICKET_KEY", "32 bytes or more", |text| {
                (text.len() >= MIN_SECRET_BYTES).then(|| SecretString::from(text))
            }),
            ticket_key_old: r.optional("TICKET_KEY_OLD", "32 bytes or more", |text| {
                (text.len() >= MIN_SECRET_BYTES).then(|| SecretString::from(text))
            }),
            ticket_fonts: r.text("TICKET_FONTS").map(PathBuf::from),
            token_lifetime: r.seconds("TOKEN_LIFETIME_SECONDS", 60, 7 * 24 * 3600),
            refresh_idle: r.seconds("REFRESH_IDLE_SECONDS", 60, 365 * 24 * 3600),
            refresh_lifetime: r.seconds("REFRESH_LIFETIME_SECONDS", 60, 365 * 24 * 3600),
            default_timezone: r
                .parse(
                    "DEFAULT_TIMEZONE",
                    "an IANA time zone such as Asia/Kolkata",
                    crate::time::zone,
                )
                .unwrap_or(Tz::Asia__Kolkata),
            hold: r.seconds("HOLD_SECONDS", 1, 24 * 3600),
            offer: r.seconds("OFFER_SECONDS", 1, 30 * 24 * 3600),
            users_url: url(r, "USERS_URL", users_port),
            events_url,
            live_url,
            notifications_url: url(r, "NOTIFICATIONS_URL", notifications_port),
            payments_url: url(r, "PAYMENTS_URL", payments_port),
            razorpay: r.razorpay(),
            simulator_auto_complete: r.switch("SIMULATOR_AUTO_COMPLETE"),
            simulator_controls: r.switch("SIMULATOR_CONTROLS"),
            smtp_url: r.optional("SMTP_URL", "smtp:// or smtps:// with a host", |text| {
                (text.starts_with("smtp://") || text.starts_with("smtps://"))
                    .then(|| SecretString::from(text))
            }),
            mail_from: r.text("MAIL_FROM").unwrap_or_default(),
            sms: r.sms(),
            sms_per_second: u32::try_from(r.number("SMS_PER_SECOND", 1, 10_000)).unwrap_or(1),
            lease: r.seconds("LEASE_SECONDS", 1, 3600),
            rate_limits: r.switch("RATE_LIMITS"),
            google: r.google(app_env == Some(AppEnv::Production)),
            require_verified_email: r.switch("REQUIRE_VERIFIED_EMAIL"),
            log: r.text("LOG").unwrap_or_default(),
            log_json: r
                .parse("LOG_FORMAT", "text or json", |text| match text {
                    "text" => Some(false),
                    "json" => Some(true),
                    _ => None,
                })
                .unwrap_or(false),
            otlp_endpoint: r.optional("OTEL_EXPORTER_OTLP_ENDPOINT", "an http or https URL", |text| {
                (text.starts_with("http://") || text.starts_with("https://")).then(|| text.to_owned())
            }),
        };
        if settings.has_replicas() {
            for (setting, why) in [
                (
                    &settings.mongodb_uri,
                    "MONGODB_URI: a SQLite file belongs to one process",
                ),
                (
                    &settings.redis_url,
                    "REDIS_URL: caches, limits and sessions are for all of them",
                ),
            ] {
                if setting.is_none() {
                    reader
                        .errors
                        .push(format!("several replicas of a service need {why}"));
                }
            }
        }
        if settings.token_lifetime > settings.refresh_idle
            || settings.refresh_idle > settings.refresh_lifetime
        {
            let why = "TOKEN_LIFETIME_SECONDS must not exceed REFRESH_IDLE_SECONDS, nor that REFRESH_LIFETIME_SECONDS";
            reader.errors.push(why.to_owned());
        }
        reader.errors.extend(settings.unfit_for_production());
        if reader.errors.is_empty() {
            Ok(settings)
        } else {
            Err(SettingsError(reader.errors))
        }
    }

    /// The origins whose pages may call.
    pub fn allowed_origins(&self) -> AllowedOrigins {
        AllowedOrigins::new(self.cors_origins.clone(), !self.is_production())
    }

    /// The public URL of the gateway that listens on `port`.
    pub fn public_url(&self, port: u16) -> String {
        self.public_url
            .clone()
            .unwrap_or_else(|| format!("http://localhost:{port}"))
    }

    /// Where an event is watched, before its id: on the gateway's own page with `WATCH_PAGE=on`; else on the frontend's; else,
    /// in development, on the gateway's. `None`: nowhere, or the gateway's port is not known before it listens.
    pub fn watch_site(&self) -> Option<String> {
        let known = self.public_url.is_some() || self.gateway_port != 0;
        let own = known.then(|| format!("{}/watch/", self.public_url(self.gateway_port)));
        match &self.frontend_url {
            Some(frontend) if !self.watch_page => Some(format!("{frontend}/watch/")),
            Some(_) => own,
            None => own.filter(|_| self.watch_page || !self.is_production()),
        }
    }

    /// Razorpay's base URL, or that of the simulator on `simulator_port` of this machine.
    pub fn razorpay_url(&self, simulator_port: u16) -> String {
        self.razorpay
            .base_url
            .clone()
            .unwrap_or_else(|| format!("http://127.0.0.1:{simulator_port}"))
    }

    /// For programs built without MongoDB.
    ///
    /// # Errors
    /// [`BUILT_WITHOUT_MONGODB`], when the settings name one.
    pub fn refuse_mongodb(&self) -> Result<(), String> {
        match self.mongodb_uri {
            Some(_) => Err(BUILT_WITHOUT_MONGODB.to_owned()),
            None => Ok(()),
        }
    }

    /// Whether those who watch are served by processes of their own.
    pub fn has_live_pool(&self) -> bool {
        self.live_url.trim_end_matches('/') != self.events_url.trim_end_matches('/')
    }

    /// Whether a service runs more than once.
    fn has_replicas(&self) -> bool {
        [
            &self.users_url,
            &self.events_url,
            &self.notifications_url,
            &self.payments_url,
        ]
        .iter()
        .any(|urls| urls.contains(','))
            || self.has_live_pool()
    }

    /// Whether this is production.
    pub fn is_production(&self) -> bool {
        self.app_env == AppEnv::Production
    }

    fn unfit_for_production(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.is_production() {
            let mut require = |fine: bool, sentence: &str| {
                if !fine {
                    problems.push(format!("in production {sentence}"));
                }
            };
            require(
                self.razorpay.keys.is_some(),
                "RAZORPAY_KEY_ID, RAZORPAY_KEY_SECRET and RAZORPAY_WEBHOOK_SECRET must be set",
            );
            require(self.smtp_url.is_some(), "SMTP_URL must be set");
            require(self.jwt_secret.is_some(), "JWT_SECRET must be set");
            require(self.ticket_key.is_some(), "TICKET_KEY must be set");
            require(
                self.public_url
                    .as_deref()
                    .is_some_and(|url| url.starts_with("https://")),
                "PUBLIC_URL must be set to an https URL",
            );
            let is_safe = |url: &str| url.starts_with("https://");
            require(
                self.mediamtx
                    .as_ref()
                    .is_none_or(|one| is_safe(&one.url) && one.playback_url.as_deref().is_none_or(is_safe)),
                "MEDIAMTX_URL and MEDIAMTX_PLAYBACK_URL must be https URLs",
            );
            require(self.rate_limits, "RATE_LIMITS must not be off");
            require(!self.simulator_controls, "SIMULATOR_CONTROLS must not be on");
        }
        problems
    }
}

/// The settings, for `--help`.
pub fn help() -> String {
    let mut text = "Settings (environment variables, or a .env file):\n".to_owned();
    for Setting { name, default, help } in SETTINGS {
        let default = if default.is_empty() {
            String::new()
        } else {
            format!(" [{default}]")
        };
        text.push_str(&format!("  {name:<26}{help}{default}\n"));
    }
    text
}

struct Reader<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    errors: Vec<String>,
}

impl Reader<'_> {
    /// The variable, or its default; `None` when both are empty.
    fn text(&mut self, name: &'static str) -> Option<String> {
        let default = SETTINGS
            .iter()
            .find(|setting| setting.name == name)
            .map_or("", |setting| setting.default);
        let set = (self.lookup)(name)
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty());
        set.or_else(|| Some(default.to_owned()).filter(|text| !text.is_empty()))
    }

    /// Values are not repeated in messages: some are secrets, and the operator can look.
    fn optional<T>(
        &mut self,
        name: &'static str,
        form: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(name)?;
        let value = parse(&text);
        if value.is_none() {
            self.errors.push(format!("{name} must be {form}"));
        }
        value
    }

    /// An http or https URL, without a slash at its end.
    fn url(&mut self, name: &'static str) -> Option<String> {
        self.optional(name, "an http or https URL", |text| {
            (text.starts_with("http://") || text.starts_with("https://"))
                .then(|| text.trim_end_matches('/').to_owned())
        })
    }

    fn parse<T>(
        &mut self,
        name: &'static str,
        form: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        self.optional(name, form, parse)
    }

    fn list<T>(&mut self, name: &'static str, form: &str, parse: impl Fn(&str) -> Option<T>) -> Vec<T> {
        self.optional(name, form, |text| {
            text.split(',').map(|item| parse(item.trim())).collect()
        })
        .unwrap_or_default()
    }

    fn seconds(&mut self, name: &'static str, min: u64, max: u64) -> Duration {
        let form = format!("a number of seconds from {min} to {max}");
        let seconds = self.parse(name, &form, |text| {
            text.parse().ok().filter(|s| (min..=max).contains(s))
        });
        Duration::from_secs(seconds.unwrap_or(min))
    }

    fn number(&mut self, name: &'static str, min: u64, max: u64) -> u64 {
        let form = format!("a whole number from {min} to {max}");
        let number = self.parse(name, &form, |text| {
            text.parse().ok().filter(|number| (min..=max).contains(number))
        });
        number.unwrap_or(min)
    }

    fn google(&mut self, production: bool) -> Option<GoogleClient> {
        let issuer = self.optional(
            "GOOGLE_ISSUER",
            "an https URL, or in development an http URL of this machine",
            |text| {
                let local = !production && is_local_url(text);
                (text.starts_with("https://") || local).then(|| text.trim_end_matches('/').to_owned())
            },
        );
        let (id, secret) = (self.text("GOOGLE_CLIENT_ID"), self.text("GOOGLE_CLIENT_SECRET"));
        match (id, secret) {
            (Some(id), Some(secret)) => Some(GoogleClient {
                id,
                secret: SecretString::from(secret),
                issuer: issuer.unwrap_or_default(),
            }),
            (None, None) => None,
            _ => {
                let why = "GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET must be set together";
                self.errors.push(why.to_owned());
                None
            }
        }
    }

    fn switch(&mut self, name: &'static str) -> bool {
        self.parse(name, "on or off", |text| match text {
            "on" => Some(true),
            "off" => Some(false),
            _ => None,
        })
        .unwrap_or(true)
    }

    fn different_ports(&mut self, ports: &[Option<u16>]) {
        let mut seen: Vec<u16> = ports
            .iter()
            .flatten()
            .copied()
            .filter(|port| *port != 0)
            .collect();
        seen.sort_unstable();
        for pair in seen.windows(2).filter(|pair| pair[0] == pair[1]) {
            self.errors
                .push(format!("port {} is given to two parts", pair[0]));
        }
    }

    fn razorpay(&mut self) -> Razorpay {
        let names = [
            "RAZORPAY_KEY_ID",
            "RAZORPAY_KEY_SECRET",
            "RAZORPAY_WEBHOOK_SECRET",
        ];
        let values = names.map(|name| self.text(name));
        let base_url = self.url("RAZORPAY_BASE_URL");
        let keys = match values {
            [Some(key_id), Some(key_secret), Some(webhook_secret)] => Some(RazorpayKeys {
                key_id,
                key_secret: SecretString::from(key_secret),
                webhook_secret: SecretString::from(webhook_secret),
            }),
            [None, None, None] => None,
            _ => {
                self.errors.push(format!(
                    "{} belong together: set all three or none",
                    names.join(", ")
                ));
                None
            }
        };
        let base_url = base_url.or_else(|| keys.as_ref().map(|_| "https://api.razorpay.com".to_owned()));
        Razorpay { base_url, keys }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        Settings::read(|name| {
            pairs
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| (*v).to_owned())
        })
    }

    #[test]
    fn nothing_set_is_fine() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.gateway_port, 3003);
        assert_eq!(settings.events_url, "http://127.0.0.1:3102");
        assert_eq!(settings.live_url, settings.events_url);
        assert!(settings.razorpay.base_url.is_none());
    }

    #[test]
    fn a_zone_is_taken_in_any_case() {
        for zone in ["asia/kolkata", " Asia/Kolkata\n", "ASIA/KOLKATA"] {
            let settings = read(&[("DEFAULT_TIMEZONE", zone)]).unwrap();
            assert_eq!(settings.default_timezone, Tz::Asia__Kolkata, "{zone}");
        }
    }

    #[test]
    fn all_mistakes_are_named_and_no_value_is_shown() {
        let error = read(&[
            ("GATEWAY_PORT", "x"),
            ("CORS_ORIGINS", "https://example.org, https://example.org/app"),
            ("DEFAULT_TIMEZONE", "Mars/Olympus"),
            ("JWT_SECRET", "hunter2"),
            ("RAZORPAY_KEY_ID", "rzp_test_x"),
            ("USERS_PORT", "3102"),
            ("REDIS_URL", "localhost:6379"),
            ("MONGODB_URI", "mongo://x"),
            ("EVENTS_URL", "http://a:1,http://b:2"),
        ])
        .unwrap_err();
        assert_eq!(error.0.len(), 10, "{error}");
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn no_token_outlasts_its_session() {
        for wrong in [
            [
                ("TOKEN_LIFETIME_SECONDS", "3600"),
                ("REFRESH_IDLE_SECONDS", "3599"),
            ],
            [
                ("REFRESH_IDLE_SECONDS", "604800"),
                ("REFRESH_LIFETIME_SECONDS", "604799"),
            ],
        ] {
            let error = read(&wrong).unwrap_err();
            assert_eq!(error.0.len(), 1, "{error}");
        }
        let equal = [
            ("TOKEN_LIFETIME_SECONDS", "3600"),
            ("REFRESH_IDLE_SECONDS", "3600"),
            ("REFRESH_LIFETIME_SECONDS", "3600"),
        ];
        assert!(read(&equal).is_ok());
    }

    #[test]
    fn production_refuses_what_is_for_trying_out() {
        let error = read(&[
            ("APP_ENV", "production"),
            ("RATE_LIMITS", "off"),
            ("PUBLIC_URL", "http://x"),
        ])
        .unwrap_err();
        assert_eq!(error.0.len(), 6, "{error}");
    }
}
