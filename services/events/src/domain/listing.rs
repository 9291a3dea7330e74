//! How an event is listed and found: its category, tags and picture, and whether lists have it at all.

use common::text::{folded, nfkc};

/// The most tags of an event.
pub const MAX_TAGS: usize = 10;
/// The most characters of a tag.
pub const TAG_LENGTH: usize = 30;

/// What an event is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Theatre, dance, painting, film.
    Arts,
    /// Trade and careers.
    Business,
    /// For a good cause.
    Charity,
    /// Meetings of neighbours and of those who share something, culture and religion included.
    Community,
    /// Lessons and workshops.
    Education,
    /// For children and those who come with them.
    Family,
    /// Eating and drinking.
    FoodDrink,
    /// Body and mind.
    Health,
    /// Concerts and clubs.
    Music,
    /// To take part in, or to watch.
    Sports,
    /// Science and technology.
    Technology,
    /// None of these; the default.
    #[default]
    Other,
}

impl Category {
    /// Every category.
    pub const ALL: [Self; 12] = [
        Self::Arts,
        Self::Business,
        Self::Charity,
        Self::Community,
        Self::Education,
        Self::Family,
        Self::FoodDrink,
        Self::Health,
        Self::Music,
        Self::Sports,
        Self::Technology,
        Self::Other,
    ];

    /// The name in stores and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Arts => "arts",
            Self::Business => "business",
            Self::Charity => "charity",
            Self::Community => "community",
            Self::Education => "education",
            Self::Family => "family",
            Self::FoodDrink => "food_drink",
            Self::Health => "health",
            Self::Music => "music",
            Self::Sports => "sports",
            Self::Technology => "technology",
            Self::Other => "other",
        }
    }

    /// The category of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.name() == name)
    }
}

/// Who finds an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Lists and searches have it.
    #[default]
    Public,
    /// Who knows its id.
    Unlisted,
}

impl Visibility {
    /// Every visibility.
    pub const ALL: [Self; 2] = [Self::Public, Self::Unlisted];

    /// The name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Unlisted => "unlisted",
        }
    }

    /// The visibility of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|visibility| visibility.name() == name)
    }
}

/// A word or a few that an event is found by: NFKC, with single blanks, as it was written otherwise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tag(String);

impl Tag {
    /// The tag of a text of one line.
    ///
    /// # Errors
    /// Why it is none.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        let words: Vec<String> = nfkc(text).split_whitespace().map(str::to_owned).collect();
        let tag = Self(words.join(" "));
        if tag.0.chars().count() > TAG_LENGTH {
            return Err("must be tags of at most 30 characters");
        }
        // A stroke or an accent alone is nothing to compare.
        if tag.key().trim().is_empty() {
            return Err("must be tags with something to see");
        }
        Ok(tag)
    }

    /// As it is shown.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// As it is compared: without case, accents and what is not seen.
    pub fn key(&self) -> String {
        folded(&self.0)
    }
}

/// An event's tags, each once.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tags(Vec<Tag>);

impl Tags {
    /// These, in their order; of those that are compared alike the first.
    ///
    /// # Errors
    /// When they are too many.
    pub fn new(tags: Vec<Tag>) -> Result<Self, &'static str> {
        if tags.len() > MAX_TAGS {
            return Err("must be at most 10 tags");
        }
        let mut kept: Vec<Tag> = Vec::new();
        for tag in tags {
            if kept.iter().all(|one| one.key() != tag.key()) {
                kept.push(tag);
            }
        }
        Ok(Self(kept))
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &Tag> {
        self.0.iter()
    }

    /// As they are shown.
    pub fn texts(&self) -> Vec<String> {
        self.iter().map(|tag| tag.0.clone()).collect()
    }

    /// Those of [`Tags::texts`], as a store has kept them; `None`: they are none.
    pub fn from_store(texts: Vec<String>) -> Option<Self> {
        let tags = texts.iter().map(|text| Tag::new(text));
        Self::new(tags.collect::<Result<_, _>>().ok()?).ok()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How an event is listed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Listing {
    /// What it is about.
    pub category: Category,
    /// What it is found by.
    pub tags: Tags,
    /// The address of a picture, https.
    pub image_url: Option<String>,
    /// Who finds it.
    pub visibility: Visibility,
}

/// A change of it; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct ListingPatch {
    /// New category.
    pub category: Option<Category>,
    /// New tags, in place of all.
    pub tags: Option<Tags>,
    /// New picture; `Some(None)`: none.
    pub image_url: Option<Option<String>>,
    /// New visibility.
    pub visibility: Option<Visibility>,
}

impl Listing {
    /// The listing after a change.
    #[must_use]
    pub fn patched(&self, patch: &ListingPatch) -> Self {
        let patch = patch.clone();
        Self {
            category: patch.category.unwrap_or(self.category),
            tags: patch.tags.unwrap_or_else(|| self.tags.clone()),
            image_url: patch.image_url.unwrap_or_else(|| self.image_url.clone()),
            visibility: patch.visibility.unwrap_or(self.visibility),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tags(texts: &[&str]) -> Result<Vec<String>, &'static str> {
        let tags = texts
            .iter()
            .map(|text| Tag::new(text))
            .collect::<Result<_, _>>()?;
        Tags::new(tags).map(|tags| tags.texts())
    }

    #[test]
    fn a_name_is_read_as_it_is_written() {
        for category in Category::ALL {
            assert_eq!(Category::parse(category.name()), Some(category));
            assert_eq!(serde_json::json!(category), category.name());
        }
        for visibility in Visibility::ALL {
            assert_eq!(Visibility::parse(visibility.name()), Some(visibility));
            assert_eq!(serde_json::json!(visibility), visibility.name());
        }
        assert_eq!(Category::parse("Music"), None);
    }

    #[test]
    fn tags_are_kept_once() {
        let kept = tags(&["Rust", "ｒｕｓｔ", " open \u{3000} air ", "RUST", "Café", "cafe"]);
        assert_eq!(kept.unwrap(), ["Rust", "open air", "Café"]);
        let eleven: Vec<String> = (0..11).map(|n| format!("t{n}")).collect();
        let eleven: Vec<&str> = eleven.iter().map(String::as_str).collect();
        assert!(tags(&eleven).is_err() && tags(&eleven[1..]).is_ok());
        assert!(tags(&["rust"; 11]).is_err(), "as many as were sent count");
        assert!(tags(&["x".repeat(31).as_str()]).is_err() && tags(&["é".repeat(30).as_str()]).is_ok());
        for nothing in ["", " ", "\u{640}", "\u{301}"] {
            assert!(tags(&[nothing]).is_err(), "{nothing:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_kept_is_read_back(texts in prop::collection::vec("\\PC{1,40}", 0..12)) {
            let tags: Vec<Tag> = texts.iter().filter_map(|text| Tag::new(text).ok()).collect();
            if let Ok(tags) = Tags::new(tags) {
                prop_assert_eq!(Tags::from_store(tags.texts()), Some(tags));
            }
        }

        #[test]
        fn a_tag_is_found_however_it_is_written(text in "[a-zA-Zäöüéßøñ ]{1,30}") {
            if let Ok(tag) = Tag::new(&text) {
                prop_assert_eq!(Tag::new(&text.to_lowercase()).unwrap().key(), tag.key());
            }
        }
    }
}
