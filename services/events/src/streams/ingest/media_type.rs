//! Telling media from anything else by how it begins.

/// The length of a packet of MPEG-TS, and how each begins (ISO/IEC 13818-1).
const PACKET: usize = 188;
const SYNC: u8 = 0x47;
/// How a fragment or an initialization may begin (ISO/IEC 14496-12, 8.16 and 4.3).
const BOXES: [&[u8; 4]; 7] = [b"ftyp", b"styp", b"moof", b"sidx", b"emsg", b"prft", b"free"];

/// Whether it is MPEG-TS.
pub fn is_ts(bytes: &[u8]) -> bool {
    bytes.len() >= PACKET && bytes.iter().step_by(PACKET).take(8).all(|byte| *byte == SYNC)
}

/// Whether it is a fragment or an initialization of an MP4.
pub fn is_mp4(bytes: &[u8]) -> bool {
    bytes
        .get(4..8)
        .is_some_and(|kind| BOXES.iter().any(|known| kind == *known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_is_told_by_its_beginning() {
        let mut ts = vec![0; 3 * PACKET];
        assert!(!is_ts(&ts));
        (0..3).for_each(|packet| ts[packet * PACKET] = SYNC);
        assert!(is_ts(&ts) && !is_mp4(&ts));
        let mp4 = b"\0\0\0\x18styphlsf";
        assert!(is_mp4(mp4) && !is_ts(mp4));
        for other in [&b""[..], b"\x47", b"<html>", b"\0\0\0\x18evil"] {
            assert!(!is_ts(other) && !is_mp4(other));
        }
    }
}
