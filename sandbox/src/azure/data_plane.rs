//! Keeps Azurite's containers in step with those of the management plane.

use super::state::Effect;

const VERSION: &str = "2023-11-03";

/// Azurite, as the management plane sees it.
pub(super) struct Azurite {
    base: String,
    client: reqwest::Client,
}

impl Azurite {
    pub(super) fn new(base: &str, client: reqwest::Client) -> Azurite {
        Azurite { base: base.trim_end_matches('/').into(), client }
    }

    /// Makes the change, or says why Azurite did not. What is there or gone already counts as done.
    pub(super) async fn apply(&self, effect: &Effect, token: &str) -> Result<(), String> {
        let (method, account, container, done) = match effect {
            Effect::CreateContainer { account, container } => (reqwest::Method::PUT, account, container, 409),
            Effect::DeleteContainer { account, container } => (reqwest::Method::DELETE, account, container, 404),
        };
        let url = format!("{}/{account}/{container}?restype=container", self.base);
        let response = self
            .client
            .request(method, url)
            .bearer_auth(token)
            .header("x-ms-version", VERSION)
            .header("content-length", "0")
            .send()
            .await
            .map_err(|error| error.to_string())?;
        let status = response.status();
        match status.is_success() || status.as_u16() == done {
            true => Ok(()),
            false => Err(format!("status {status}")),
        }
    }
}
