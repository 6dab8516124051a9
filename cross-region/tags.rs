//! The tags of a resource: the stack's, its own, those that others put there, and ours, by which a repeated request knows
//! its own work.

use cfn_provider::{Request, Tag};
use std::collections::BTreeMap;

/// The key of the tag that marks what a request has made. Its value is made of the stack, the logical id and the request's
/// token, so that no other request has it.
pub const MARK: &str = "CrossRegion:Request";

/// The mark of a request.
pub fn mark(request: &Request) -> (String, String) {
    (MARK.to_owned(), request.derive_uuid())
}

/// The tags that a model shows: neither the mark nor AWS's own, which nobody can set.
pub fn visible(all: BTreeMap<String, String>) -> Vec<Tag> {
    Tag::list(all.into_iter().filter(|(key, _)| key != MARK && !key.starts_with("aws:")).collect())
}

/// What tags the resource shall have after an update from `previous` to `desired`, given what it has: what others put
/// there stays.
pub fn merged(
    request: &Request,
    desired: Option<&[Tag]>,
    previous: Option<&[Tag]>,
    current: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    request.updated_tags(desired, previous, Some(&Tag::list(current)))
}
