//! Numbers from samples: percentiles, medians, and how they are written.

/// Percentiles of a set of durations, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Latency {
    /// Half of all were at most this long.
    pub p50: u32,
    /// 99 % were at most this long.
    pub p99: u32,
    /// 99.9 % were at most this long.
    pub p999: u32,
    /// The longest.
    pub max: u32,
}

impl Latency {
    /// Exact percentiles (nearest rank) of `micros`; all zero when it is empty.
    pub fn of(micros: impl Iterator<Item = u32>) -> Self {
        let mut all: Vec<u32> = micros.collect();
        all.sort_unstable();
        let rank = |per_mille: usize| {
            let index = (all.len() * per_mille).div_ceil(1000).saturating_sub(1);
            all.get(index).copied().unwrap_or_default()
        };
        Self {
            p50: rank(500),
            p99: rank(990),
            p999: rank(999),
            max: rank(1000),
        }
    }
}

impl std::fmt::Display for Latency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = |micros| millis(f64::from(micros) / 1000.0);
        write!(
            f,
            "p50 {}, p99 {}, p99.9 {} ms",
            ms(self.p50),
            ms(self.p99),
            ms(self.p999)
        )
    }
}

/// The middle value, or the mean of the two middle ones; 0 of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[half],
        _ => f64::midpoint(sorted[half - 1], sorted[half]),
    }
}

/// Milliseconds with as many digits as mean something.
pub fn millis(ms: f64) -> String {
    if ms < 10.0 {
        format!("{ms:.2}")
    } else {
        format!("{ms:.0}")
    }
}

/// A rate per second, with thousands separated.
pub fn rate(per_second: f64) -> String {
    if per_second < 1000.0 {
        return format!("{per_second:.1}/s");
    }
    format!("{}/s", thousands(per_second.round() as u64))
}

/// A whole number, with thousands separated.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A ratio as a percentage.
pub fn percent(ratio: f64) -> String {
    format!("{:.0} %", ratio * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let all = Latency::of((1..=1000).rev());
        assert_eq!(
            all,
            Latency {
                p50: 500,
                p99: 990,
                p999: 999,
                max: 1000
            }
        );
        assert_eq!(
            Latency::of([7].into_iter()),
            Latency {
                p50: 7,
                p99: 7,
                p999: 7,
                max: 7
            }
        );
        assert_eq!(Latency::of(std::iter::empty()), Latency::default());
    }

    #[test]
    fn medians_and_numbers() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
        assert_eq!(rate(23_456.4), "23,456/s");
        assert_eq!(rate(81.27), "81.3/s");
        assert_eq!(thousands(1_000_000), "1,000,000");
        assert_eq!(thousands(12), "12");
    }
}
