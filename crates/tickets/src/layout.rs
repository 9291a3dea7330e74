//! Text on a page: shaped, in as many fonts as it needs, and broken into lines.

use krilla::{
    geom::Point,
    surface::Surface,
    text::{Font, GlyphId, KrillaGlyph},
};
use rustybuzz::UnicodeBuffer;

use crate::fonts::{Fonts, Usable, Weight};

/// How a text is set.
#[derive(Clone, Copy)]
pub(crate) struct Style {
    pub weight: Weight,
    /// Points.
    pub size: f32,
}

/// Sets text.
pub(crate) struct Setter<'a> {
    regular: Vec<Usable<'a>>,
    bold: Vec<Usable<'a>>,
}

/// A line, ready to be drawn.
pub(crate) struct Line {
    runs: Vec<Run>,
    size: f32,
    /// Points.
    pub width: f32,
}

/// Text in one font.
struct Run {
    font: Font,
    text: String,
    glyphs: Vec<KrillaGlyph>,
    /// Of the font size.
    width: f32,
}

impl<'a> Setter<'a> {
    pub fn new(fonts: &'a Fonts) -> Self {
        Self {
            regular: fonts.of(Weight::Regular),
            bold: fonts.of(Weight::Bold),
        }
    }

    fn fonts(&self, weight: Weight) -> &[Usable<'a>] {
        match weight {
            Weight::Regular => &self.regular,
            Weight::Bold => &self.bold,
        }
    }

    /// One line.
    pub fn line(&self, text: &str, style: Style) -> Line {
        let fonts = self.fonts(style.weight);
        let runs: Vec<Run> = parts(text, fonts)
            .into_iter()
            .filter_map(|(font, text)| Some(shaped(fonts.get(font)?, text)))
            .collect();
        Line {
            width: runs.iter().map(|run| run.width).sum::<f32>() * style.size,
            runs,
            size: style.size,
        }
    }

