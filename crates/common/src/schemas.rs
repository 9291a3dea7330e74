//! What fields and parameters take, for the API documents only: forms that no Rust type says by itself.

use serde_json::{Value, json};
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{
        KnownFormat, RefOr, SchemaFormat, Type,
        schema::{AnyOfBuilder, Object, ObjectBuilder, Schema},
    },
};

/// A list's page.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the document's view of Page")]
pub struct PageParams {
    /// How many at most; 50 when not given.
    #[param(minimum = 1, maximum = 100, default = 50, example = 50)]
    limit: Option<u32>,
    /// Where the page before ended, from its `Link` header.
    #[param(pattern = "^[A-Za-z0-9_-]{32}$")]
    cursor: Option<String>,
}

/// The key that makes it safe to repeat a call.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "the document's view of Key")]
pub struct KeyParam {
    /// Makes it safe to send the request again: for 24 hours a repeat gets the first answer.
    #[param(rename = "Idempotency-Key", min_length = 1, max_length = 255)]
    key: Option<String>,
}

/// Rupees, as a number or as a decimal string.
pub struct Amount;

impl PartialSchema for Amount {
    fn schema() -> RefOr<Schema> {
        either(
            "Rupees with at most two decimals: a number or a decimal string.",
            json!(500),
            number(Type::Number).minimum(Some(0)).maximum(Some(10_000_000)),
            text(r"^0*(0(\.0+)?|[1-9]\d{0,6}(\.\d{1,2}0*)?|10000000(\.0+)?)$"),
        )
    }
}

impl ToSchema for Amount {}

/// A number of seats, as a number or as a string.
pub struct Seats;

impl PartialSchema for Seats {
    fn schema() -> RefOr<Schema> {
        either(
            "A whole number from 1 to 1,000,000, as a number or a string.",
            json!(100),
            number(Type::Integer).minimum(Some(1)).maximum(Some(1_000_000)),
            text(r"^(1000000|[1-9]\d{0,5})$"),
        )
    }
}

impl ToSchema for Seats {}

const DATE_TIME: SchemaFormat = SchemaFormat::KnownFormat(KnownFormat::DateTime);

/// A moment, or a wall-clock time of some zone.
pub struct Time;

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        either(
            "RFC 3339, or without an offset: then it is a wall-clock time in the event's zone.",
            json!("2030-01-31T18:30:00"),
            formatted(DATE_TIME),
            // A name of the OpenAPI format registry: RFC 3339 without its offset.
            formatted(SchemaFormat::Custom("date-time-local".to_owned())),
        )
    }
}

impl ToSchema for Time {}

/// A moment, or a day; a form that was not filled in sends nothing, which is no bound.
pub struct TimeOrDay;

impl PartialSchema for TimeOrDay {
    fn schema() -> RefOr<Schema> {
        AnyOfBuilder::new()
            .description(Some("RFC 3339, or a date."))
            .item(formatted(DATE_TIME))
            .item(formatted(SchemaFormat::KnownFormat(KnownFormat::Date)))
            .item(Object::builder().schema_type(Type::String).max_length(Some(0)))
            .into()
    }
}

impl ToSchema for TimeOrDay {}

/// A parameter that is one of these. A form that was not filled in sends nothing, which is no choice.
pub fn choice(names: &[&str]) -> Object {
    Object::builder()
        .schema_type(Type::String)
        .enum_values(Some(names.iter().copied().chain([""])))
        .build()
}

/// A text in a form that has a name.
macro_rules! forms {
    ($($(#[$doc:meta])* $name:ident: $format:literal, $description:literal, $example:literal;)+) => {$(
        $(#[$doc])*
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                Object::builder()
                    .schema_type(Type::String)
                    .format(Some(SchemaFormat::Custom($format.to_owned())))
                    .description(Some($description))
                    .examples([json!($example)])
                    .into()
            }
        }

        impl ToSchema for $name {}
    )+};
}

forms! {
    /// A telephone.
    Phone: "phone", "A telephone number with country code. Blanks, hyphens, dots and parentheses are dropped, a leading `00` is `+`.",
        "+91 98765 43210";
    /// A time zone.
    TimeZone: "iana-time-zone", "An IANA time zone.", "Asia/Kolkata";
    /// A language.
    LanguageTag: "language-tag", "A language tag (BCP 47).", "en-IN";
}

fn either(description: &str, example: Value, one: ObjectBuilder, other: ObjectBuilder) -> RefOr<Schema> {
    AnyOfBuilder::new()
        .description(Some(description))
        .examples([example])
        .item(one)
        .item(other)
        .into()
}

fn number(kind: Type) -> ObjectBuilder {
    Object::builder().schema_type(kind)
}

fn text(pattern: &str) -> ObjectBuilder {
    Object::builder().schema_type(Type::String).pattern(Some(pattern))
}

fn formatted(format: SchemaFormat) -> ObjectBuilder {
    Object::builder().schema_type(Type::String).format(Some(format))
}
