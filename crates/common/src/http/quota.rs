//! How far limits are used up, in the headers of answers (IETF draft-ietf-httpapi-ratelimit-headers, version 10).

use std::{fmt::Write, time::Duration};

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::context::Quota;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LEFT: HeaderName = HeaderName::from_static("ratelimit");

/// Writes `RateLimit-Policy` and `RateLimit`, unless the service behind has.
pub fn mark(headers: &mut HeaderMap, quotas: &[Quota]) {
    if quotas.is_empty() || headers.contains_key(&LEFT) {
        return;
    }
    let (mut policy, mut left) = (String::new(), String::new());
    for Quota {
        policy: name,
        quota,
        window,
        left: remaining,
        reset,
    } in quotas
    {
        let comma = if policy.is_empty() { "" } else { ", " };
        // Writing to memory cannot fail.
        let _ = write!(policy, "{comma}\"{name}\";q={quota};w={}", seconds(*window));
        let _ = write!(left, "{comma}\"{name}\";r={remaining};t={}", seconds(*reset));
    }
    for (name, value) in [(POLICY, policy), (LEFT, left)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
}

fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_written_as_structured_fields() {
        let quota = |policy, left, millis| Quota {
            policy,
            quota: 500,
            window: Duration::from_secs(60),
            left,
            reset: Duration::from_millis(millis),
        };
        let mut headers = HeaderMap::new();
        mark(&mut headers, &[]);
        assert!(headers.is_empty());
        mark(
            &mut headers,
            &[quota("login", 499, 120), quota("failures", 0, 2_000)],
        );
        assert_eq!(headers[&POLICY], "\"login\";q=500;w=60, \"failures\";q=500;w=60");
        assert_eq!(headers[&LEFT], "\"login\";r=499;t=1, \"failures\";r=0;t=2");
        mark(&mut headers, &[quota("another", 1, 1)]);
        assert!(
            !headers[&LEFT].to_str().unwrap().contains("another"),
            "the service's own stay"
        );
    }
}
