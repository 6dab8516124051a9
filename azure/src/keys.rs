//! The data plane of Key Vault: what Resource Manager cannot do with a key, which is all but to make it.

use std::sync::Arc;

use azure_core::http::{Method, PipelineSendOptions, Request, Url};
use serde_json::Value;

use crate::{Error, ErrorKind, Result, call::Call, client::Inner};

const VERSION: &str = "7.4";
/// The resource of tokens in the public cloud, and of an emulator's, whose host is an address.
const PUBLIC: &str = "vault.azure.net";

/// Keys in vaults, for the calls of one invocation: they share a time limit.
///
/// A key's address is what Resource Manager answers as `keyUri`. The identity needs the role "Key Vault Crypto Officer", or an
/// access policy for keys.
#[derive(Clone, Debug)]
pub struct Keys {
    inner: Arc<Inner>,
    call: Call,
}

impl Keys {
    pub(crate) fn new(inner: Arc<Inner>, call: Call) -> Self {
        Self { inner, call }
    }

    /// Changes `attributes`, `key_ops` and `tags` of a version, whose address is `keyUriWithVersion`.
    pub async fn update(&self, version: &str, body: &Value) -> Result<()> {
        self.send(Method::Patch, version, Some(body)).await
    }

    /// Replaces the rotation policy of a key.
    pub async fn set_rotation_policy(&self, key: &str, policy: &Value) -> Result<()> {
        self.send(Method::Put, &format!("{key}/rotationpolicy"), Some(policy)).await
    }

    /// Deletes a key; the vault keeps it for its retention. NotFound where there is none.
    pub async fn delete(&self, key: &str) -> Result<()> {
        self.send(Method::Delete, key, None).await
    }

    /// Brings a deleted key back, which takes the vault a while.
    pub async fn recover(&self, key: &str) -> Result<()> {
        self.send(Method::Post, &format!("{}/recover", deleted(key)), None).await
    }

    /// Purges a deleted key. NotFound where there is none, or not yet.
    pub async fn purge(&self, key: &str) -> Result<()> {
        self.send(Method::Delete, &deleted(key), None).await
    }

    async fn send(&self, method: Method, address: &str, body: Option<&Value>) -> Result<()> {
        let unusable = || Error::new(ErrorKind::Undecodable, format!("\"{address}\" is not the address of a key"));
        let mut url = Url::parse(address).map_err(|_| unusable())?;
        let scope = format!("https://{}/.default", resource(&url).ok_or_else(unusable)?);
        url.set_query(Some(&format!("api-version={VERSION}")));
        let target = format!("{method} {}", url.path());
        let mut request = Request::new(url, method);
        request.insert_header("accept", "application/json");
        if let Some(body) = body {
            request.insert_header("content-type", "application/json");
            request.set_body(body.to_string());
        }
        let context = self.call.context();
        let options = PipelineSendOptions { skip_checks: true, ..PipelineSendOptions::default() };
        let pipeline = self.inner.signed_in(&scope);
        let sent = pipeline.send(&context, &mut request, Some(options));
        let answer = self.call.within(&target, sent).await?;
        if answer.status().is_success() {
            return Ok(());
        }
        let error = Error::from_answer(u16::from(answer.status()), answer.headers(), answer.body());
        let mut error = self.call.explain(&target, error);
        if error.kind == ErrorKind::Forbidden {
            // Contributor makes keys, and may do nothing else with them.
            error.message.push_str(
                " Assign the role Key Vault Crypto Officer on the vault to the application that signs in, or give it an \
                 access policy for keys; and let the vault's network rules let it in.",
            );
        }
        Err(error)
    }
}

fn deleted(key: &str) -> String {
    // The last one: a vault may be named keys, too.
    key.rsplit_once("/keys/").map_or_else(|| key.to_owned(), |(vault, name)| format!("{vault}/deletedkeys/{name}"))
}

/// Whose tokens a vault takes: `vault.azure.net` for `https://name.vault.azure.net/…`. Only https, and no other kind of host,
/// sees a token.
fn resource(url: &Url) -> Option<&str> {
    let host = url.host_str().filter(|_| url.scheme() == "https")?;
    if url.domain().is_none() {
        return Some(PUBLIC);
    }
    let (_, resource) = host.split_once('.')?;
    resource.starts_with("vault.").then_some(resource)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_for_the_clouds_vaults() {
        for (address, expected) in [
            ("https://name.vault.azure.net/keys/k", Some("vault.azure.net")),
            ("https://name.vault.usgovcloudapi.net/keys/k/v", Some("vault.usgovcloudapi.net")),
            ("https://127.0.0.1:4443/_vault/name/keys/k", Some("vault.azure.net")),
            ("http://name.vault.azure.net/keys/k", None),
            ("https://name.example/keys/k", None),
        ] {
            assert_eq!(resource(&Url::parse(address).unwrap()), expected, "{address}");
        }
        assert_eq!(deleted("https://n.vault.azure.net/keys/keys"), "https://n.vault.azure.net/deletedkeys/keys");
    }
}
