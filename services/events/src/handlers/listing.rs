//! The fields that say how an event is listed, as bodies have them.

use common::fields::{Parsed, Value};
use serde_json::{json, value::RawValue};
use utoipa::openapi::{
    SchemaFormat, Type,
    schema::{Array, Object, SchemaType},
};

use crate::domain::listing::{Category, MAX_TAGS, TAG_LENGTH, Tag, Tags, Visibility};

/// The sentence of a choice that there is not.
pub fn one_of(names: &[&str]) -> String {
    format!("must be one of {}", names.join(", "))
}

/// Parses a category.
pub fn category(value: Value<'_>) -> Parsed<Category> {
    let name = value.string()?;
    Category::parse(&name).ok_or_else(|| one_of(&Category::ALL.map(Category::name)))
}

/// Parses who finds an event.
pub fn visibility(value: Value<'_>) -> Parsed<Visibility> {
    let name = value.string()?;
    Visibility::parse(&name).ok_or_else(|| one_of(&Visibility::ALL.map(Visibility::name)))
}

/// Parses an event's tags.
pub fn tags(value: Value<'_>) -> Parsed<Tags> {
    let texts: Vec<Box<RawValue>> = value.object().map_err(|_| "must be an array of tags")?;
    let tag = |text: &RawValue| {
        let text = Value::of(text).line(TAG_LENGTH);
        let text = text.map_err(|why| format!("must be tags, of which each {why}"))?;
        Tag::new(&text).map_err(str::to_owned)
    };
    let tags = texts.iter().map(|text| tag(text));
    Ok(Tags::new(tags.collect::<Result<_, _>>()?)?)
}

/// Parses yes or no.
pub fn yes_or_no(value: Value<'_>) -> Parsed<bool> {
    value.object().map_err(|_| "must be true or false".to_owned())
}

/// Tags in the document.
pub fn tags_schema() -> Array {
    tags_of(Type::Array.into())
}

/// Tags where null is no tags.
pub fn maybe_tags_schema() -> Array {
    tags_of(SchemaType::from_iter([Type::Array, Type::Null]))
}

fn tags_of(schema_type: SchemaType) -> Array {
    let tag = Object::builder()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(TAG_LENGTH))
        .format(Some(SchemaFormat::Custom("tag".to_owned())));
    Array::builder()
        .schema_type(schema_type)
        .items(tag)
        .max_items(Some(MAX_TAGS))
        .examples([json!(["Rust", "meetup"])])
        .build()
}
