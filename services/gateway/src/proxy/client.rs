//! The client's address, and the assertion with which services trust it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::{
    extract::{ConnectInfo, Request},
    http::HeaderValue,
};
use chrono::TimeDelta;
use common::{auth::Auth, clock::Timestamp, problem::ApiError};
use parking_lot::Mutex;

/// Finds the client's address.
pub struct Client {
    trusted: Vec<IpAddr>,
}

impl Client {
    /// `trusted` are proxies in front of us.
    pub fn new(trusted: Vec<IpAddr>) -> Self {
        Self { trusted }
    }

    /// The peer; or, when that is a trusted proxy, the last address in `X-Forwarded-For` that is none. What stands
    /// left of it comes from an untrusted sender, so it is read from the right and no further.
    pub fn address(&self, request: &Request) -> IpAddr {
        let peer = request
            .extensions()
            .get::<ConnectInfo<SocketAddr>>()
            .map(|peer| peer.0.ip().to_canonical());
        let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        if !self.trusted.contains(&peer) {
            return peer;
        }
        let lines = request.headers().get_all(super::FORWARDED_FOR).iter().rev();
        let mut nearest = peer;
        for hop in lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(',')) {
            let Some(address) = parse(hop.trim()) else { break };
            nearest = address;
            if !self.trusted.contains(&address) {
                break;
            }
        }
        nearest
    }
}

/// An address, which some proxies write with a port.
fn parse(hop: &str) -> Option<IpAddr> {
    let address = hop
        .parse()
        .or_else(|_| hop.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address| address.to_canonical())
}

/// The gateway assertion: proves to one service that a request came through the gateway. A service token, made anew
/// from time to time.
pub struct Assertion {
    auth: Auth,
    audience: &'static str,
    made: Mutex<Option<(Timestamp, HeaderValue)>>,
}

impl Assertion {
    pub fn new(auth: Auth, audience: &'static str) -> Self {
        Self {
            auth,
            audience,
            made: Mutex::new(None),
        }
    }

    /// The token as a header.
    pub fn value(&self) -> Result<HeaderValue, ApiError> {
        // A token serves for a minute; renewing it well before that costs nothing.
        const RENEW: TimeDelta = TimeDelta::seconds(20);
        let now = self.auth.clock().now();
        let mut made = self.made.lock();
        if let Some((at, value)) = made.as_ref()
            && (now - *at).abs() < RENEW
        {
            return Ok(value.clone());
        }
        let token = self
            .auth
            .service_token(self.audience)
            .map_err(ApiError::internal)?;
        let mut value = HeaderValue::from_str(&token).map_err(ApiError::internal)?;
        value.set_sensitive(true);
        *made = Some((now, value.clone()));
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn only_trusted_proxies_speak_for_others() {
        let proxy: IpAddr = "10.0.0.1".parse().unwrap();
        let client = Client::new(vec![proxy]);
        let address = |peer: &str, forwarded: &str| {
            let mut request = Request::builder()
                .header("x-forwarded-for", forwarded)
                .body(Body::empty())
                .unwrap();
            let peer = SocketAddr::new(peer.parse().unwrap(), 1);
            request.extensions_mut().insert(ConnectInfo(peer));
            client.address(&request).to_string()
        };
        assert_eq!(
            address("192.0.2.7", "1.2.3.4"),
            "192.0.2.7",
            "a stranger's word counts for nothing"
        );
        assert_eq!(
            address("10.0.0.1", "6.6.6.6, 192.0.2.7"),
            "192.0.2.7",
            "the proxy saw only the last"
        );
        assert_eq!(address("10.0.0.1", "192.0.2.7, 10.0.0.1"), "192.0.2.7");
        assert_eq!(address("10.0.0.1", "nonsense"), "10.0.0.1");
        assert_eq!(
            address("10.0.0.1", "nonsense, 192.0.2.7"),
            "192.0.2.7",
            "nonsense hides nobody"
        );
        assert_eq!(
            address("10.0.0.1", "6.6.6.6, nonsense, 10.0.0.1"),
            "10.0.0.1",
            "nor does it let pass what is left of it"
        );
        assert_eq!(address("::ffff:10.0.0.1", "192.0.2.7:4711"), "192.0.2.7");
        assert_eq!(address("10.0.0.1", "[2001:db8::1]:443"), "2001:db8::1");
    }
}
