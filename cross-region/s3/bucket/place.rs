//! One bucket in its region, as the settings speak to it.

use crate::{
    provider::{Aws, code_of, explain},
    region::partition,
};
use aws_sdk_s3::{Client, error::SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use cfn_provider::{Error, HandlerErrorCode as Code, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{error::Error as StdError, fmt};

/// The identifier: the ARN, `arn:aws:s3:::name`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct BucketArn {
    arn: String,
}

impl BucketArn {
    pub(super) fn new(region: &str, name: &str) -> Self {
        Self { arn: format!("arn:{}:s3:::{name}", partition(region)) }
    }

    /// # Errors
    /// `InvalidRequest` where the ARN is no bucket's.
    pub(super) fn name(&self) -> Result<&str> {
        let mut parts = self.arn.splitn(6, ':');
        let is_bucket = parts.next() == Some("arn") && parts.nth(1) == Some("s3");
        match parts.nth(2).filter(|name| is_bucket && !name.is_empty() && !name.contains(['/', ':'])) {
            Some(name) => Ok(name),
            None => Err(Error::invalid_request(format!("/Arn: {} is not the ARN of a bucket", self.arn))),
        }
    }
}

impl fmt::Display for BucketArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.arn)
    }
}

/// A bucket and the client of its region.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) s3: Client,
    pub(super) region: String,
    pub(super) name: String,
}

impl Place {
    pub(super) fn new(aws: &Aws, region: &str, name: &str) -> Self {
        Self { s3: aws.s3(region), region: region.to_owned(), name: name.to_owned() }
    }

    /// The place of a bucket of which only the ARN is known: any region tells where a bucket is.
    ///
    /// # Errors
    /// `NotFound` where there is none; `AccessDenied` where it is another account's or may not be looked at.
    pub(super) async fn find(aws: &Aws, id: &BucketArn) -> Result<Self> {
        let home = Self::new(aws, aws.home(), id.name()?);
        match home.look().await? {
            Look::In(region) => Ok(Self::new(aws, &region, &home.name)),
            Look::Nowhere => Err(Error::not_found(format!("there is no bucket {}", home.name))),
            Look::Forbidden => Err(Error::new(
                Code::AccessDenied,
                format!(
                    "s3:HeadBucket {} in {}: the bucket is another account's, or the execution role lacks s3:ListBucket on it",
                    home.name, home.region
                ),
            )),
        }
    }

    /// Where the bucket is, as this region tells.
    ///
    /// # Errors
    /// Those of the call.
    pub(super) async fn look(&self) -> Result<Look> {
        let error = match self.s3.head_bucket().bucket(&self.name).send().await {
            Ok(found) => {
                let region = found.bucket_region().unwrap_or(&self.region);
                return Ok(Look::In(region.to_owned()));
            }
            Err(error) => error,
        };
        // The answer to a HEAD has no body, so that status and headers are all there is.
        let answer = error.raw_response();
        let status = answer.map_or(0, |answer| answer.status().as_u16());
        let region = answer.and_then(|answer| answer.headers().get("x-amz-bucket-region")).map(str::to_owned);
        match (status, region) {
            (404, _) => Ok(Look::Nowhere),
            (403, _) => Ok(Look::Forbidden),
            (301 | 307 | 400, Some(region)) => Ok(Look::In(region)),
            _ => Err(self.failed("HeadBucket")(error)),
        }
    }

    /// Explains a failed call.
    pub(super) fn failed<E>(&self, call: &str) -> impl FnOnce(SdkError<E, HttpResponse>) -> Error
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        let what = format!("s3:{call} {}", self.name);
        move |error| explain(&what, &self.region, error)
    }

    /// The answer to a GET of a setting; `None` where S3 says by `unset` that there is none.
    ///
    /// # Errors
    /// Those of the call.
    pub(super) fn setting<T, E>(
        &self,
        call: &str,
        unset: &str,
        answer: Result<T, SdkError<E, HttpResponse>>,
    ) -> Result<Option<T>>
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        match answer {
            Ok(setting) => Ok(Some(setting)),
            Err(error) if code_of(&error) == Some(unset) => Ok(None),
            Err(error) => Err(self.failed(call)(error)),
        }
    }

    /// The ARN of the bucket.
    pub(super) fn arn(&self) -> String {
        BucketArn::new(&self.region, &self.name).to_string()
    }
}

/// Where a bucket is.
pub(super) enum Look {
    In(String),
    Nowhere,
    /// It is another account's, or may not be looked at.
    Forbidden,
}
