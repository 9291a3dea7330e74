//! The fonts of tickets: Latin, Greek, Cyrillic and Devanagari are part of the program, and a folder may hold more.

use std::{
    fs,
    path::Path,
    sync::{Arc, LazyLock},
};

use krilla::{Data, text::Font};
use rustybuzz::Face;

/// Larger files are no fonts for a ticket.
const LARGEST: u64 = 32 << 20;
/// The most that are read from the folder.
const MOST: usize = 64;

/// How heavy letters are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Weight {
    Regular,
    Bold,
}

/// A font, for shaping and for the page.
pub(crate) struct Typeface {
    pub font: Font,
    bytes: Bytes,
    weight: Option<Weight>,
}

enum Bytes {
    BuiltIn(&'static [u8]),
    Read(Arc<Vec<u8>>),
}

static BUILT_IN: LazyLock<Vec<Typeface>> = LazyLock::new(|| {
    let files: [(&'static [u8], Weight); 4] = [
        (include_bytes!("../fonts/NotoSans-Regular.ttf"), Weight::Regular),
        (include_bytes!("../fonts/NotoSans-Bold.ttf"), Weight::Bold),
        (
            include_bytes!("../fonts/NotoSansDevanagari-Regular.ttf"),
            Weight::Regular,
        ),
        (
            include_bytes!("../fonts/NotoSansDevanagari-Bold.ttf"),
            Weight::Bold,
        ),
    ];
    let built_in = |(bytes, weight): (&'static [u8], Weight)| {
        Some(Typeface {
            font: Font::new(Data::from(bytes), 0)?,
            bytes: Bytes::BuiltIn(bytes),
            weight: Some(weight),
        })
    };
    files.into_iter().filter_map(built_in).collect()
});

/// The fonts that there are.
#[derive(Clone, Default)]
pub struct Fonts(Arc<Vec<Typeface>>);

impl Fonts {
    /// The built-in fonts, and those in a folder for the letters that the built-in ones lack: `.ttf` and `.otf`, in the order
    /// of their names.
    ///
    /// # Errors
    /// One sentence, when the folder or a font in it cannot be read.
    pub fn with_folder(folder: &Path) -> Result<Self, String> {
        let trouble =
            |error: std::io::Error| format!("TICKET_FONTS: {} cannot be read: {error}.", folder.display());
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).map_err(trouble)? {
            let path = entry.map_err(trouble)?.path();
            let is_font = path
                .extension()
                .is_some_and(|kind| kind.eq_ignore_ascii_case("ttf") || kind.eq_ignore_ascii_case("otf"));
            let small = fs::metadata(&path).is_ok_and(|file| file.is_file() && file.len() <= LARGEST);
            if is_font && small {
                paths.push(path);
            }
        }
        paths.sort();
        paths.truncate(MOST);
        let mut fonts = Vec::with_capacity(paths.len());
        for path in paths {
            let bytes = Arc::new(fs::read(&path).map_err(trouble)?);
            let known = Face::from_slice(&bytes, 0).is_some();
            let font = Font::new(Data::from(bytes.clone()), 0).filter(|_| known);
            fonts.push(Typeface {
                font: font.ok_or_else(|| format!("TICKET_FONTS: {} is no font.", path.display()))?,
                bytes: Bytes::Read(bytes),
                weight: None,
            });
        }
        Ok(Self(Arc::new(fonts)))
    }

    /// The fonts to set a text of this weight in, the first ones first.
    pub(crate) fn of(&self, weight: Weight) -> Vec<Usable<'_>> {
        let built_in = BUILT_IN.iter().filter(|one| one.weight == Some(weight));
        built_in
            .chain(self.0.iter())
            .filter_map(Typeface::usable)
            .collect()
    }
}

/// A font, ready for shaping.
pub(crate) struct Usable<'a> {
    pub font: &'a Font,
    pub face: Face<'a>,
}

impl Typeface {
    fn usable(&self) -> Option<Usable<'_>> {
        let bytes = match &self.bytes {
            Bytes::BuiltIn(bytes) => bytes,
            Bytes::Read(bytes) => bytes.as_slice(),
        };
        Some(Usable {
            font: &self.font,
            face: Face::from_slice(bytes, 0)?,
        })
    }
}

impl Usable<'_> {
    /// Whether it has the letter.
    pub fn has(&self, letter: char) -> bool {
        self.face.glyph_index(letter).is_some()
    }
}
