//! The times of tags, as one line that only goes forward.

/// Where the line begins, in milliseconds: a track may begin earlier than the other, and a picture be shown before it is
/// decoded, and both have to be at 0 or later. Transport streams begin there too.
pub const BEGIN: u64 = 10_000;
/// Tags further apart than this, either way, have not the same beginning.
const JUMP: i32 = 3_000;

/// Makes milliseconds since the beginning of the 32 bits of tags, which begin anywhere and wrap after 49.7 days.
#[derive(Default, Debug)]
pub struct Clock {
    /// The time of the last tag, as it came and on the line.
    last: Option<(u32, u64)>,
}

impl Clock {
    /// The time of the next tag, audio or video, which follow each other about as they are played. `None` when it does not
    /// follow from the last one; then it is to be [set](Self::set).
    pub fn time(&mut self, ms: u32) -> Option<u64> {
        let time = match self.last {
            None => BEGIN,
            Some((last, time)) => {
                // As a signed number this is the shorter way round.
                let step = ms.wrapping_sub(last).cast_signed();
                if !(-JUMP..=JUMP).contains(&step) {
                    return None;
                }
                time.saturating_add_signed(step.into())
            }
        };
        self.last = Some((ms, time));
        Some(time)
    }

    /// Puts a tag where it is to be on the line.
    pub fn set(&mut self, ms: u32, time: u64) {
        self.last = Some((ms, time));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_begin_anywhere_and_wrap() {
        let mut clock = Clock::default();
        let times = [u32::MAX - 20, u32::MAX, 19, 9, 3_009].map(|ms| clock.time(ms));
        let expected = [0, 20, 40, 30, 3_030].map(|ms| Some(BEGIN + ms));
        assert_eq!(times, expected);
    }

    #[test]
    fn a_jump_is_told_and_the_line_goes_on() {
        for jump in [3_101, 1_000_000, u32::MAX - 2_901, 1 << 31, (1 << 31) + 100] {
            let mut clock = Clock::default();
            clock.time(100);
            assert_eq!(clock.time(jump), None, "{jump}");
            clock.set(jump, BEGIN + 40);
            assert_eq!(clock.time(jump.wrapping_add(20)), Some(BEGIN + 60));
        }
    }
}
