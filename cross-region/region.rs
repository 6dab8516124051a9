//! Regions: what they look like, which partition they are in, and the one that a type of another region may not have.

use crate::provider::Aws;
use cfn_provider::{Error, Result};

/// How a region is written: `ap-southeast-2`, `us-gov-west-1`.
pub const PATTERN: &str = "^[a-z]{2}(-[a-z]+){1,2}-[0-9]{1,2}$";

/// The partition of a region: the first part of every ARN in it.
pub fn partition(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

/// The name of AWS's hosts in a region.
pub fn dns_suffix(region: &str) -> &'static str {
    if partition(region) == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" }
}

/// The region that a model asks for.
///
/// # Errors
/// `InvalidRequest` where there is none, where it is the stack's own, and where the stack's credentials do not reach.
pub fn other<'a>(region: Option<&'a str>, aws: &Aws) -> Result<&'a str> {
    let region = region.ok_or_else(|| Error::invalid_request("/Region: is required"))?;
    if region == aws.home() {
        return Err(Error::invalid_request(format!(
            "/Region: {region} is the region of the stack, and this type is for another; AWS's own type does it here"
        )));
    }
    if partition(region) != partition(aws.home()) {
        return Err(Error::invalid_request(format!(
            "/Region: {region} is in the partition {}, where credentials of {} do not count",
            partition(region),
            aws.home()
        )));
    }
    Ok(region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_tells_its_partition() {
        for (region, is_in, hosts) in [
            ("eu-central-1", "aws", "amazonaws.com"),
            ("cn-north-1", "aws-cn", "amazonaws.com.cn"),
            ("us-gov-west-1", "aws-us-gov", "amazonaws.com"),
        ] {
            assert_eq!((partition(region), dns_suffix(region)), (is_in, hosts), "{region}");
        }
    }
}
