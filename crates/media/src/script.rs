//! What a publisher says of its stream: `onMetaData`, in AMF0 (Adobe, December 2007).

/// Values within values that are read into; `onMetaData` has one level, or two.
const DEEPEST: usize = 8;

/// The kinds of media that a publisher announces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Announced {
    pub audio: bool,
    pub video: bool,
}

/// What a script tag announces; `None` when it is no `onMetaData`, tells of no media, or is broken.
///
/// Nothing is built from it: a few bytes of AMF0 can stand for many values.
pub fn announced(body: &[u8]) -> Option<Announced> {
    let mut reader = Reader { rest: body };
    let mut name = reader.string_value()?;
    // The command to keep it for those who come later.
    if name == b"@setDataFrame" {
        name = reader.string_value()?;
    }
    if name != b"onMetaData" {
        return None;
    }
    match reader.take(1)? {
        [3] => {}
        [8] => {
            reader.take(4)?;
        }
        _ => return None,
    }
    let mut announced = Announced {
        audio: false,
        video: false,
    };
    while let Some(key) = reader.key()? {
        match key {
            b"audiocodecid" => announced.audio = true,
            b"videocodecid" => announced.video = true,
            _ => {}
        }
        reader.skip(0)?;
    }
    (announced.audio || announced.video).then_some(announced)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    /// A string without its marker.
    fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.take(2)?.iter().fold(0, length);
        self.take(length)
    }

    fn string_value(&mut self) -> Option<&'a [u8]> {
        match self.take(1)? {
            [2] => self.string(),
            _ => None,
        }
    }

    /// The name of the next member; `Some(None)` after the last.
    #[expect(clippy::option_option, reason = "the outer one is for a broken object")]
    fn key(&mut self) -> Option<Option<&'a [u8]>> {
        let key = self.string()?;
        if key.is_empty() && self.rest.first() == Some(&9) {
            self.take(1)?;
            return Some(None);
        }
        Some(Some(key))
    }

    /// Passes over a value (sections 2.2 to 2.14).
    fn skip(&mut self, depth: usize) -> Option<()> {
        let deeper = depth + 1;
        if deeper > DEEPEST {
            return None;
        }
        match self.take(1)? {
            [0] => self.take(8).map(drop),
            [1] => self.take(1).map(drop),
            [2] => self.string().map(drop),
            [5 | 6] => Some(()),
            [11] => self.take(10).map(drop),
            [12] => {
                let length = self.take(4)?.iter().fold(0, length);
                self.take(length).map(drop)
            }
            [marker @ (3 | 8)] => {
                if *marker == 8 {
                    self.take(4)?;
                }
                while self.key()?.is_some() {
                    self.skip(deeper)?;
                }
                Some(())
            }
            [10] => {
                let count = self.take(4)?.iter().fold(0, length);
                for _ in 0..count {
                    self.skip(deeper)?;
                }
                Some(())
            }
            _ => None,
        }
    }
}

fn length(sum: usize, byte: &u8) -> usize {
    sum << 8 | usize::from(*byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::metadata;

    #[test]
    fn the_announced_kinds_are_read() {
        for (audio, video) in [(true, true), (true, false), (false, true)] {
            assert_eq!(
                announced(&metadata(audio, video)),
                Some(Announced { audio, video })
            );
        }
        assert_eq!(announced(&metadata(false, false)), None);
    }

    #[test]
    fn what_is_broken_announces_nothing() {
        let whole = metadata(true, true);
        for end in 0..whole.len() {
            assert_eq!(announced(&whole[..end]), None);
        }
        // Arrays in arrays, without end.
        let mut deep = metadata(true, true);
        deep.truncate(deep.len() - 3);
        deep.extend([0, 1, b'x']);
        deep.extend([10, 0, 0, 0, 1].repeat(100_000));
        assert_eq!(announced(&deep), None);
        // Four billion values that are not there.
        let mut many = metadata(true, true);
        many.truncate(many.len() - 3);
        many.extend([0, 1, b'x', 10, 0xff, 0xff, 0xff, 0xff, 5, 5]);
        assert_eq!(announced(&many), None);
    }
}
