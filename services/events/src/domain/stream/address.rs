//! Addresses of streams that are elsewhere.

use url::{Host, Url};

use super::Kind;

/// What may stand in an id of a video.
fn is_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !text.is_empty() && text.len() <= 64 && text.bytes().all(plain)
}

/// Reads the address of a stream of this kind; `None` for one that has none. The players of YouTube and Vimeo are found from the
/// addresses that people copy.
///
/// # Errors
/// Why it is none.
pub fn read(kind: Kind, url: Option<&str>) -> Result<Option<String>, String> {
    match (kind, url) {
        (Kind::Ingest, None) => Ok(None),
        (Kind::Ingest, Some(_)) => Err("must be left out: the encoder sends here".to_owned()),
        (_, None) => Err("is required for this kind".to_owned()),
        (Kind::Embed, Some(url)) => player(&https(url)?).map(Some),
        (Kind::Hls | Kind::Meeting, Some(url)) => https(url).map(|url| Some(url.to_string())),
    }
}

/// An address that a browser may be sent to from a page over TLS.
///
/// # Errors
/// Why it is none.
pub fn https(text: &str) -> Result<Url, String> {
    const FORM: &str = "must be an https address";
    let url = Url::parse(text).map_err(|_| FORM.to_owned())?;
    let has_name = matches!(url.host(), Some(Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_)));
    if url.scheme() != "https" || !has_name {
        return Err(FORM.to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not have a user's name or password in it".to_owned());
    }
    Ok(url)
}

/// The player of a video.
fn player(url: &Url) -> Result<String, String> {
    let host = url.host_str().unwrap_or_default();
    let host = host
        .strip_prefix("www.")
        .or(host.strip_prefix("m."))
        .unwrap_or(host);
    let mut path = url.path().trim_matches('/').split('/');
    let (first, second, third) = (path.next().unwrap_or_default(), path.next(), path.next());
    let asked = |name: &str| {
        url.query_pairs()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    };
    let youtube = |id: &str| format!("https://www.youtube-nocookie.com/embed/{id}");
    let found = match (host, first, second) {
        ("youtube.com", "watch", None) => asked("v").filter(|id| is_id(id)).map(|id| youtube(&id)),
        ("youtube.com" | "youtube-nocookie.com", "embed" | "live" | "shorts", Some(id)) if is_id(id) => {
            Some(youtube(id))
        }
        ("youtu.be", id, None) if is_id(id) => Some(youtube(id)),
        ("vimeo.com", id, None) if is_id(id) => Some(format!("https://player.vimeo.com/video/{id}")),
        ("vimeo.com", "event", Some(id)) if is_id(id) => Some(format!("https://vimeo.com/event/{id}/embed")),
        ("player.vimeo.com", "video", Some(id)) if is_id(id) => {
            // Private videos have a second part that proves the right to see them.
            let hash = asked("h")
                .or_else(|| third.map(str::to_owned))
                .filter(|hash| is_id(hash));
            let hash = hash.map_or_else(String::new, |hash| format!("?h={hash}"));
            Some(format!("https://player.vimeo.com/video/{id}{hash}"))
        }
        _ => None,
    };
    found.ok_or_else(|| "must be the address of a video on YouTube or Vimeo".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_copy_becomes_a_player() {
        let youtube = Ok(Some(
            "https://www.youtube-nocookie.com/embed/dQw4w9WgXcQ".to_owned(),
        ));
        for url in [
            "https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=3",
            "https://m.youtube.com/watch?v=dQw4w9WgXcQ",
            "https://youtu.be/dQw4w9WgXcQ?si=x",
            "https://www.youtube.com/live/dQw4w9WgXcQ",
            "https://www.youtube-nocookie.com/embed/dQw4w9WgXcQ",
        ] {
            assert_eq!(read(Kind::Embed, Some(url)), youtube, "{url}");
        }
        for (url, player) in [
            (
                "https://vimeo.com/76979871",
                "https://player.vimeo.com/video/76979871",
            ),
            (
                "https://player.vimeo.com/video/76979871?h=8272103f6e",
                "https://player.vimeo.com/video/76979871?h=8272103f6e",
            ),
            ("https://vimeo.com/event/12", "https://vimeo.com/event/12/embed"),
        ] {
            assert_eq!(read(Kind::Embed, Some(url)), Ok(Some(player.to_owned())));
        }
    }

    #[test]
    fn others_are_refused() {
        for url in [
            "https://example.org/embed/x",
            "https://youtube.com.evil.org/watch?v=x",
            "https://evil.org/?youtube.com/watch?v=x",
            "https://youtube.com/watch?v=a\"onload=x",
            "https://youtube.com/watch",
            "http://youtu.be/dQw4w9WgXcQ",
            "javascript:alert(1)",
            "https://user:secret@youtu.be/x",
            "",
        ] {
            assert!(read(Kind::Embed, Some(url)).is_err(), "{url}");
        }
        for (kind, url) in [
            (Kind::Ingest, Some("https://example.org")),
            (Kind::Hls, None),
            (Kind::Hls, Some("http://example.org/a.m3u8")),
            (Kind::Hls, Some("data:text/html,x")),
            (Kind::Meeting, Some("https://")),
            (Kind::Meeting, Some("//meet.example.org")),
        ] {
            assert!(read(kind, url).is_err(), "{url:?}");
        }
        let meeting = "https://meet.example.org/हिन्दी?pwd=1";
        assert!(
            read(Kind::Meeting, Some(meeting))
                .unwrap()
                .unwrap()
                .starts_with("https://meet.example.org/%E0")
        );
    }
}
