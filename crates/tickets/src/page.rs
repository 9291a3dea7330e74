//! A ticket to print: one page A4, black on white.

use common::{
    clock::Timestamp,
    ids::RegistrationId,
    money::Paise,
    text::{breaks_a_line, turns_the_direction},
    time::EventTime,
};
use krilla::{
    Document,
    color::luma,
    geom::{PathBuilder, Rect},
    metadata::Metadata,
    page::PageSettings,
    paint::Fill,
    surface::Surface,
};

use crate::{
    fonts::{Fonts, Weight},
    layout::{Setter, Style},
    qr::{Qr, QrError},
};

/// A4, in points.
const PAGE: (f32, f32) = (595.0, 842.0);
const MARGIN: f32 = 56.0;
/// Where the values beside their labels begin.
const VALUES: f32 = MARGIN + 92.0;
/// The side of the QR code, which has to be read from a screen and from a bad printer alike: 62 mm.
const QR_SIDE: f32 = 176.0;

const TITLE: Style = style(Weight::Bold, 24.0);
const HEADING: Style = style(Weight::Bold, 11.0);
const LABEL: Style = style(Weight::Regular, 10.0);
const VALUE: Style = style(Weight::Regular, 12.0);
const CODE: Style = style(Weight::Bold, 20.0);

const fn style(weight: Weight, size: f32) -> Style {
    Style { weight, size }
}

/// The language of a ticket's labels.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tongue {
    /// For all who did not choose another one.
    #[default]
    English,
    /// For the locales `hi` and `hi-IN`.
    Hindi,
}

impl Tongue {
    /// The language of a locale.
    pub fn of(locale: Option<&str>) -> Self {
        let language = locale.and_then(|locale| locale.split(['-', '_']).next());
        match language {
            Some(language) if language.eq_ignore_ascii_case("hi") => Self::Hindi,
            _ => Self::English,
        }
    }

    fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Hindi => "hi",
        }
    }

    fn labels(self) -> Labels {
        match self {
            Self::English => Labels {
                ticket: "TICKET",
                when: "When",
                until: "Until",
                place: "Where",
                join: "Join",
                holder: "Name",
                paid: "Paid",
                registration: "Registration",
                hint: "Show this code at the entrance, on paper or on a screen. It admits one person, once.",
            },
            Self::Hindi => Labels {
                ticket: "टिकट",
                when: "कब",
                until: "समाप्ति",
                place: "कहाँ",
                join: "जुड़ें",
                holder: "नाम",
                paid: "भुगतान",
                registration: "पंजीकरण",
                hint: "प्रवेश पर यह कोड काग़ज़ पर या स्क्रीन पर दिखाएँ। यह एक व्यक्ति के लिए, एक बार मान्य है।",
            },
        }
    }

    fn moment(self, time: EventTime) -> String {
        let words = match self {
            Self::English => time.in_words(),
            Self::Hindi => time.in_hindi_words(),
        };
        format!("{words} ({})", time.zone.name())
    }
}

struct Labels {
    ticket: &'static str,
    when: &'static str,
    until: &'static str,
    place: &'static str,
    join: &'static str,
    holder: &'static str,
    paid: &'static str,
    registration: &'static str,
    hint: &'static str,
}

/// What a ticket says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Printed {
    /// The language of the labels.
    pub tongue: Tongue,
    /// The event's name.
    pub event_name: String,
    /// When it begins.
    pub starts: EventTime,
    /// When it ends.
    pub ends_at: Option<Timestamp>,
    /// Where it is; empty: nowhere.
    pub place: String,
    /// Where it is joined.
    pub join: Option<String>,
    /// Who holds the ticket.
    pub holder: Option<String>,
    /// What was paid.
    pub paid: Paise,
    /// The registration.
    pub registration_id: RegistrationId,
    /// The code for people to type.
    pub code: String,
    /// What the QR code holds.
    pub signed: String,
}

