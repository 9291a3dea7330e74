//! H.264: its configuration (`avcC`, ISO/IEC 14496-15 section 5.3.3.1), the size of its pictures (the sequence parameter
//! set, ITU-T H.264 section 7.3.2.1.1) and what is in a frame.

use bytes::Bytes;

use crate::{MediaError, bits::Bits};

const WHAT: &str = "H.264 configuration";
/// The most that one has; a usual one has some fifty.
const MOST_BYTES: usize = 64 * 1024;
/// Pixels of a side, four times those of 4K.
const LONGEST_SIDE: u32 = 16_384;
/// Profiles whose parameter set tells of chroma, depth and scaling.
const HIGH_PROFILES: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

/// What the decoder of a video track has to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AvcConfig {
    /// The `avcC` as it was sent.
    pub bytes: Bytes,
    /// Profile, constraints and level.
    pub profile: [u8; 3],
    /// Pixels, after cropping.
    pub width: u32,
    /// Likewise.
    pub height: u32,
    /// Bytes of the length before each unit of a frame: 1, 2 or 4.
    length_bytes: usize,
}

impl AvcConfig {
    /// Reads one.
    pub fn parse(bytes: &[u8]) -> Result<Self, MediaError> {
        let malformed = MediaError::Malformed(WHAT);
        let [1, _, _, _, lengths, sets, rest @ ..] = bytes else {
            return Err(malformed);
        };
        let length_bytes = usize::from(lengths & 3) + 1;
        if bytes.len() > MOST_BYTES || length_bytes == 3 {
            return Err(malformed);
        }
        let mut rest = rest;
        let mut first = None;
        for _ in 0..sets & 0x1f {
            let set = parameter_set(&mut rest)?;
            first.get_or_insert(set);
        }
        let (pictures, mut rest) = rest.split_first().ok_or(MediaError::Malformed(WHAT))?;
        for _ in 0..*pictures {
            parameter_set(&mut rest)?;
        }
        let set = first.ok_or(MediaError::Malformed(WHAT))?;
        let &[_, profile, constraints, level, ..] = set else {
            return Err(malformed);
        };
        let (width, height) = picture_size(set)?;
        Ok(Self {
            bytes: Bytes::copy_from_slice(bytes),
            profile: [profile, constraints, level],
            width,
            height,
            length_bytes,
        })
    }

    /// As in the attribute `CODECS` (RFC 6381 section 3.3).
    pub fn codec(&self) -> String {
        let [profile, constraints, level] = self.profile;
        format!("avc1.{profile:02x}{constraints:02x}{level:02x}")
    }

    /// What is in a frame; its lengths have to add up.
    pub fn units(&self, mut frame: &[u8]) -> Result<Units, MediaError> {
        let malformed = MediaError::Malformed("H.264 frame");
        let mut units = Units::default();
        while !frame.is_empty() {
            let (length, rest) = frame
                .split_at_checked(self.length_bytes)
                .ok_or(malformed.clone())?;
            let length = length
                .iter()
                .fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
            let (unit, rest) = rest.split_at_checked(length).ok_or(malformed.clone())?;
            // Table 7-1: 1 to 5 are slices of a picture, 5 those of one after which the decoder may start.
            match unit.first().map(|header| header & 0x1f) {
                Some(5) => (units.picture, units.idr) = (true, true),
                Some(1..=4) => units.picture = true,
                _ => {}
            }
            frame = rest;
        }
        Ok(units)
    }
}

/// What is in a frame.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Units {
    /// Some of a picture, not only what belongs to one.
    pub picture: bool,
    /// A picture that needs none before it.
    pub idr: bool,
}

/// Takes a parameter set with its length off the front.
fn parameter_set<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], MediaError> {
    let malformed = MediaError::Malformed(WHAT);
    let (length, after) = rest.split_first_chunk().ok_or(malformed.clone())?;
    let (set, after) = after
        .split_at_checked(u16::from_be_bytes(*length).into())
        .ok_or(malformed)?;
    *rest = after;
    Ok(set)
}

