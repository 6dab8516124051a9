//! The primary identifier of a key: its ARN, which says the region that it is in.

use cfn_provider::Error;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The ARN of a key; `{"Arn": "arn:aws:kms:…"}` on CloudFormation's wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct KeyArn(String);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire {
    arn: String,
}

impl KeyArn {
    /// Reads an ARN.
    ///
    /// # Errors
    /// `InvalidRequest` that shows the expected shape where it is another.
    pub fn parse(text: &str) -> cfn_provider::Result<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let is_one = matches!(parts[..], ["arn", partition, "kms", region, account, resource]
            if !partition.is_empty()
                && !region.is_empty()
                && account.len() == 12
                && account.bytes().all(|byte| byte.is_ascii_digit())
                && resource.strip_prefix("key/").is_some_and(|id| !id.is_empty()));
        if is_one {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::invalid_request(format!(
            "/Arn: {text:?} is not the ARN of a key, which looks like \
             arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
        )))
    }

    fn part(&self, at: usize) -> &str {
        self.0.split(':').nth(at).expect("an ARN has six parts, which reading it has checked")
    }

    /// `aws`, or that of China or of a government.
    pub fn partition(&self) -> &str {
        self.part(1)
    }

    /// The region that the key is in.
    pub fn region(&self) -> &str {
        self.part(3)
    }

    /// The account that the key is of.
    pub fn account(&self) -> &str {
        self.part(4)
    }

    /// What KMS calls the key within its account and region.
    pub fn key_id(&self) -> &str {
        self.part(5).trim_start_matches("key/")
    }
}

impl fmt::Display for KeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<Wire> for KeyArn {
    type Error = String;

    fn try_from(wire: Wire) -> Result<Self, String> {
        Self::parse(&wire.arn).map_err(|error| error.message)
    }
}

impl From<KeyArn> for Wire {
    fn from(arn: KeyArn) -> Self {
        Self { arn: arn.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_says_where_its_key_is() {
        let arn = KeyArn::parse("arn:aws-cn:kms:cn-north-1:123456789012:key/mrk-1").expect("reads");
        let parts = (arn.partition(), arn.region(), arn.account(), arn.key_id());
        assert_eq!(parts, ("aws-cn", "cn-north-1", "123456789012", "mrk-1"));
        let wire = serde_json::json!({"Arn": arn.to_string()});
        assert_eq!(serde_json::to_value(&arn).expect("writes"), wire);
        assert_eq!(serde_json::from_value::<KeyArn>(wire).expect("reads"), arn);
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "",
            "stack-Key-1ABC",
            "arn:aws:kms:eu-west-1:123456789012:alias/a",
            "arn:aws:kms:eu-west-1:12345:key/a",
            "arn:aws:kms::123456789012:key/a",
            "arn:aws:kms:eu-west-1:123456789012:key/",
            "arn:aws:s3:eu-west-1:123456789012:key/a",
        ] {
            assert!(KeyArn::parse(text).is_err_and(|error| error.message.starts_with("/Arn: ")), "{text}");
        }
    }
}
