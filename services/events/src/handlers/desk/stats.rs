//! `GET /api/organiser/events/{id}/stats`

use axum::{Json, extract::State};
use common::{
    extract::{Caller, Params, PathId, organizer_only},
    money::Rupees,
    problem::ApiError,
    schemas::choice,
    time::utc,
};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema, openapi::Object};

use super::desk_of;
use crate::{
    app::App,
    domain::counts::{Bucket, Counts, series, total},
    handlers::no_such_event,
};

/// The query parameters.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the document's view of Bucket")]
pub struct BucketParam {
    /// How long a bucket of the series is; by default a day.
    #[param(schema_with = buckets, required = false)]
    bucket: Option<String>,
}

fn buckets() -> Object {
    choice(&["hour", "day"])
}

/// How an event's sales have come about.
#[derive(Serialize, ToSchema)]
pub struct StatsView {
    /// Seats; null: unlimited.
    #[schema(required = true, example = 100)]
    capacity: Option<u32>,
    /// Live registrations, including unpaid holds.
    #[schema(example = 42)]
    registered: u64,
    /// Of those, the unpaid holds.
    #[schema(example = 2)]
    pending_payment: u64,
    /// Of those, the confirmed ones.
    #[schema(example = 40)]
    confirmed: u64,
    /// Registrations that were cancelled, by whom ever.
    #[schema(example = 3)]
    cancelled: u64,
    /// Tickets that were used.
    #[schema(example = 0)]
    checked_in: u64,
    /// People in line for a seat, those to whom one is offered included.
    #[schema(example = 0)]
    waitlist: u32,
    /// What was paid and does not go back; rupees.
    #[schema(value_type = f64, example = 20000)]
    revenue: Rupees,
    /// What goes back, or went; rupees.
    #[schema(value_type = f64, example = 1500)]
    refunded: Rupees,
    /// What happened, bucket by bucket; buckets in which nothing did are left out.
    series: Vec<BucketView>,
}

/// What happened in an hour or a day.
#[derive(Serialize, ToSchema)]
pub struct BucketView {
    /// Its beginning, UTC: where an hour or a day of the event's zone begins.
    #[schema(format = DateTime, example = "2030-01-30T18:30:00.000Z")]
    at: String,
    /// Registrations that were confirmed.
    #[schema(example = 5)]
    confirmed: i64,
    /// Registrations that were cancelled.
    #[schema(example = 1)]
    cancelled: i64,
    /// What was paid, less what goes back; rupees.
    #[schema(value_type = f64, example = 2000)]
    revenue: Rupees,
    /// Check-ins, less those that were undone.
    #[schema(example = 0)]
    checked_in: i64,
}

common::problems!(
    Problems:
    organizer_only(),
    no_such_event(),
    ApiError::invalid_field("bucket", "must be hour or day"),
);

/// How one of your events sells: totals, and what happened by the hour or day.
#[utoipa::path(
    get,
    path = "/api/organiser/events/{id}/stats",
    operation_id = "getStats",
    tag = "desk",
    params(
        ("id" = String, Path, description = "The event's id", example = "019309a2-0000-7000-8000-000000000002"),
        BucketParam,
    ),
    responses(
        (status = 200, description = "The numbers", body = StatsView),
        Problems,
    ),
    security(("bearer" = []))
)]
pub async fn stats(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    mut params: Params,
) -> Result<Json<StatsView>, ApiError> {
    let bucket = params.get("bucket", |text| match text {
        "hour" => Ok(Bucket::Hour),
        "day" => Ok(Bucket::Day),
        _ => Err("must be hour or day".to_owned()),
    });
    params.finish()?;
    let event = desk_of(&app, &caller, &id).await?;
    let counted = app.store.counted(event.id, app.clock.now()).await?;
    let total = total(&counted.hours);
    let series = series(&counted.hours, event.time.zone, bucket.unwrap_or(Bucket::Day));
    let number = |count: i64| count.max(0).unsigned_abs();
    let confirmed = number(total.confirmed - total.ended);
    Ok(Json(StatsView {
        capacity: event.capacity,
        registered: counted.pending_payment + confirmed,
        pending_payment: counted.pending_payment,
        confirmed,
        cancelled: number(total.cancelled),
        checked_in: number(total.checked_in),
        waitlist: event.line.listed(),
        revenue: Rupees(total.revenue()),
        refunded: Rupees(total.refunded),
        series: series.into_iter().map(BucketView::from).collect(),
    }))
}

impl From<(common::clock::Timestamp, Counts)> for BucketView {
    fn from((at, counts): (common::clock::Timestamp, Counts)) -> Self {
        Self {
            at: utc(at),
            confirmed: counts.confirmed,
            cancelled: counts.cancelled,
            revenue: Rupees(counts.revenue()),
            checked_in: counts.checked_in,
        }
    }
}
