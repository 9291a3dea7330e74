//! Logs: structured, to standard error, with the request id. `LOG` filters them, `LOG_FORMAT=json` is for machines. And
//! traces, where a collector is named.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, Layer, Registry, filter::filter_fn, fmt, prelude::*};

use crate::{
    settings::Settings,
    traces::{self, Export},
};

/// Starts logging for the process, and sends panics there too. Call once, in `main`; what it gives lives as long as the
/// process.
///
/// # Errors
/// When `LOG` is no filter (`info`, `warn,events=debug`), or the collector's address none.
pub fn start(settings: &Settings, program: &str) -> Result<Option<Export>, String> {
    let hidden = format!("{}=off", traces::TARGET);
    let filter = EnvFilter::try_new(&settings.log)
        .and_then(|filter| Ok(filter.add_directive(hidden.parse()?)))
        .map_err(|error| format!("LOG is not a log filter: {error}"))?;
    let log: Box<dyn Layer<Registry> + Send + Sync> = if settings.log_json {
        fmt::layer()
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .with_writer(std::io::stderr)
            .with_filter(filter)
            .boxed()
    } else {
        fmt::layer()
            .compact()
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr)
            .with_filter(filter)
            .boxed()
    };
    let export = match &settings.otlp_endpoint {
        Some(endpoint) => Some(Export::to(endpoint, program)?),
        None => None,
    };
    let mut layers = vec![log];
    if let Some(export) = &export {
        let spans = tracing_opentelemetry::layer()
            .with_tracer(export.tracer())
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_filter(filter_fn(traces::is_exported));
        layers.push(spans.boxed());
    }
    let started = tracing_subscriber::registry().with(layers).try_init();
    if started.is_ok() {
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            let why = panic.payload_as_str().unwrap_or("unknown");
            tracing::error!(place, why, "a panic");
        }));
    }
    Ok(export)
}
