//! What of a lifecycle S3 takes together, and what of it is pointless.

use super::{LifecycleConfiguration, Rule, date};
use cfn_provider::{Error, Result};
use std::collections::BTreeSet;

/// The classes in the order in which objects can move, and for how many days each is paid at least.
const CLASSES: [(&str, u32); 6] = [
    ("STANDARD_IA", 30),
    ("INTELLIGENT_TIERING", 0),
    ("ONEZONE_IA", 30),
    ("GLACIER_IR", 90),
    ("GLACIER", 90),
    ("DEEP_ARCHIVE", 180),
];

/// An age at which something happens to an object: where the template says so, its class then (`None`: it is gone), when.
struct Event {
    at: String,
    class: Option<usize>,
    days: u32,
}

/// Refuses what S3 would.
///
/// # Errors
/// `InvalidRequest` with the pointer and the rule.
pub(crate) fn check(lifecycle: &LifecycleConfiguration) -> Result<()> {
    let mut ids = BTreeSet::new();
    for (index, rule) in lifecycle.effective_ids().enumerate() {
        let found = match ids.insert(rule.id.clone()) {
            true => violation(&rule)?,
            false => Some(("/Id".into(), "another rule has this name".into())),
        };
        if let Some((at, why)) = found {
            return Err(Error::invalid_request(format!("/LifecycleConfiguration/Rules/{index}{at}: {why}")));
        }
    }
    Ok(())
}

/// What S3 does as told, and what costs more than it saves: days in a class that is paid for longer.
pub(crate) fn warnings(lifecycle: &LifecycleConfiguration) -> Vec<String> {
    let mut warnings = Vec::new();
    for (index, rule) in lifecycle.rules.iter().flatten().enumerate() {
        for events in [current(rule), noncurrent(rule)] {
            for pair in events.windows(2) {
                let [from, to] = pair else { continue };
                let Some((class, least)) = from.class.map(|class| CLASSES[class]) else { continue };
                let stays = to.days.saturating_sub(from.days);
                if stays < least {
                    warnings.push(format!(
                        "/LifecycleConfiguration/Rules/{index}{}: objects leave {class} after {stays} days, and S3 bills \
                         {least} there in any case",
                        from.at
                    ));
                }
            }
        }
    }
    warnings
}

impl LifecycleConfiguration {
    /// The rules in the template's order, each with its name.
    fn effective_ids(&self) -> impl Iterator<Item = Rule> {
        let named = |(at, rule): (usize, &Rule)| Rule {
            id: rule.id.clone().or_else(|| Some(format!("rule-{}", at + 1))),
            ..rule.clone()
        };
        self.rules.iter().flatten().enumerate().map(named)
    }
}

fn class(name: Option<&str>) -> Option<usize> {
    CLASSES.iter().position(|(class, _)| Some(*class) == name)
}

/// What happens to a current version by its age, in that order.
fn current(rule: &Rule) -> Vec<Event> {
    let moves = rule.transitions.iter().flatten().enumerate().filter_map(|(at, to)| {
        Some(Event {
            at: format!("/Transitions/{at}"),
            class: class(to.storage_class.as_deref()),
            days: to.transition_in_days?,
        })
    });
    in_order(moves, rule.expiration_in_days.map(|days| ("/ExpirationInDays", days)))
}

/// What happens to a version after it ceased to be current, in that order.
fn noncurrent(rule: &Rule) -> Vec<Event> {
    let moves = rule.noncurrent_version_transitions.iter().flatten().enumerate().filter_map(|(at, to)| {
        let at = format!("/NoncurrentVersionTransitions/{at}");
        Some(Event { at, class: class(to.storage_class.as_deref()), days: to.transition_in_days? })
    });
    let end = rule.noncurrent_version_expiration.as_ref().and_then(|expiration| expiration.noncurrent_days);
    in_order(moves, end.map(|days| ("/NoncurrentVersionExpiration/NoncurrentDays", days)))
}

fn in_order(moves: impl Iterator<Item = Event>, end: Option<(&str, u32)>) -> Vec<Event> {
    let mut events: Vec<Event> = moves.collect();
    events.sort_by_key(|event| event.class);
    events.extend(end.map(|(at, days)| Event { at: at.to_owned(), class: None, days }));
    events
}

