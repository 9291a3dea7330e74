//! The configuration of AAC: `AudioSpecificConfig`, ISO/IEC 14496-3 section 1.6.2.1.

use bytes::Bytes;

use crate::{MediaError, bits::Bits};

const WHAT: &str = "AAC configuration";
/// The most that one has; those with a channel layout of their own have some dozens.
const MOST_BYTES: usize = 512;
/// Sampling rates by their index (table 1.18).
const RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
];
/// Spectral band replication; the object it is added to follows.
const SBR: u32 = 5;
/// Parametric stereo; likewise.
const PS: u32 = 29;

/// What the decoder of an audio track has to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AacConfig {
    /// As it was sent.
    pub bytes: Bytes,
    /// The audio object type: 2 is AAC-LC, 5 and 29 are HE-AAC.
    pub object: u32,
    /// Samples a second, of the core if there is more: the timescale of the track.
    pub rate: u32,
    /// Samples of the core in a frame.
    pub frame: u32,
    /// For the sample entry; decoders go by the configuration.
    pub channels: u16,
}

impl AacConfig {
    /// Reads one.
    pub fn parse(bytes: &[u8]) -> Result<Self, MediaError> {
        let mut bits = Bits::new(bytes, WHAT);
        if bytes.len() > MOST_BYTES {
            return Err(bits.malformed());
        }
        let object = object_type(&mut bits)?;
        let rate = rate(&mut bits)?;
        let channels = bits.number(4)?;
        let mut core = object;
        if matches!(object, SBR | PS) {
            self::rate(&mut bits)?;
            core = object_type(&mut bits)?;
        }
        // The objects of AAC proper: main, LC, SSR, LTP and scalable (section 4.4.1). Others have other frames.
        if !matches!(core, 1..=4 | 6) {
            return Err(bits.malformed());
        }
        let short = bits.bit()?;
        Ok(Self {
            bytes: Bytes::copy_from_slice(bytes),
            object,
            rate,
            frame: if short { 960 } else { 1024 },
            channels: match channels {
                1..=6 => channels as u16,
                7 | 12 | 14 => 8,
                11 => 7,
                // Described in the configuration itself.
                _ => 2,
            },
        })
    }

    /// As in the attribute `CODECS` (RFC 6381 section 3.3).
    pub fn codec(&self) -> String {
        format!("mp4a.40.{}", self.object)
    }
}

fn object_type(bits: &mut Bits<'_>) -> Result<u32, MediaError> {
    Ok(match bits.number(5)? {
        31 => 32 + bits.number(6)?,
        object => object,
    })
}

fn rate(bits: &mut Bits<'_>) -> Result<u32, MediaError> {
    let rate = match bits.number(4)? {
        15 => bits.number(24)?,
        index => *RATES.get(index as usize).ok_or(bits.malformed())?,
    };
    if (7_350..=96_000).contains(&rate) {
        Ok(rate)
    } else {
        Err(bits.malformed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configurations_that_encoders_send_are_read() {
        // (what, bytes, codec, rate, frame, channels)
        let cases: &[(&[u8], &str, u32, u32, u16)] = &[
            (&[0x12, 0x10], "mp4a.40.2", 44_100, 1024, 2),
            (&[0x11, 0x90, 0x56, 0xe5, 0x00], "mp4a.40.2", 48_000, 1024, 2),
            (&[0x12, 0x08], "mp4a.40.2", 44_100, 1024, 1),
            (&[0x12, 0x14], "mp4a.40.2", 44_100, 960, 2),
            // HE-AAC: 22,050 with replication to 44,100.
            (&[0x2b, 0x92, 0x08, 0x00], "mp4a.40.5", 22_050, 1024, 2),
            // The rate written out: 44,100.
            (&[0x17, 0x80, 0x56, 0x22, 0x10], "mp4a.40.2", 44_100, 1024, 2),
        ];
        for (bytes, codec, rate, frame, channels) in cases {
            let config = AacConfig::parse(bytes).unwrap();
            assert_eq!(config.codec(), *codec);
            assert_eq!(
                (config.rate, config.frame, config.channels),
                (*rate, *frame, *channels)
            );
        }
    }

    #[test]
    fn what_is_no_aac_is_refused() {
        for bytes in [
            &[][..],
            &[0x12],
            // No object, a reserved rate, a rate of 0, USAC.
            &[0x02, 0x10],
            &[0x16, 0x90],
            &[0x17, 0x80, 0x00, 0x00, 0x10],
            &[0xf9, 0x46, 0x20, 0x00],
            &[0x12; MOST_BYTES + 1],
        ] {
            assert_eq!(
                AacConfig::parse(bytes),
                Err(MediaError::Malformed(WHAT)),
                "{bytes:x?}"
            );
        }
    }
}