/// Width and height that a sequence parameter set tells of.
fn picture_size(set: &[u8]) -> Result<(u32, u32), MediaError> {
    let set = without_escapes(set);
    let mut bits = Bits::new(&set, WHAT);
    bits.skip(8)?;
    let profile = bits.number(8)? as u8;
    bits.skip(16)?;
    bits.unsigned()?;
    let mut chroma = 1;
    if HIGH_PROFILES.contains(&profile) {
        chroma = bits.unsigned()?;
        if chroma == 3 {
            bits.skip(1)?;
        }
        bits.unsigned()?;
        bits.unsigned()?;
        bits.skip(1)?;
        if bits.bit()? {
            for list in 0..if chroma == 3 { 12 } else { 8 } {
                if bits.bit()? {
                    scaling_list(&mut bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
    }
    bits.unsigned()?;
    match bits.unsigned()? {
        0 => {
            bits.unsigned()?;
        }
        1 => {
            bits.skip(1)?;
            bits.signed()?;
            bits.signed()?;
            for _ in 0..bits.unsigned()? {
                bits.signed()?;
            }
        }
        _ => {}
    }
    bits.unsigned()?;
    bits.skip(1)?;
    let across = bits.unsigned()?;
    let down = bits.unsigned()?;
    let fields = if bits.bit()? { 1 } else { 2 };
    if fields == 2 {
        bits.skip(1)?;
    }
    bits.skip(1)?;
    let mut crop = [0; 4];
    if bits.bit()? {
        for side in &mut crop {
            *side = bits.unsigned()?;
        }
    }
    // Cropping counts in samples of chroma, and of both fields (section 7.4.2.1.1).
    let (unit_across, unit_down) = match chroma {
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    };
    let side = |blocks: u32, fields: u32, crop: [u32; 2], unit: u32| {
        let full = blocks.checked_add(1)?.checked_mul(16 * fields)?;
        let cropped = crop[0].checked_add(crop[1])?.checked_mul(unit * fields)?;
        full.checked_sub(cropped)
            .filter(|side| (1..=LONGEST_SIDE).contains(side))
    };
    let width = side(across, 1, [crop[0], crop[1]], unit_across);
    let height = side(down, fields, [crop[2], crop[3]], unit_down);
    width.zip(height).ok_or(bits.malformed())
}

/// Passes over a scaling list (section 7.3.2.1.1.1).
fn scaling_list(bits: &mut Bits<'_>, size: u32) -> Result<(), MediaError> {
    let (mut last, mut next) = (8_i64, 8_i64);
    for _ in 0..size {
        if next != 0 {
            next = (last + bits.signed()?).rem_euclid(256);
        }
        if next != 0 {
            last = next;
        }
    }
    Ok(())
}

/// Takes out the bytes that keep start codes from appearing in a unit (section 7.4.1).
fn without_escapes(unit: &[u8]) -> Vec<u8> {
    let mut zeros = 0;
    let mut plain = Vec::with_capacity(unit.len());
    for &byte in unit {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        plain.push(byte);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{AVCC_360P, avcc};

    #[test]
    fn profile_and_size_are_read() {
        let config = AvcConfig::parse(AVCC_360P).unwrap();
        assert_eq!(config.codec(), "avc1.64001e");
        assert_eq!((config.width, config.height), (640, 360));
        // Baseline, 320 x 240, written by hand.
        let config = AvcConfig::parse(&avcc(20, 15)).unwrap();
        assert_eq!(config.codec(), "avc1.42c01e");
        assert_eq!((config.width, config.height), (320, 240));
    }

    #[test]
    fn a_broken_configuration_is_refused() {
        let whole = AVCC_360P;
        for end in 0..whole.len() - 4 {
            assert!(AvcConfig::parse(&whole[..end]).is_err(), "{end}");
        }
        for (at, byte) in [(0, 2), (4, 0xfe), (5, 0xe0), (6, 0xff)] {
            let mut broken = whole.to_vec();
            broken[at] = byte;
            assert!(AvcConfig::parse(&broken).is_err(), "{at}");
        }
    }

    #[test]
    fn the_lengths_of_a_frame_have_to_add_up() {
        let config = AvcConfig::parse(AVCC_360P).unwrap();
        let units = |bytes: &[u8]| config.units(bytes);
        let picture = |idr| Ok(Units { picture: true, idr });
        assert_eq!(units(&[0, 0, 0, 1, 0x65]), picture(true));
        assert_eq!(units(&[0, 0, 0, 1, 9, 0, 0, 0, 2, 0x41, 0]), picture(false));
        assert_eq!(units(&[0, 0, 0, 0, 0, 0, 0, 1, 6]), Ok(Units::default()));
        for broken in [
            &[0, 0, 0][..],
            &[0, 0, 0, 2, 0x65],
            &[0xff, 0xff, 0xff, 0xff, 0x65],
            &[0, 0, 0, 1, 0x65, 0],
        ] {
            assert!(units(broken).is_err());
        }
    }
}