/// The first thing that S3 would refuse of a rule, and why.
fn violation(rule: &Rule) -> Result<Option<(String, String)>> {
    let refused = |at: &str, why: &str| Ok(Some((at.to_owned(), why.to_owned())));
    let has_marker = rule.expired_object_delete_marker.is_some();
    let (by_days, by_date) = (rule.expiration_in_days.is_some(), rule.expiration_date.is_some());
    if [has_marker, by_days, by_date].into_iter().filter(|is| *is).count() > 1 {
        let why = "takes one of ExpirationInDays, ExpirationDate and ExpiredObjectDeleteMarker, and no more";
        return refused("", why);
    }
    let is_tagged = rule.tag_filters.is_some();
    let is_sized = rule.object_size_greater_than.is_some() || rule.object_size_less_than.is_some();
    if has_marker && is_tagged {
        return refused("/ExpiredObjectDeleteMarker", "delete markers have no tags; take TagFilters out");
    }
    if rule.abort_incomplete_multipart_upload.is_some() && (is_tagged || is_sized) {
        let why = "unfinished uploads have neither tags nor size; give them a rule of their own";
        return refused("/AbortIncompleteMultipartUpload", why);
    }
    if let (Some(more), Some(less)) = (rule.object_size_greater_than, rule.object_size_less_than)
        && less <= more + 1
    {
        return refused("/ObjectSizeLessThan", "no size is between this and ObjectSizeGreaterThan");
    }
    let mut dated = 0;
    for (at, to) in rule.transitions.iter().flatten().enumerate() {
        if to.transition_in_days.is_some() == to.transition_date.is_some() {
            return refused(&format!("/Transitions/{at}"), "takes one of TransitionInDays and TransitionDate");
        }
        dated += usize::from(to.transition_date.is_some());
        date(to.transition_date.as_deref())?;
    }
    date(rule.expiration_date.as_deref())?;
    let moves = rule.transitions.as_ref().map_or(0, Vec::len);
    if dated != 0 && (dated != moves || by_days) || by_date && dated != moves {
        return refused("", "mixes days and dates, and S3 takes one of them in a rule");
    }
    if let Some(end) = &rule.expiration_date
        && let Some(late) = rule.transitions.iter().flatten().position(|to| to.transition_date.as_ref() >= Some(end))
    {
        return refused(&format!("/Transitions/{late}"), &format!("objects have expired by then, on {end}"));
    }
    for events in [current(rule), noncurrent(rule)] {
        if let Some(found) = disorder(&events) {
            return Ok(Some(found));
        }
    }
    let acts = moves > 0
        || by_days
        || by_date
        || has_marker
        || rule.noncurrent_version_transitions.is_some()
        || rule.noncurrent_version_expiration.is_some()
        || rule.abort_incomplete_multipart_upload.is_some();
    if acts { Ok(None) } else { refused("", "does nothing: it needs an expiration, a transition or an abort") }
}

