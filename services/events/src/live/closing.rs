//! Why the server closes a connection, by the code that tells the client whether to come back: 3000 to 3499 do, 3500 and
//! above do not.

/// A reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Closing {
    /// The process stops.
    Shutdown,
    /// The token ran out and was not replaced.
    Expired,
    /// The client reads too slowly.
    Slow,
    /// What the client has missed cannot be found out; it has to ask again.
    InsufficientState,
    /// The client did not answer a ping.
    NoPong,
    /// The client sent binary data, which no command is.
    BadRequest,
    /// The client did not connect in time.
    Stale,
    /// The session was signed out.
    SignedOut,
    /// The user, or the address, has too many connections.
    TooManyConnections,
    /// The client went on sending commands that cannot be served.
    TooManyErrors,
    /// A message was too large (RFC 6455, 7.4.1).
    TooLarge,
    /// A message was no UTF-8 text (RFC 6455, 7.4.1).
    NotText,
    /// The client broke the protocol of WebSockets (RFC 6455, 7.4.1).
    Protocol,
}

impl Closing {
    /// The close code.
    pub fn code(self) -> u16 {
        match self {
            Self::Shutdown => 3001,
            Self::Expired => 3005,
            Self::Slow => 3008,
            Self::InsufficientState => 3010,
            Self::NoPong => 3012,
            Self::BadRequest => 3501,
            Self::Stale => 3502,
            Self::SignedOut => 3503,
            Self::TooManyConnections => 3504,
            Self::TooManyErrors => 3509,
            Self::TooLarge => 1009,
            Self::NotText => 1007,
            Self::Protocol => 1002,
        }
    }

    /// In words.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Shutdown => "shutdown",
            Self::Expired => "expired",
            Self::Slow => "slow",
            Self::InsufficientState => "insufficient state",
            Self::NoPong => "no pong",
            Self::BadRequest => "bad request",
            Self::Stale => "stale",
            Self::SignedOut => "signed out",
            Self::TooManyConnections => "connection limit",
            Self::TooManyErrors => "too many errors",
            Self::TooLarge => "message too large",
            Self::NotText => "not text",
            Self::Protocol => "protocol error",
        }
    }
}
