//! What a bucket's policy says to requests. The local S3 enforces none; its evaluator of policies can still be asked.

use std::path::Path;

use sandbox::{process, tools};
use serde_json::{Value, json};

/// Decides each request, which is an action, a resource and condition keys: `Allow`, `Deny` or `ImplicitDeny`. `python` is that of
/// the local CloudFormation.
#[track_caller]
pub(crate) fn decide(python: &Path, policy: &str, caller: &str, requests: &[(&str, &str, Value)]) -> Vec<String> {
    let request = |(action, resource, keys): &(&str, &str, Value)| json!({ "action": action, "resource": resource, "keys": keys });
    let requests: Vec<_> = requests.iter().map(request).collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), json!({ "policy": policy, "caller": caller, "requests": requests }).to_string())
        .unwrap();
    let mut command = process::guarded(python);
    command.arg(tools::root().join("sandbox/tests/policies/decide.py")).arg(file.path());
    let done = process::output(&mut command).unwrap();
    let decisions = serde_json::from_slice(&done.stdout);
    decisions.unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&done.stderr)))
}
