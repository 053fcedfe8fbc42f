//! Where log lines and traces of this process go.

use crate::config::{LOG_VARIABLE, LogFormat};
use crate::error::Result;
#[cfg(feature = "otlp")]
use crate::telemetry::Traces;
use std::io::{self, IsTerminal};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

/// Keeps the way of traces open; what is left goes out when this is dropped.
pub struct Logging {
    #[cfg(feature = "otlp")]
    _traces: Option<Traces>,
}

/// What commands log that have no configuration: warnings, unless `HOOKWHEEL_LOG` says otherwise.
pub fn usual_filter() -> EnvFilter {
    let filter = EnvFilter::builder().with_env_var(LOG_VARIABLE);
    filter.with_default_directive(LevelFilter::WARN.into()).from_env_lossy()
}

/// Logs to standard error from now on. To be called once.
pub fn start(filter: EnvFilter, format: LogFormat) -> Result<Logging> {
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let subscriber = tracing_subscriber::registry().with(lines.with_filter(filter));
    #[cfg(feature = "otlp")]
    {
        let traces = Traces::from_environment()?;
        subscriber.with(traces.as_ref().map(Traces::layer)).init();
        Ok(Logging { _traces: traces })
    }
    #[cfg(not(feature = "otlp"))]
    {
        subscriber.init();
        Ok(Logging {})
    }
}
