//! Reads single bits.

use crate::MediaError;

/// Reads bits from the highest to the lowest of each byte; past the end is an error.
pub struct Bits<'a> {
    bytes: &'a [u8],
    /// The next bit.
    at: usize,
    /// What is read, for errors.
    what: &'static str,
}

impl<'a> Bits<'a> {
    pub fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { bytes, at: 0, what }
    }

    /// What is read is not what it should be.
    pub fn malformed(&self) -> MediaError {
        MediaError::Malformed(self.what)
    }

    /// One bit.
    pub fn bit(&mut self) -> Result<bool, MediaError> {
        let byte = self.bytes.get(self.at / 8).ok_or(self.malformed())?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Ok(bit == 1)
    }

    /// The next `count` bits as a number; at most 32.
    pub fn number(&mut self, count: u32) -> Result<u32, MediaError> {
        let mut number = 0;
        for _ in 0..count.min(32) {
            number = number << 1 | u32::from(self.bit()?);
        }
        Ok(number)
    }

    /// Passes over bits.
    pub fn skip(&mut self, count: u32) -> Result<(), MediaError> {
        for _ in 0..count {
            self.bit()?;
        }
        Ok(())
    }

    /// An Exp-Golomb number, `ue(v)` of ITU-T H.264 section 9.1.
    pub fn unsigned(&mut self) -> Result<u32, MediaError> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
        }
        if zeros > 31 {
            return Err(self.malformed());
        }
        Ok((1_u32 << zeros) - 1 + self.number(zeros)?)
    }

    /// A signed Exp-Golomb number, `se(v)` of ITU-T H.264 section 9.1.1.
    pub fn signed(&mut self) -> Result<i64, MediaError> {
        let code = i64::from(self.unsigned()?);
        let size = (code + 1) / 2;
        Ok(if code % 2 == 1 { size } else { -size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_the_standard_writes_them() {
        // 1 | 010 | 011 | 00100 | 00101 | 0101 pads
        let bytes = [0b1010_0110, 0b0100_0010, 0b1010_1000];
        let mut bits = Bits::new(&bytes, "test");
        let read: Vec<u32> = (0..5).map(|_| bits.unsigned().unwrap()).collect();
        assert_eq!(read, [0, 1, 2, 3, 4]);
        let mut bits = Bits::new(&bytes, "test");
        let read: Vec<i64> = (0..5).map(|_| bits.signed().unwrap()).collect();
        assert_eq!(read, [0, 1, -1, 2, -2]);
    }

    #[test]
    fn the_largest_number_fits_and_a_longer_one_is_refused() {
        let largest = [0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(Bits::new(&largest, "test").unsigned(), Ok(u32::MAX - 1));
        for long in [vec![0; 100], vec![0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff]] {
            assert!(Bits::new(&long, "test").unsigned().is_err());
        }
    }
}
