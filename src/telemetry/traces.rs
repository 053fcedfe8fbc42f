//! Traces, sent to an OpenTelemetry collector over OTLP.

use crate::error::{Error, Result};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

/// The variables of which one names the collector, as OpenTelemetry has it.
const ENDPOINT_VARIABLES: [&str; 2] =
    ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// The way of spans to a collector.
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Opens the way that OpenTelemetry's standard variables describe; `None` when they name no
    /// collector. Spans go out in batches, by a thread of their own.
    ///
    /// # Errors
    /// Says which of the variables cannot be.
    pub fn from_environment() -> Result<Option<Self>> {
        if ENDPOINT_VARIABLES.iter().all(|name| std::env::var_os(name).is_none()) {
            return Ok(None);
        }
        // The exporter's client takes the process's; there may be one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let exporter = SpanExporter::builder().with_http().build().map_err(|error| {
            Error::invalid(format!("traces cannot be sent as `OTEL_…` says: {error}"))
                .with_source(error)
        })?;
        let resource = Resource::builder().with_service_name("hookwheel").build();
        let provider =
            SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter);
        Ok(Some(Self(provider.build())))
    }

    /// What takes our spans, whatever is logged; those of the libraries below us stay out.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let tracer = self.0.tracer("hookwheel");
        let ours = filter_fn(|span| span.is_span() && span.target().starts_with("hookwheel"));
        tracing_opentelemetry::layer().with_tracer(tracer).with_filter(ours)
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        // What is left goes out now; a collector that is down costs five seconds and these spans.
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    }
}
