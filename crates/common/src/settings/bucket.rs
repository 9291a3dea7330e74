//! Where recordings are kept: files, or a bucket of S3 or of a store that speaks its protocol.

use secrecy::SecretString;

use super::Reader;

/// A bucket.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// What the names of all objects begin with; may be empty.
    pub prefix: String,
    /// The store's address; `None`: Amazon's.
    pub endpoint: Option<String>,
    /// The region.
    pub region: String,
    /// Its key; `None`: what the environment gives (`AWS_*`, or the machine's role).
    pub key: Option<BucketKey>,
}

/// A key to a bucket.
#[derive(Clone, Debug)]
pub struct BucketKey {
    /// The public half.
    pub id: String,
    /// The secret half.
    pub secret: SecretString,
}

impl Reader<'_> {
    pub(super) fn bucket(&mut self) -> Option<Bucket> {
        let place = self.optional("STREAM_STORE", "s3://bucket or s3://bucket/prefix", parse);
        let endpoint = self.url("S3_ENDPOINT");
        let region = self.text("S3_REGION").unwrap_or_default();
        let key = match (self.text("S3_ACCESS_KEY_ID"), self.text("S3_SECRET_ACCESS_KEY")) {
            (Some(id), Some(secret)) => Some(BucketKey {
                id,
                secret: SecretString::from(secret),
            }),
            (None, None) => None,
            _ => {
                let why = "S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY must be set together";
                self.errors.push(why.to_owned());
                None
            }
        };
        let (name, prefix) = place?;
        Some(Bucket {
            name,
            prefix,
            endpoint,
            region,
            key,
        })
    }
}

/// Name and prefix. The rules for names are Amazon's; a prefix has what needs no escape in an address.
fn parse(text: &str) -> Option<(String, String)> {
    let place = text.strip_prefix("s3://")?.trim_end_matches('/');
    let (name, prefix) = place.split_once('/').unwrap_or((place, ""));
    let in_name =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    let in_prefix = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_part = |part: &str| !part.is_empty() && !part.starts_with('.') && part.bytes().all(in_prefix);
    let fits = (3..=63).contains(&name.len())
        && name.bytes().all(in_name)
        && (prefix.is_empty() || prefix.split('/').all(is_part));
    fits.then(|| (name.to_owned(), prefix.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_bucket_may_have_a_prefix() {
        let found = |text| parse(text).map(|(name, prefix)| format!("{name} {prefix}"));
        for (text, name_and_prefix) in [
            ("s3://recordings", "recordings "),
            ("s3://recordings/", "recordings "),
            ("s3://my.events-2/a/B_c", "my.events-2 a/B_c"),
        ] {
            assert_eq!(found(text).as_deref(), Some(name_and_prefix));
        }
        for text in [
            "",
            "s3://",
            "s3://ab",
            "s3://Recordings",
            "s3://r ec",
            "s3://rec/../x",
            "s3://rec//x",
            "https://rec",
            "/data",
            "s3://\u{0907}\u{0935}\u{0947}",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
