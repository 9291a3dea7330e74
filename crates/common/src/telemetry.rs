//! Logs: structured, to standard error, with the request id. `LOG` filters them, `LOG_FORMAT=json` is for machines. And
//! traces, where a collector is named.

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets, filter_fn},
    fmt,
    prelude::*,
    registry::LookupSpan,
    util::TryInitError,
};

use crate::{
    context::traces::{self, Export},
    settings::Settings,
};

/// Starts logging for the process, and sends panics there too. Call once, in `main`; what it gives lives as long as the
/// process.
///
/// # Errors
/// When `LOG` is no filter (`info`, `warn,events=debug`), or the collector's address none.
pub fn start(settings: &Settings, program: &str) -> Result<Option<Export>, String> {
    let filter: Targets = settings
        .log
        .parse()
        .map_err(|error| format!("LOG is not a log filter: {error}"))?;
    // Below `info` the WebSocket library logs what clients say, tokens and tickets with it.
    let filter = filter
        .with_target(traces::TARGET, LevelFilter::OFF)
        .with_target("tungstenite", LevelFilter::INFO)
        .with_target("tokio_tungstenite", LevelFilter::INFO);
    let Some(endpoint) = &settings.otlp_endpoint else {
        // One filter before all costs less than one for each layer.
        let log = log(settings.log_json);
        log_panics(tracing_subscriber::registry().with(filter).with(log).try_init());
        return Ok(None);
    };
    let export = Export::to(endpoint, program)?;
    let spans = tracing_opentelemetry::layer()
        .with_tracer(export.tracer())
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_filter(filter_fn(traces::is_exported));
    let log = log(settings.log_json).with_filter(filter);
    log_panics(tracing_subscriber::registry().with(log).with(spans).try_init());
    Ok(Some(export))
}

fn log<S>(json: bool) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    if json {
        fmt::layer()
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .with_writer(std::io::stderr)
            .boxed()
    } else {
        fmt::layer()
            .compact()
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr)
            .boxed()
    }
}

/// Panics go to the log, once there is one.
fn log_panics(started: Result<(), TryInitError>) {
    if started.is_err() {
        return;
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let why = panic.payload_as_str().unwrap_or("unknown");
        tracing::error!(place, why, "a panic");
    }));
}
