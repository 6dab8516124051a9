//! What Azure allows of a blob service's settings, beyond what the schema says: what needs what, and what excludes what.

use super::{BlobService, CorsRule, StaticWebsite};
use cfn_provider::{Error, Result};

/// The headers of a CORS rule that may be spelled out, and those that may end in a star.
const HEADERS: (usize, usize) = (64, 2);
/// The longest origin and the longest header, in characters.
const LONGEST: usize = 256;
/// The most that all CORS rules take together, in characters.
const ALL_CORS: usize = 2048;
/// The oldest version of the blob service that can be the default.
const OLDEST_VERSION: &str = "2008-10-27";

/// Checks a template's settings.
///
/// # Errors
/// `InvalidRequest` with the pointer and the rule.
pub(super) fn check(service: &BlobService) -> Result<()> {
    match violation(service) {
        Some((pointer, why)) => Err(Error::invalid_request(format!("{pointer}: {why}"))),
        None => Ok(()),
    }
}

fn violation(service: &BlobService) -> Option<(String, String)> {
    let found = |pointer: &str, why: &str| Some((pointer.to_owned(), why.to_owned()));
    let blobs = service.delete_retention_policy.as_ref();
    let (keeps, days) = blobs.map_or((false, None), |policy| (policy.enabled == Some(true), policy.days));
    let permanent = blobs.and_then(|policy| policy.allow_permanent_delete);
    let containers = service.container_delete_retention_policy.as_ref();
    let restore = service.restore_policy.as_ref();
    let restores = restore.is_some_and(|policy| policy.enabled == Some(true));
    let feed = service.change_feed.as_ref();
    let has_feed = feed.is_some_and(|feed| feed.enabled == Some(true));

    for (pointer, enabled, days) in [
        ("/DeleteRetentionPolicy/Days", keeps, days),
        (
            "/ContainerDeleteRetentionPolicy/Days",
            containers.is_some_and(|policy| policy.enabled == Some(true)),
            containers.and_then(|policy| policy.days),
        ),
        ("/RestorePolicy/Days", restores, restore.and_then(|policy| policy.days)),
    ] {
        match (enabled, days) {
            (true, None) => return found(pointer, "Enabled needs it"),
            (false, Some(_)) => return found(pointer, "needs Enabled to be true"),
            _ => {}
        }
    }
    if permanent == Some(true) && !keeps {
        return found("/DeleteRetentionPolicy/AllowPermanentDelete", "needs Enabled to be true");
    }
    if !has_feed && feed.is_some_and(|feed| feed.retention_in_days.is_some()) {
        return found("/ChangeFeed/RetentionInDays", "needs Enabled to be true");
    }
    if restores {
        let needs = [
            (service.is_versioning_enabled == Some(true), "IsVersioningEnabled"),
            (has_feed, "ChangeFeed/Enabled"),
            (keeps, "DeleteRetentionPolicy/Enabled"),
        ];
        if let Some((_, missing)) = needs.iter().find(|(is_met, _)| !is_met) {
            return found("/RestorePolicy/Enabled", &format!("needs {missing} to be true"));
        }
        if permanent == Some(true) {
            let why = "cannot be true while RestorePolicy/Enabled is";
            return found("/DeleteRetentionPolicy/AllowPermanentDelete", why);
        }
        if restore.and_then(|policy| policy.days) >= days {
            return found("/RestorePolicy/Days", "must be less than DeleteRetentionPolicy/Days");
        }
    }
    if service.default_service_version.as_deref().is_some_and(|version| version < OLDEST_VERSION) {
        return found("/DefaultServiceVersion", &format!("the oldest is {OLDEST_VERSION}"));
    }
    let website = service.static_website.as_ref().and_then(documents);
    website
        .map(|(member, why)| (format!("/StaticWebsite/{member}"), why.to_owned()))
        .or_else(|| cors(service.cors_rules.as_deref().unwrap_or_default()))
}

fn documents(website: &StaticWebsite) -> Option<(&'static str, &'static str)> {
    let members = [
        ("IndexDocument", &website.index_document),
        ("DefaultIndexDocumentPath", &website.default_index_document_path),
        ("ErrorDocument404Path", &website.error_document404_path),
    ];
    let given = members.iter().find(|(_, value)| value.is_some());
    match given {
        Some((member, _)) if website.enabled != Some(true) => Some((member, "needs Enabled to be true")),
        _ if website.index_document.is_some() && website.default_index_document_path.is_some() => {
            Some(("DefaultIndexDocumentPath", "excludes IndexDocument"))
        }
        _ => None,
    }
}

