//! Values of a type configuration that must not be seen, and where AWS keeps them.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

/// The ARN of a secret in AWS Secrets Manager.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct SecretArn(String);

impl SecretArn {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The region that keeps the secret; empty where this is not the ARN of a secret.
    pub(crate) fn region(&self) -> &str {
        match self.0.split(':').collect::<Vec<_>>()[..] {
            ["arn", _, "secretsmanager", region, _, "secret", name] if !name.is_empty() => region,
            _ => "",
        }
    }
}

/// A value that is never printed and cannot be serialised.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("REDACTED")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("REDACTED")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "REDACTED REDACTED Some(REDACTED)");
    }
}
