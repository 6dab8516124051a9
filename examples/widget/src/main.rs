//! The Lambda binary that serves `Example::Demo::Widget`.

mod widget;

use cfn_provider::Entry;

const REGISTRY: &[Entry] = &[Entry::of::<widget::Widget>()];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    cfn_provider::serve(REGISTRY).await
}