fn cors(rules: &[CorsRule]) -> Option<(String, String)> {
    let mut total = 0;
    for (at, rule) in rules.iter().enumerate() {
        let lists = [
            ("AllowedOrigins", &rule.allowed_origins),
            ("AllowedMethods", &rule.allowed_methods),
            ("AllowedHeaders", &rule.allowed_headers),
            ("ExposedHeaders", &rule.exposed_headers),
        ];
        for (name, list) in lists {
            let items = list.as_deref().unwrap_or_default();
            let pointer = format!("/CorsRules/{at}/{name}");
            if let Some(long) = items.iter().position(|item| item.chars().count() > LONGEST) {
                return Some((format!("{pointer}/{long}"), format!("has {LONGEST} characters at most")));
            }
            let stars = items.iter().filter(|item| item.ends_with('*') && *item != "*").count();
            if name.ends_with("Headers") && (stars > HEADERS.1 || items.len() - stars > HEADERS.0) {
                let why = format!("has {} headers and {} that end in * at most", HEADERS.0, HEADERS.1);
                return Some((pointer, why));
            }
            total += items.iter().map(|item| item.chars().count()).sum::<usize>();
        }
    }
    (total > ALL_CORS)
        .then(|| ("/CorsRules".to_owned(), format!("take {ALL_CORS} characters together at most, and have {total}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn said(model: Value) -> String {
        let service: BlobService = serde_json::from_value(model).unwrap_or_default();
        check(&service).err().map_or_else(String::new, |error| error.message)
    }

    fn restoring() -> Value {
        json!({
            "IsVersioningEnabled": true, "ChangeFeed": {"Enabled": true},
            "DeleteRetentionPolicy": {"Enabled": true, "Days": 8}, "RestorePolicy": {"Enabled": true, "Days": 7}
        })
    }

    #[test]
    fn what_goes_together_passes() {
        for model in [
            restoring(),
            json!({"DeleteRetentionPolicy": {"Enabled": false, "AllowPermanentDelete": false}}),
            json!({"DefaultServiceVersion": "2008-10-27"}),
            json!({"StaticWebsite": {"Enabled": true, "IndexDocument": "i", "ErrorDocument404Path": "e"}}),
            json!({"CorsRules": [{"AllowedOrigins": ["*"], "AllowedHeaders": ["x-a*", "x-b*", "*"]}]}),
        ] {
            assert_eq!(said(model.clone()), "", "{model}");
        }
    }

    #[test]
    fn what_does_not_is_refused_with_its_pointer() {
        let without = |name: &str| {
            let mut model = restoring();
            model[name] = Value::Null;
            model
        };
        let with = |pointer: &str, value: Value| {
            let mut model = restoring();
            let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
            model.pointer_mut(parent).expect("it is there")[name] = value;
            model
        };
        let headers = |count: usize| (0..count).map(|at| format!("x-{at}")).collect::<Vec<_>>();
        for (model, expected) in [
            (json!({"DeleteRetentionPolicy": {"Enabled": true}}), "/DeleteRetentionPolicy/Days: Enabled needs it"),
            (
                json!({"ContainerDeleteRetentionPolicy": {"Enabled": false, "Days": 7}}),
                "/ContainerDeleteRetentionPolicy/Days: needs Enabled to be true",
            ),
            (
                json!({"DeleteRetentionPolicy": {"Enabled": false, "AllowPermanentDelete": true}}),
                "/DeleteRetentionPolicy/AllowPermanentDelete: needs Enabled to be true",
            ),
            (
                json!({"ChangeFeed": {"Enabled": false, "RetentionInDays": 7}}),
                "/ChangeFeed/RetentionInDays: needs Enabled to be true",
            ),
            (without("IsVersioningEnabled"), "/RestorePolicy/Enabled: needs IsVersioningEnabled to be true"),
            (without("ChangeFeed"), "/RestorePolicy/Enabled: needs ChangeFeed/Enabled to be true"),
            (
                without("DeleteRetentionPolicy"),
                "/RestorePolicy/Enabled: needs DeleteRetentionPolicy/Enabled to be true",
            ),
            (
                with("/DeleteRetentionPolicy/AllowPermanentDelete", json!(true)),
                "/DeleteRetentionPolicy/AllowPermanentDelete: cannot be true while RestorePolicy/Enabled is",
            ),
            (
                with("/RestorePolicy/Days", json!(8)),
                "/RestorePolicy/Days: must be less than DeleteRetentionPolicy/Days",
            ),
            (json!({"DefaultServiceVersion": "2008-10-26"}), "/DefaultServiceVersion: the oldest is 2008-10-27"),
            (
                json!({"StaticWebsite": {"Enabled": false, "ErrorDocument404Path": "e"}}),
                "/StaticWebsite/ErrorDocument404Path: needs Enabled to be true",
            ),
            (
                json!({"StaticWebsite": {"Enabled": true, "IndexDocument": "i", "DefaultIndexDocumentPath": "p"}}),
                "/StaticWebsite/DefaultIndexDocumentPath: excludes IndexDocument",
            ),
            (
                json!({"CorsRules": [{}, {"AllowedOrigins": ["a", "b".repeat(257)]}]}),
                "/CorsRules/1/AllowedOrigins/1: has 256 characters at most",
            ),
            (
                json!({"CorsRules": [{"ExposedHeaders": headers(65)}]}),
                "/CorsRules/0/ExposedHeaders: has 64 headers and 2 that end in * at most",
            ),
            (
                json!({"CorsRules": [{"AllowedHeaders": ["a*", "b*", "c*"]}]}),
                "/CorsRules/0/AllowedHeaders: has 64 headers and 2 that end in * at most",
            ),
            (
                json!({"CorsRules": vec![json!({"AllowedOrigins": ["o".repeat(250), "p".repeat(250)]}); 5]}),
                "/CorsRules: take 2048 characters together at most, and have 2500",
            ),
        ] {
            assert_eq!(said(model.clone()), expected, "{model}");
        }
    }
}