/// Why no page was made.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The code cannot be drawn.
    #[error(transparent)]
    Qr(#[from] QrError),
    /// The page cannot be written.
    #[error("the page cannot be written: {0}")]
    Page(String),
}

/// The ticket as PDF, the same bytes each time.
///
/// # Errors
/// When it cannot be drawn or written.
pub fn pdf(ticket: &Printed, fonts: &Fonts) -> Result<Vec<u8>, PageError> {
    let settings = PageSettings::from_wh(PAGE.0, PAGE.1)
        .ok_or_else(|| PageError::Page("its size is wrong".to_owned()))?;
    let mut document = Document::new();
    let name = one_line(&ticket.event_name);
    document.set_metadata(
        Metadata::new()
            .title(format!("{}: {name}", ticket.tongue.labels().ticket))
            .language(ticket.tongue.tag().to_owned())
            .creator("Organise_Event".to_owned()),
    );
    let mut page = document.start_page_with(settings);
    let mut surface = page.surface();
    draw(&mut surface, ticket, fonts)?;
    surface.finish();
    page.finish();
    document
        .finish()
        .map_err(|error| PageError::Page(format!("{error:?}")))
}

fn draw(surface: &mut Surface<'_>, ticket: &Printed, fonts: &Fonts) -> Result<(), QrError> {
    let (setter, labels) = (Setter::new(fonts), ticket.tongue.labels());
    let width = PAGE.0 - 2.0 * MARGIN;
    let mut y = MARGIN + HEADING.size;
    setter.line(labels.ticket, HEADING).draw(surface, MARGIN, y);
    y += 12.0;
    rule(surface, y);
    y += 12.0;
    for line in setter.lines(&one_line(&ticket.event_name), TITLE, width, 3) {
        y += TITLE.size * 1.3;
        line.draw(surface, MARGIN, y);
    }
    y += 20.0;
    for (label, value) in facts(ticket, &labels) {
        y += VALUE.size * 1.7;
        setter.line(label, LABEL).draw(surface, MARGIN, y);
        for (index, line) in setter
            .lines(&one_line(&value), VALUE, PAGE.0 - MARGIN - VALUES, 3)
            .iter()
            .enumerate()
        {
            if index > 0 {
                y += VALUE.size * 1.4;
            }
            line.draw(surface, VALUES, y);
        }
    }
    y += 28.0;
    rule(surface, y);
    y += 24.0;
    draw_qr(surface, &Qr::new(&ticket.signed)?, MARGIN, y);
    let beside = MARGIN + QR_SIDE + 28.0;
    let mut y = y + CODE.size;
    for line in setter.lines(&ticket.code.replace('-', " "), CODE, PAGE.0 - MARGIN - beside, 4) {
        line.draw(surface, beside, y);
        y += CODE.size * 1.4;
    }
    y += 6.0;
    for line in setter.lines(labels.hint, LABEL, PAGE.0 - MARGIN - beside, 6) {
        y += LABEL.size * 1.5;
        line.draw(surface, beside, y);
    }
    Ok(())
}

fn facts(ticket: &Printed, labels: &Labels) -> Vec<(&'static str, String)> {
    let zone = ticket.starts.zone;
    let end = ticket
        .ends_at
        .map(|at| ticket.tongue.moment(EventTime { at, zone }));
    let paid = (ticket.paid > Paise::ZERO).then(|| ticket.paid.to_string());
    let facts = [
        (labels.when, Some(ticket.tongue.moment(ticket.starts))),
        (labels.until, end),
        (labels.place, Some(ticket.place.clone())),
        (labels.join, ticket.join.clone()),
        (labels.holder, ticket.holder.clone()),
        (labels.paid, paid),
        (labels.registration, Some(ticket.registration_id.to_string())),
    ];
    facts
        .into_iter()
        .filter_map(|(label, value)| Some((label, value.filter(|value| !value.trim().is_empty())?)))
        .collect()
}

