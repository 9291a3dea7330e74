//! QR codes, as pictures.

use qrcode::{Color, EcLevel, QrCode, render::svg};

/// The quiet zone around a code, in modules (ISO/IEC 18004).
const QUIET: usize = 4;
/// Pixels of a module.
const MODULE_PIXELS: usize = 8;

/// A text that no QR code can hold, or a picture that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("no QR code can be made: {0}")]
pub struct QrError(String);

/// A QR code.
pub struct Qr(QrCode);

impl Qr {
    /// The code of a text. A seventh of it may be damaged.
    ///
    /// # Errors
    /// When the text is too long.
    pub fn new(text: &str) -> Result<Self, QrError> {
        QrCode::with_error_correction_level(text, EcLevel::M)
            .map(Self)
            .map_err(|error| QrError(error.to_string()))
    }

    /// Modules on each side, without the quiet zone.
    pub fn width(&self) -> usize {
        self.0.width()
    }

    /// The dark modules, line by line, as runs: line, first column, length.
    pub fn runs(&self) -> Vec<(usize, usize, usize)> {
        let width = self.width();
        let colors = self.0.to_colors();
        let mut runs = Vec::new();
        for (y, line) in colors.chunks(width.max(1)).enumerate() {
            let mut x = 0;
            while x < line.len() {
                let dark = line[x..]
                    .iter()
                    .take_while(|color| **color == Color::Dark)
                    .count();
                if dark > 0 {
                    runs.push((y, x, dark));
                }
                x += dark.max(1);
            }
        }
        runs
    }

    /// As SVG.
    pub fn svg(&self) -> String {
        self.0
            .render::<svg::Color<'_>>()
            .min_dimensions(256, 256)
            .quiet_zone(true)
            .build()
    }

    /// As PNG, black and white.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn png(&self) -> Result<Vec<u8>, QrError> {
        let side = (self.width() + 2 * QUIET) * MODULE_PIXELS;
        let bytes_of_line = side.div_ceil(8);
        // A module is as wide as a byte has bits, so that a line of it is a byte.
        let mut pixels = vec![0xff_u8; bytes_of_line * side];
        for (y, x, length) in self.runs() {
            for line in (y + QUIET) * MODULE_PIXELS..(y + QUIET + 1) * MODULE_PIXELS {
                let begin = line * bytes_of_line + x + QUIET;
                if let Some(run) = pixels.get_mut(begin..begin + length) {
                    run.fill(0);
                }
            }
        }
        let side = u32::try_from(side).map_err(|error| QrError(error.to_string()))?;
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, side, side);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::One);
        let written = encoder
            .write_header()
            .and_then(|mut writer| writer.write_image_data(&pixels));
        written.map_err(|error| QrError(error.to_string()))?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_hold_every_dark_module() {
        let qr = Qr::new("OE1.abc").unwrap();
        let dark =
            qr.0.to_colors()
                .iter()
                .filter(|color| **color == Color::Dark)
                .count();
        assert_eq!(qr.runs().iter().map(|(_, _, length)| length).sum::<usize>(), dark);
        assert_eq!(qr.runs()[0], (0, 0, 7));
    }

    #[test]
    fn pictures_are_of_their_kind() {
        let qr = Qr::new("OE1.abc").unwrap();
        assert!(qr.svg().contains("<svg"));
        assert!(qr.png().unwrap().starts_with(b"\x89PNG\r\n\x1a\n"));
        assert!(Qr::new(&"x".repeat(5_000)).is_err());
    }
}
