//! `bootstrap`: the one Lambda binary for every type.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    cfn_provider::serve(handlers::REGISTRY).await
}
