//! The Lambda function: S3's events in, objects in Azure out.

use std::time::SystemTime;

use backup::{
    Backup, Error,
    lambda::Function,
    log,
    metrics::Metrics,
    settings::{self, Settings},
    sqs::Sqs,
};
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::value::RawValue;
use tikv_jemallocator::Jemalloc;
use tokio::{sync::OnceCell, time::Instant};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::format::JsonFields;

// With glibc's allocator a small object takes an eighth more CPU; mimalloc is as fast, and holds half as much memory again.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// What is built with the first event and kept.
struct Kept {
    backup: Backup,
    queue: Sqs,
    concurrency: usize,
    container: String,
}

// A function has one core up to 1,769 MB, and one is more than its network needs. Waking other threads costs a small object
// a fifth of its CPU.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let level = std::env::var("LOG_LEVEL").ok().and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    // At trace, libraries log whole requests.
    let level = level.min(LevelFilter::DEBUG);
    tracing_subscriber::fmt().fmt_fields(JsonFields::new()).event_format(log::Json).with_max_level(level).init();
    let kept = &OnceCell::new();
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Box<RawValue>>| async move {
        let kept = kept.get_or_try_init(|| async { open() }).await.inspect_err(|error| {
            tracing::error!(reason = %error.reason, %error, "the function is not set up");
        })?;
        let remaining = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
        let function = Function { backup: &kept.backup, queue: &kept.queue, concurrency: kept.concurrency };
        let mut metrics = Metrics::default();
        let answer = function.handle(&event.payload, Instant::now() + remaining, &mut metrics).await;
        println!("{}", metrics.line(&kept.container, SystemTime::now()));
        answer.map_err(|error| {
            tracing::error!(reason = %error.reason, %error, "the invocation failed");
            lambda_runtime::Error::from(error)
        })
    }))
    .await
}

fn open() -> Result<Kept, Error> {
    let settings = Settings::from_env()?;
    let credentials = settings::credentials_from_env()?;
    Ok(Kept {
        backup: settings.open(credentials.clone())?,
        queue: Sqs::new(credentials, &settings.region),
        concurrency: settings.concurrency,
        // Without its query, which may be a SAS.
        container: format!("{}{}", settings.container.host_str().unwrap_or_default(), settings.container.path()),
    })
}
