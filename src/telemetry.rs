//! Logs: one JSON line each on standard output, which Lambda hands to the type owner's log group.
//!
//! Models, credentials and type configurations are never logged. `LOG_LEVEL` (error, warn, info, debug) sets how much is.

use tracing::level_filters::LevelFilter;

/// Starts logging and makes panics one line without their payload, which could quote a model.
pub(crate) fn init() {
    let level = std::env::var("LOG_LEVEL").ok().and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    // A second call, as in tests, keeps the first subscriber.
    let _ = tracing_subscriber::fmt().json().flatten_event(true).with_max_level(level).with_target(false).try_init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panic");
    }));
}