    /// The text in lines of at most `width`; what `most` lines do not hold is left out, with a sign.
    pub fn lines(&self, text: &str, style: Style, width: f32, most: usize) -> Vec<Line> {
        let fits = |text: &str| self.line(text, style).width <= width;
        let mut lines: Vec<String> = Vec::new();
        let mut line = String::new();
        for word in text.split_whitespace() {
            let longer = if line.is_empty() {
                word.to_owned()
            } else {
                format!("{line} {word}")
            };
            if fits(&longer) {
                line = longer;
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            // A word wider than the page is broken between letters.
            for letter in word.chars() {
                let mut longer = line.clone();
                longer.push(letter);
                if !line.is_empty() && !fits(&longer) {
                    lines.push(std::mem::take(&mut line));
                }
                line.push(letter);
            }
            // No text is laid out any further than it is shown.
            if lines.len() > most {
                break;
            }
        }
        if !line.is_empty() {
            lines.push(line);
        }
        if lines.len() > most {
            lines.truncate(most);
            if let Some(last) = lines.last_mut() {
                while !last.is_empty() && !fits(&format!("{last}…")) {
                    last.pop();
                }
                last.push('…');
            }
        }
        lines.iter().map(|line| self.line(line, style)).collect()
    }
}

impl Line {
    /// Draws it from `left`, on the base line `y`.
    pub fn draw(&self, surface: &mut Surface<'_>, left: f32, y: f32) {
        let mut x = left;
        for run in &self.runs {
            surface.draw_glyphs(
                Point::from_xy(x, y),
                &run.glyphs,
                run.font.clone(),
                &run.text,
                self.size,
                false,
            );
            x += run.width * self.size;
        }
    }
}

/// The text in parts, each with the number of the font that has its letters.
fn parts<'t>(text: &'t str, fonts: &[Usable<'_>]) -> Vec<(usize, &'t str)> {
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for (at, letter) in text.char_indices() {
        let current = parts.last().map(|(font, _)| *font);
        // Blanks, marks and joiners stay with their letters.
        let stays =
            current.filter(|font| is_joined(letter) || fonts.get(*font).is_some_and(|font| font.has(letter)));
        let font = stays
            .or_else(|| fonts.iter().position(|font| font.has(letter)))
            .or(current)
            .unwrap_or(0);
        if current != Some(font) {
            parts.push((font, at));
        }
    }
    let ends = parts.iter().skip(1).map(|(_, at)| *at).chain([text.len()]);
    let texts = parts.iter().zip(ends);
    texts
        .filter_map(|((font, begin), end)| Some((*font, text.get(*begin..end)?)))
        .collect()
}

fn is_joined(letter: char) -> bool {
    matches!(letter, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}')
}

fn shaped(font: &Usable<'_>, text: &str) -> Run {
    let mut buffer = UnicodeBuffer::new();
    buffer.push_str(text);
    buffer.guess_segment_properties();
    let shaped = rustybuzz::shape(&font.face, &[], buffer);
    let units = font.font.units_per_em();
    let of_em = |units_long: i32| units_long as f32 / units;
    let infos = shaped.glyph_infos();
    let mut starts: Vec<usize> = infos.iter().map(|info| info.cluster as usize).collect();
    starts.sort_unstable();
    starts.dedup();
    // A cluster ends where the next one begins, whichever way the text runs.
    let end_of = |start: usize| {
        starts
            .iter()
            .copied()
            .find(|next| *next > start)
            .unwrap_or(text.len())
    };
    let glyphs: Vec<KrillaGlyph> = infos
        .iter()
        .zip(shaped.glyph_positions())
        .map(|(info, position)| {
            let start = info.cluster as usize;
            KrillaGlyph::new(
                GlyphId::new(info.glyph_id),
                of_em(position.x_advance),
                of_em(position.x_offset),
                of_em(position.y_offset),
                of_em(position.y_advance),
                start..end_of(start),
                None,
            )
        })
        .collect();
    Run {
        font: font.font.clone(),
        text: text.to_owned(),
        width: glyphs.iter().map(|glyph| glyph.x_advance).sum(),
        glyphs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: Style = Style {
        weight: Weight::Regular,
        size: 12.0,
    };

    #[test]
    fn a_text_takes_the_fonts_that_have_its_letters() {
        let fonts = Fonts::default();
        let setter = Setter::new(&fonts);
        let line = setter.line("Rust मेला 2030", STYLE);
        assert_eq!(
            line.runs.iter().map(|run| run.text.as_str()).collect::<Vec<_>>(),
            ["Rust ", "मेला 2030"]
        );
        assert!(
            line.runs
                .iter()
                .all(|run| run.glyphs.iter().all(|glyph| glyph.glyph_id.to_u32() != 0))
        );
    }

    #[test]
    fn any_text_can_be_set() {
        let fonts = Fonts::default();
        let setter = Setter::new(&fonts);
        for text in [
            "",
            " ",
            "நிகழ்வு 🎉 مرحبا 活动",
            "a\u{301}\u{200d}",
            "\u{fe0f}\u{200d}",
            "\u{10ffff}",
        ] {
            let lines = setter.lines(text, STYLE, 100.0, 3);
            assert!(
                lines.len() <= 3 && lines.iter().all(|line| line.width.is_finite()),
                "{text}"
            );
        }
    }

    #[test]
    fn lines_fit_and_say_what_is_left_out() {
        let fonts = Fonts::default();
        let setter = Setter::new(&fonts);
        let text = format!("{} {}", "word ".repeat(40), "x".repeat(500));
        let lines = setter.lines(&text, STYLE, 120.0, 4);
        assert_eq!(lines.len(), 4);
        assert!(lines.iter().all(|line| line.width <= 120.0));
        let last: String = lines[3].runs.iter().map(|run| run.text.as_str()).collect();
        assert!(last.ends_with('…'), "{last}");
        let whole = setter.lines("one two", STYLE, 120.0, 4);
        assert_eq!(whole.len(), 1);
    }
}
