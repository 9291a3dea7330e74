//! MediaMTX, a media server for more than the built-in ingest takes.

use secrecy::SecretString;

use super::Reader;
use crate::auth::MIN_SECRET_BYTES;

/// Where a MediaMTX is. Addresses have no slash at their end.
#[derive(Clone, Debug)]
pub struct MediaMtx {
    /// Its control API.
    pub api_url: String,
    /// How viewers reach its HLS.
    pub url: String,
    /// Stands in the address at which it asks who may do what.
    pub secret: SecretString,
    /// How viewers reach its recordings; `None`: there are none.
    pub playback_url: Option<String>,
    /// How publishers reach its WebRTC.
    pub webrtc_url: String,
    /// How encoders reach its RTMP.
    pub rtmp_url: String,
    /// How encoders reach its SRT.
    pub srt_url: String,
}

impl Reader<'_> {
    pub(super) fn mediamtx(&mut self) -> Option<MediaMtx> {
        let given = [
            "MEDIAMTX_API_URL",
            "MEDIAMTX_URL",
            "MEDIAMTX_SECRET",
            "MEDIAMTX_PLAYBACK_URL",
            "MEDIAMTX_WEBRTC_URL",
            "MEDIAMTX_RTMP_URL",
            "MEDIAMTX_SRT_URL",
        ]
        .map(|name| self.text(name).is_some());
        let [needed @ .., _, _, _, _] = given;
        if !given.contains(&true) {
            return None;
        }
        if needed.contains(&false) {
            let why = "MEDIAMTX_API_URL, MEDIAMTX_URL and MEDIAMTX_SECRET belong together: set all three, or nothing of MediaMTX";
            self.errors.push(why.to_owned());
            return None;
        }
        let api_url = self.url("MEDIAMTX_API_URL");
        let url = self.url("MEDIAMTX_URL");
        let secret = self.optional(
            "MEDIAMTX_SECRET",
            "32 letters, digits, - and _ or more: it stands in an address",
            |text| is_secret(text).then(|| SecretString::from(text)),
        );
        let playback_url = self.url("MEDIAMTX_PLAYBACK_URL");
        let webrtc_url = self.url("MEDIAMTX_WEBRTC_URL");
        let rtmp_url = self.with_scheme(
            "MEDIAMTX_RTMP_URL",
            "an rtmp or rtmps URL",
            &["rtmp://", "rtmps://"],
        );
        let srt_url = self.with_scheme("MEDIAMTX_SRT_URL", "an srt URL", &["srt://"]);
        let url = url?;
        let (scheme, host) = scheme_and_host(&url);
        Some(MediaMtx {
            api_url: api_url?,
            secret: secret?,
            playback_url,
            webrtc_url: webrtc_url.unwrap_or_else(|| format!("{scheme}://{host}:8889")),
            rtmp_url: rtmp_url.unwrap_or_else(|| format!("rtmp://{host}:1935")),
            srt_url: srt_url.unwrap_or_else(|| format!("srt://{host}:8890")),
            url,
        })
    }

    fn with_scheme(&mut self, name: &'static str, form: &str, schemes: &[&str]) -> Option<String> {
        self.optional(name, form, |text| {
            let fits = schemes.iter().any(|scheme| text.starts_with(scheme));
            fits.then(|| text.trim_end_matches('/').to_owned())
        })
    }
}

fn is_secret(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    text.len() >= MIN_SECRET_BYTES && text.bytes().all(fits)
}

fn scheme_and_host(url: &str) -> (&str, &str) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        // An IPv6 address has colons of its own, within brackets.
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    (scheme, host)
}

#[cfg(test)]
mod tests {
    use super::super::Settings;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, super::super::SettingsError> {
        Settings::read(|name| {
            let found = pairs.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_other_addresses_follow_from_its_own() {
        let all = [
            ("MEDIAMTX_API_URL", "http://mediamtx:9997/"),
            ("MEDIAMTX_URL", "https://media.example.org:8888/"),
            ("MEDIAMTX_SECRET", SECRET),
        ];
        let found = read(&all).unwrap().mediamtx.unwrap();
        assert_eq!(
            [
                found.api_url,
                found.url,
                found.webrtc_url,
                found.rtmp_url,
                found.srt_url
            ],
            [
                "http://mediamtx:9997",
                "https://media.example.org:8888",
                "https://media.example.org:8889",
                "rtmp://media.example.org:1935",
                "srt://media.example.org:8890"
            ]
        );
        assert_eq!(found.playback_url, None);
        let six = [
            ("MEDIAMTX_API_URL", "http://[::1]:9997"),
            ("MEDIAMTX_URL", "http://[::1]"),
            ("MEDIAMTX_SECRET", SECRET),
            ("MEDIAMTX_RTMP_URL", "rtmps://in.example.org/"),
        ];
        let found = read(&six).unwrap().mediamtx.unwrap();
        assert_eq!(
            (found.srt_url.as_str(), found.rtmp_url.as_str()),
            ("srt://[::1]:8890", "rtmps://in.example.org")
        );
        assert!(read(&[]).unwrap().mediamtx.is_none());
    }

    #[test]
    fn half_of_it_is_one_mistake_and_no_secret_is_shown() {
        for half in [
            &[("MEDIAMTX_URL", "https://media.example.org")][..],
            &[("MEDIAMTX_PLAYBACK_URL", "https://media.example.org")],
            &[
                ("MEDIAMTX_API_URL", "http://mediamtx:9997"),
                ("MEDIAMTX_SECRET", SECRET),
            ],
        ] {
            let error = read(half).unwrap_err();
            assert_eq!(error.0.len(), 1, "{error}");
            assert!(error.0[0].contains("belong together") && !error.0[0].contains(SECRET));
        }
        for secret in ["short", &"x/".repeat(16)] {
            let error = read(&[
                ("MEDIAMTX_API_URL", "http://mediamtx:9997"),
                ("MEDIAMTX_URL", "https://media.example.org"),
                ("MEDIAMTX_SECRET", secret),
            ])
            .unwrap_err();
            assert!(error.0.len() == 1 && !error.0[0].contains(secret), "{error}");
        }
    }
}
