//! The names of what is measured.

/// A thing to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// A cold release build.
    Build,
    /// Start to ready, idle memory, size.
    Start,
    /// Reading a list, with a token.
    List,
    /// Reading a list while others register.
    Mixed,
    /// Registrations for one event.
    Hot,
    /// Registrations for many events.
    Spread,
    /// Logins.
    Login,
    /// Registrations that are paid for.
    Paid,
    /// Registrations until the mail is out.
    Mail,
    /// Live updates to many sockets.
    Live,
    /// A stream to many viewers, and from many publishers.
    Streams,
    /// Real encoders and a real player.
    Encoders,
    /// Reminders to all attendees of one event.
    Reminders,
    /// The desk of an event.
    Desk,
    /// Letters to very many, by schedulers that end meanwhile.
    Messages,
}

impl Phase {
    /// All of them, in the order in which they run: those that leave the fewest traces first.
    pub const ALL: [Self; 15] = [
        Self::Build,
        Self::Start,
        Self::List,
        Self::Mixed,
        Self::Hot,
        Self::Spread,
        Self::Login,
        Self::Paid,
        Self::Mail,
        Self::Live,
        Self::Streams,
        Self::Encoders,
        Self::Reminders,
        Self::Desk,
        Self::Messages,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Start => "start",
            Self::List => "list",
            Self::Mixed => "mixed",
            Self::Hot => "hot",
            Self::Spread => "spread",
            Self::Login => "login",
            Self::Paid => "paid",
            Self::Mail => "mail",
            Self::Live => "live",
            Self::Streams => "streams",
            Self::Encoders => "encoders",
            Self::Reminders => "reminders",
            Self::Desk => "desk",
            Self::Messages => "messages",
        }
    }

    /// Whether it takes so long that it is run only when named.
    pub fn only_when_named(self) -> bool {
        matches!(
            self,
            Self::Build
                | Self::Live
                | Self::Streams
                | Self::Encoders
                | Self::Reminders
                | Self::Desk
                | Self::Messages
        )
    }

    /// Whether it needs the system up and furnished.
    pub fn in_lab(self) -> bool {
        !matches!(self, Self::Build | Self::Start | Self::Messages)
    }
}