/// What could end the line, or turn the direction of the rest of it, is no part of a ticket.
fn one_line(text: &str) -> String {
    let kept: String = text
        .chars()
        .map(|c| if breaks_a_line(c) { ' ' } else { c })
        .filter(|c| !c.is_control() && !turns_the_direction(*c))
        .collect();
    kept.trim().to_owned()
}

fn rule(surface: &mut Surface<'_>, y: f32) {
    fill(surface, Rect::from_xywh(MARGIN, y, PAGE.0 - 2.0 * MARGIN, 0.8));
}

fn draw_qr(surface: &mut Surface<'_>, qr: &Qr, left: f32, top: f32) {
    let module = QR_SIDE / qr.width().max(1) as f32;
    let runs = qr.runs().into_iter().filter_map(|(y, x, length)| {
        Rect::from_xywh(
            left + x as f32 * module,
            top + y as f32 * module,
            length as f32 * module,
            module,
        )
    });
    fill(surface, runs);
}

/// Fills rectangles in black, as one path: drawn one by one, hairs of white would show between them.
fn fill(surface: &mut Surface<'_>, rectangles: impl IntoIterator<Item = Rect>) {
    let mut path = PathBuilder::new();
    for rectangle in rectangles {
        path.push_rect(rectangle);
    }
    if let Some(path) = path.finish() {
        surface.set_fill(Some(Fill {
            paint: luma::Color::black().into(),
            ..Fill::default()
        }));
        surface.draw_path(&path);
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;
    use common::clock::from_millis;

    use super::*;

    fn ticket() -> Printed {
        Printed {
            tongue: Tongue::Hindi,
            event_name: "Rust मेला: नमस्ते दुनिया".into(),
            starts: EventTime {
                at: from_millis(1_801_396_800_000),
                zone: Tz::Asia__Kolkata,
            },
            ends_at: Some(from_millis(1_801_400_400_000)),
            place: "12 MG Road, Bengaluru".into(),
            join: None,
            holder: Some("आशा Rao".into()),
            paid: Paise(49_900),
            registration_id: RegistrationId::lenient("019309a2-0000-7000-8000-000000000003"),
            code: "7KQ2-M4XD-0RZT-9HVB".into(),
            signed: format!("OE1.{}", "x".repeat(240)),
        }
    }

    #[test]
    fn a_ticket_is_the_same_each_time() {
        let fonts = Fonts::default();
        let file = pdf(&ticket(), &fonts).unwrap();
        assert!(file.starts_with(b"%PDF-"));
        assert!(file.len() < 60_000, "{}", file.len());
        assert_eq!(pdf(&ticket(), &fonts).unwrap(), file);
    }

    #[test]
    fn nothing_that_it_says_breaks_it() {
        let fonts = Fonts::default();
        for text in [
            "",
            "\u{202e}\r\n\0",
            "நிகழ்வு 🎉 مرحبا 活动",
            &"W".repeat(5_000),
            &"word ".repeat(2_000),
        ] {
            let printed = Printed {
                event_name: text.into(),
                place: text.into(),
                join: Some(text.into()),
                holder: Some(text.into()),
                ..ticket()
            };
            assert!(pdf(&printed, &fonts).unwrap().len() < 200_000);
        }
        let endless = Printed {
            signed: "x".repeat(5_000),
            ..ticket()
        };
        assert!(matches!(pdf(&endless, &fonts), Err(PageError::Qr(_))));
    }

    #[test]
    fn labels_are_in_the_holders_language() {
        for (locale, tongue) in [
            (None, Tongue::English),
            (Some("hi-IN"), Tongue::Hindi),
            (Some("HI"), Tongue::Hindi),
            (Some("hif"), Tongue::English),
            (Some("ta"), Tongue::English),
        ] {
            assert_eq!(Tongue::of(locale), tongue);
        }
    }
}