/// Moves that come too early, in the wrong order, or after the object's end.
fn disorder(events: &[Event]) -> Option<(String, String)> {
    let name = |event: &Event| event.class.map_or("expire", |class| CLASSES[class].0);
    for event in events {
        if matches!(name(event), "STANDARD_IA" | "ONEZONE_IA") && event.days < 30 {
            return Some((event.at.clone(), format!("S3 moves no object to {} before its 30th day", name(event))));
        }
    }
    for pair in events.windows(2) {
        let [earlier, later] = pair else { continue };
        if later.class.is_some() && earlier.class == later.class {
            return Some((later.at.clone(), format!("another transition is to {}", name(later))));
        }
        if later.days <= earlier.days {
            let why = match later.class {
                None => format!(
                    "objects would expire after {} days, and move to {} after {}",
                    later.days,
                    name(earlier),
                    earlier.days
                ),
                Some(_) => format!(
                    "objects move to {} after {} days, and can only later move on to {}, not after {}",
                    name(earlier),
                    earlier.days,
                    name(later),
                    later.days
                ),
            };
            return Some((later.at.clone(), why));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn lifecycle(rules: Value) -> LifecycleConfiguration {
        serde_json::from_value(json!({ "Rules": rules })).expect("fits the model")
    }

    #[test]
    fn what_s3_would_refuse_is_refused_with_its_place() {
        let to = |class: &str, days: u32| json!({"StorageClass": class, "TransitionInDays": days});
        let on = |class: &str, day: &str| json!({"StorageClass": class, "TransitionDate": format!("{day}T00:00:00Z")});
        for (rule, says) in [
            (json!({}), "/0: does nothing"),
            (
                json!({"ExpirationInDays": 5, "Transitions": [to("GLACIER", 7)]}),
                "/0/ExpirationInDays: objects would expire",
            ),
            (
                json!({"ExpirationInDays": 7, "Transitions": [to("GLACIER", 7)]}),
                "/0/ExpirationInDays: objects would expire",
            ),
            (json!({"Transitions": [to("STANDARD_IA", 7)]}), "/0/Transitions/0: S3 moves no object to STANDARD_IA"),
            (json!({"Transitions": [to("GLACIER", 7), to("GLACIER", 9)]}), "/0/Transitions/1: another transition"),
            (
                json!({"Transitions": [to("DEEP_ARCHIVE", 7), to("GLACIER", 9)]}),
                "/0/Transitions/0: objects move to GLACIER",
            ),
            (json!({"Transitions": [{"StorageClass": "GLACIER"}]}), "/0/Transitions/0: takes one of"),
            (json!({"Transitions": [to("GLACIER", 7), on("DEEP_ARCHIVE", "2030-01-01")]}), "/0: mixes"),
            (json!({"ExpirationInDays": 9, "Transitions": [on("GLACIER", "2030-01-01")]}), "/0: mixes"),
            (json!({"ExpirationDate": "2030-01-01T00:00:00Z", "Transitions": [to("GLACIER", 7)]}), "/0: mixes"),
            (
                json!({"ExpirationDate": "2030-01-01T00:00:00Z", "Transitions": [on("GLACIER", "2031-01-01")]}),
                "/0/Transitions/0: objects have expired",
            ),
            (json!({"ExpirationDate": "2030-02-31T00:00:00Z"}), "there is no such day"),
            (json!({"ExpirationInDays": 9, "ExpiredObjectDeleteMarker": true}), "/0: takes one of"),
            (
                json!({"ExpiredObjectDeleteMarker": true, "TagFilters": [{"Key": "a", "Value": "b"}]}),
                "/0/ExpiredObjectDeleteMarker: ",
            ),
            (
                json!({"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}, "ObjectSizeLessThan": 9}),
                "/0/AbortIncompleteMultipartUpload: ",
            ),
            (
                json!({"ExpirationInDays": 9, "ObjectSizeLessThan": 10, "ObjectSizeGreaterThan": 9}),
                "/0/ObjectSizeLessThan: no size",
            ),
            (
                json!({"NoncurrentVersionExpiration": {"NoncurrentDays": 5},
                       "NoncurrentVersionTransitions": [to("GLACIER", 7)]}),
                "/0/NoncurrentVersionExpiration/NoncurrentDays: objects would expire",
            ),
        ] {
            let error = check(&lifecycle(json!([rule]))).expect_err(says);
            assert!(error.message.contains(says), "{rule}: {}", error.message);
        }
        let twice = json!([{"ExpirationInDays": 9, "Id": "rule-2"}, {"ExpirationInDays": 9}]);
        let error = check(&lifecycle(twice)).expect_err("has one name twice");
        assert!(error.message.contains("/1/Id: another rule"), "{}", error.message);
    }

    #[test]
    fn what_is_billed_longer_than_it_lasts_is_a_warning() {
        let to = |class: &str, days: u32| json!({"StorageClass": class, "TransitionInDays": days});
        for (rule, warns) in [
            (json!({"ExpirationInDays": 365, "Transitions": [to("GLACIER", 7)]}), None),
            (json!({"ExpirationInDays": 97, "Transitions": [to("GLACIER", 7)]}), None),
            (json!({"Transitions": [to("GLACIER", 7)]}), None),
            (
                json!({"ExpirationInDays": 30, "Transitions": [to("GLACIER", 7)]}),
                Some("/Transitions/0: objects leave GLACIER after 23 days, and S3 bills 90"),
            ),
            (
                json!({"Transitions": [to("DEEP_ARCHIVE", 60), to("GLACIER", 7)]}),
                Some("/Transitions/1: objects leave GLACIER after 53 days"),
            ),
            (
                json!({"NoncurrentVersionExpiration": {"NoncurrentDays": 100},
                       "NoncurrentVersionTransitions": [to("DEEP_ARCHIVE", 7)]}),
                Some("/NoncurrentVersionTransitions/0: objects leave DEEP_ARCHIVE after 93 days, and S3 bills 180"),
            ),
        ] {
            let lifecycle = lifecycle(json!([rule]));
            check(&lifecycle).expect("S3 takes it");
            let found = warnings(&lifecycle);
            match warns {
                None => assert!(found.is_empty(), "{rule}: {found:?}"),
                Some(says) => assert!(found.len() == 1 && found[0].contains(says), "{rule}: {found:?}"),
            }
        }
    }
}
