//! `cross-region`: the one Lambda binary for every type of AWS in another region. It has no Azure in it, as `bootstrap` has none
//! of these: a cold start loads what its types need.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    cfn_provider::serve(cross_region::REGISTRY).await
}
