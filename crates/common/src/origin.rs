//! Browser origins that may call (RFC 6454), as `CORS_ORIGINS` names them.

use std::{fmt, sync::Arc};

/// An origin, or all origins that differ in the first label of their host.
#[derive(Clone, PartialEq, Eq)]
pub enum Origin {
    /// This one, as browsers write it in the `Origin` header.
    Exactly(String),
    /// `https://*.example.net`: whatever stands between the two parts, as long as it is one label.
    AnyLabel {
        /// `https://`
        before: String,
        /// `.example.net`, with the port if it has one.
        after: String,
    },
}

impl Origin {
    /// Reads an origin and brings it into the form in which browsers send it: lower case, A-labels, without a default
    /// port or a slash at the end. `None` for what no browser ever sends (a path, `null`, `*`) and for a wildcard that
    /// would let in a whole top-level domain.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.trim().split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_lowercase())
            && scheme
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b));
        if !is_scheme || scheme == "file" {
            return None;
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let web = scheme == "http" || scheme == "https";
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse::<u16>().ok()?)),
            _ => (rest, None),
        };
        let port = port.filter(|port| {
            (scheme.as_str(), *port) != ("http", 80) && (scheme.as_str(), *port) != ("https", 443)
        });
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        if let Some(parent) = host.strip_prefix("*.") {
            let parent = host_of_web(parent).filter(|parent| web && parent.contains('.'))?;
            return Some(Self::AnyLabel {
                before: format!("{scheme}://"),
                after: format!(".{parent}{port}"),
            });
        }
        let host = if web {
            host_of_web(host)?
        } else {
            host_of_app(host)?
        };
        Some(Self::Exactly(format!("{scheme}://{host}{port}")))
    }

    /// Whether an `Origin` header names it.
    pub fn allows(&self, origin: &str) -> bool {
        match self {
            Self::Exactly(this) => this == origin,
            Self::AnyLabel { before, after } => origin
                .strip_prefix(before.as_str())
                .and_then(|rest| rest.strip_suffix(after.as_str()))
                .is_some_and(|label| {
                    !label.is_empty()
                        && label
                            .bytes()
                            .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
                }),
        }
    }
}

/// A host name as DNS knows it, or an address.
fn host_of_web(host: &str) -> Option<String> {
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        let address: std::net::Ipv6Addr = address.parse().ok()?;
        return Some(format!("[{address}]"));
    }
    let host = idna::domain_to_ascii_strict(host).ok()?;
    (!host.is_empty() && !host.ends_with('.')).then_some(host)
}

/// What apps in a web view have in place of a host: `capacitor://localhost`, `chrome-extension://abc`.
fn host_of_app(host: &str) -> Option<String> {
    let fits = !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    fits.then(|| host.to_ascii_lowercase())
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(origin) => f.write_str(origin),
            Self::AnyLabel { before, after } => write!(f, "{before}*{after}"),
        }
    }
}

/// The origins whose pages may call: those of `CORS_ORIGINS`, and in development this machine. Cheap to clone.
#[derive(Clone)]
pub struct AllowedOrigins {
    origins: Arc<[Origin]>,
    local: bool,
}

impl AllowedOrigins {
    /// These, and with `local` any of this machine.
    pub fn new(origins: Vec<Origin>, local: bool) -> Self {
        Self {
            origins: origins.into(),
            local,
        }
    }

    /// Whether an `Origin` header names one of them.
    pub fn allows(&self, origin: &str) -> bool {
        self.origins.iter().any(|allowed| allowed.allows(origin)) || (self.local && is_local(origin))
    }
}

/// Whether a URL is one of this machine.
pub fn is_local_url(url: &str) -> bool {
    let origin: Vec<&str> = url.split('/').take(3).collect();
    is_local(&origin.join("/"))
}

/// Whether an origin is on this machine.
pub fn is_local(origin: &str) -> bool {
    let Some(rest) = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"))
    else {
        return false;
    };
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|host| {
        rest.strip_prefix(host).is_some_and(|rest| {
            rest.is_empty()
                || rest
                    .strip_prefix(':')
                    .is_some_and(|port| port.parse::<u16>().is_ok())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_is_what_browsers_send() {
        for (named, sent) in [
            ("https://app.example.org", "https://app.example.org"),
            ("https://App.Example.org", "https://app.example.org"),
            ("HTTPS://app.example.org:443/", "https://app.example.org"),
            ("http://app.example.org:80", "http://app.example.org"),
            ("https://app.example.org:8443", "https://app.example.org:8443"),
            ("http://app.example.org:443", "http://app.example.org:443"),
            ("https://münchen.de", "https://xn--mnchen-3ya.de"),
            ("http://[::1]:5173", "http://[::1]:5173"),
            ("http://192.168.1.7:3000", "http://192.168.1.7:3000"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("ionic://localhost", "ionic://localhost"),
            ("tauri://localhost", "tauri://localhost"),
            ("chrome-extension://abcdefgh", "chrome-extension://abcdefgh"),
        ] {
            let origin = Origin::parse(named).unwrap_or_else(|| panic!("{named}"));
            assert!(origin.allows(sent), "{named} {origin:?}");
            assert!(!origin.allows(&format!("{sent}.evil.example")), "{named}");
        }
    }

    #[test]
    fn a_wildcard_is_one_label() {
        let origin = Origin::parse("https://*.Example.net").unwrap();
        for sent in ["https://a.example.net", "https://pr-17.example.net"] {
            assert!(origin.allows(sent), "{sent}");
        }
        for sent in [
            "https://example.net",
            "https://.example.net",
            "https://a.b.example.net",
            "http://a.example.net",
            "https://a.example.net:8443",
            "https://evil.org/.example.net",
            "https://evil.org#.example.net",
            "https://aexample.net",
        ] {
            assert!(!origin.allows(sent), "{sent}");
        }
        assert!(
            Origin::parse("https://*.example.net:8443")
                .unwrap()
                .allows("https://a.example.net:8443")
        );
    }

    #[test]
    fn what_no_browser_sends_is_refused() {
        for named in [
            "*",
            "null",
            "",
            "app.example.org",
            "https://",
            "https://app.example.org/path",
            "https://app.example.org?x",
            "https://me@app.example.org",
            "https://app.example.org:x",
            "https://app.example.org:99999",
            "https://*.net",
            "https://a.*.example.net",
            "https://*",
            "*://example.net",
            "https://*example.net",
            "capacitor://*.localhost",
            "file://localhost",
            "https://exa mple.org",
            "https://app.example.org.",
        ] {
            assert_eq!(Origin::parse(named), None, "{named}");
        }
    }

    #[test]
    fn only_this_machine_is_local() {
        for origin in [
            "http://localhost",
            "https://localhost:8443",
            "http://127.0.0.1:3000",
            "http://[::1]:5173",
        ] {
            assert!(is_local(origin), "{origin}");
        }
        for origin in [
            "null",
            "http://localhost.evil.example",
            "http://localhost:80.evil.example",
            "http://evil.example/localhost",
            "file://localhost",
            "http://localhost:",
        ] {
            assert!(!is_local(origin), "{origin}");
        }
        assert!(is_local_url("http://127.0.0.1:3000/keys?x=1") && is_local_url("http://localhost"));
        assert!(!is_local_url("http://evil.example/http://localhost/") && !is_local_url("localhost/x"));
    }
}
