//! `bootstrap`: the Lambda binary that serves {{ type_name }}.

mod {{ module }};

use cfn_provider::Entry;

/// The types that this binary serves: one row each.
const REGISTRY: &[Entry] = &[Entry::of::<{{ module }}::{{ struct }}>()];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    cfn_provider::serve(REGISTRY).await
}
