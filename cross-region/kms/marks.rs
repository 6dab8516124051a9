//! The tags that tell whose a key is, hidden from the model: KMS gives a key no name that a repetition could find it by.

use super::arn::KeyArn;
use cfn_provider::Request;
use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// How the key of every such tag begins.
pub(super) const PREFIX: &str = "CrossRegion:";
/// The tag of a key that no stack has: one whose creation has not ended, or that was deleted.
pub(super) const UNOWNED: &str = "CrossRegion:UnownedSince";
const ALIAS: &str = "CrossRegion:Alias";
const RESOURCE: &str = "CrossRegion:Resource";
const REQUEST: &str = "CrossRegion:Request";

/// After this long, the operation that made a key and did not finish it has ended.
const ABANDONED: Duration = Duration::from_secs(60 * 60);

/// Whose a key is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// The alias that it is under, or was.
    pub(super) alias: Option<String>,
    /// The stack and the logical id that it was made for.
    pub(super) resource: Option<String>,
    /// The same, and the request.
    pub(super) request: Option<String>,
    /// Since when no stack has it, in seconds since 1970.
    pub(super) unowned_since: Option<u64>,
}

impl Marks {
    /// Of a key that a request makes or takes and has not finished.
    pub(super) fn of_request(request: &Request, alias: Option<&str>) -> Self {
        let mut whole = request.clone();
        whole.token = None;
        Self {
            alias: alias.map(str::to_owned),
            resource: Some(whole.derive_uuid()),
            request: Some(request.derive_uuid()),
            unowned_since: Some(now()),
        }
    }

    /// In the tags of a key.
    pub(super) fn of_tags(tags: &BTreeMap<String, String>) -> Self {
        Self {
            alias: tags.get(ALIAS).cloned(),
            resource: tags.get(RESOURCE).cloned(),
            request: tags.get(REQUEST).cloned(),
            unowned_since: tags.get(UNOWNED).and_then(|since| since.parse().ok()),
        }
    }

    /// As tags.
    pub(super) fn into_tags(self) -> BTreeMap<String, String> {
        let since = self.unowned_since.map(|since| since.to_string());
        let tags = [(ALIAS, self.alias), (RESOURCE, self.resource), (REQUEST, self.request), (UNOWNED, since)];
        tags.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
    }
}

/// What of a key cannot change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) spec: String,
    pub(super) usage: String,
    pub(super) multi_region: bool,
}

/// A key that a create may take up.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) arn: KeyArn,
    pub(super) kind: Kind,
    pub(super) pending: bool,
    pub(super) enabled: bool,
    pub(super) aliased: bool,
    /// In seconds since 1970.
    pub(super) created: i64,
    pub(super) marks: Marks,
}

impl Candidate {
    /// Whether an earlier delivery of the request made it.
    pub(super) fn is_of(&self, request: &Marks) -> bool {
        self.marks.request == request.request
    }

    /// Whether an earlier delivery of the request made and finished it.
    pub(super) fn is_finished(&self) -> bool {
        !self.pending && self.marks.unowned_since.is_none()
    }

    /// Whether it is nobody's any more and was under the alias that the request names.
    fn is_left_for(&self, request: &Marks, now: u64) -> bool {
        let was_under_it = self.marks.alias.is_some() && self.marks.alias == request.alias;
        let is_abandoned = self.marks.unowned_since.is_some_and(|since| {
            // A deletion that was cancelled leaves a disabled key; one that is being made is enabled to the end.
            self.marks.resource == request.resource || !self.enabled || now > since + ABANDONED.as_secs()
        });
        was_under_it && (self.pending || (!self.aliased && is_abandoned))
    }
}

/// The key to take up, if there is one: the request's own before one that waits for its deletion before one whose create
/// died, and the youngest of several. One of another kind cannot become what the template says, so it is left.
pub(super) fn choose<'a>(candidates: &'a [Candidate], request: &Marks, kind: &Kind, now: u64) -> Option<&'a Candidate> {
    let left = |candidate: &&Candidate| {
        if !candidate.is_left_for(request, now) {
            return false;
        }
        if candidate.kind != *kind {
            tracing::warn!(
                "{} was under this alias and is not recovered: it is a {} for {}{}, and the template wants another; a new key \
                 is made",
                candidate.arn,
                candidate.kind.spec,
                candidate.kind.usage,
                if candidate.kind.multi_region { " of several regions" } else { "" }
            );
        }
        candidate.kind == *kind
    };
    let own = candidates.iter().find(|candidate| candidate.is_of(request));
    own.or_else(|| candidates.iter().filter(left).max_by_key(|candidate| (candidate.pending, candidate.created)))
}

/// The time in seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn marks(alias: &str, resource: &str, request: &str) -> Marks {
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Marks { alias: text(alias), resource: text(resource), request: text(request), unowned_since: None }
    }

    fn kind() -> Kind {
        Kind { spec: "SYMMETRIC_DEFAULT".into(), usage: "ENCRYPT_DECRYPT".into(), multi_region: false }
    }

    fn candidate(id: &str, marks: Marks) -> Candidate {
        let arn = KeyArn::parse(&format!("arn:aws:kms:eu-west-1:123456789012:key/{id}")).expect("reads");
        Candidate { arn, kind: kind(), pending: false, enabled: true, aliased: false, created: 1, marks }
    }

    fn chosen(candidates: &[Candidate], request: &Marks) -> Option<String> {
        choose(candidates, request, &kind(), NOW).map(|candidate| candidate.arn.key_id().to_owned())
    }

    #[test]
    fn marks_come_back_from_their_tags() {
        let marks = Marks { unowned_since: Some(NOW), ..marks("alias/a", "r", "q") };
        assert_eq!(marks.clone().into_tags().len(), 4, "the model lets a template have as many fewer than KMS's 50");
        assert!(marks.clone().into_tags().keys().all(|key| key.starts_with(PREFIX)));
        assert_eq!(Marks::of_tags(&marks.clone().into_tags()), marks);
        assert_eq!(Marks::of_tags(&BTreeMap::new()), Marks::default());
    }

    #[test]
    fn what_is_somebody_s_is_left_alone() {
        let request = marks("alias/a", "r", "q");
        let unowned = |since| Marks { unowned_since: Some(since), ..marks("alias/a", "other", "other") };
        for (why, candidate) in [
            ("a live key", candidate("k", marks("alias/a", "r", "other"))),
            ("one of another alias", Candidate { pending: true, ..candidate("k", marks("alias/b", "r", "other")) }),
            ("one without an alias", Candidate { pending: true, ..candidate("k", marks("", "r", "other")) }),
            ("one that another stack makes at this moment", candidate("k", unowned(NOW - 60))),
            ("one that has an alias", Candidate { aliased: true, ..candidate("k", unowned(1)) }),
            (
                "one of another kind",
                Candidate { pending: true, kind: Kind { multi_region: true, ..kind() }, ..candidate("k", unowned(1)) },
            ),
        ] {
            assert_eq!(chosen(&[candidate], &request), None, "{why}");
        }
        // Requests without an alias have it in common that they have none.
        let nameless = Candidate { pending: true, ..candidate("k", marks("", "other", "other")) };
        assert_eq!(chosen(&[nameless], &marks("", "r", "q")), None);
    }

    #[test]
    fn what_is_nobody_s_is_taken_and_the_request_s_own_before_it() {
        let request = marks("alias/a", "r", "q");
        let own = candidate("own", marks("alias/b", "r", "q"));
        let pending = |id, created| Candidate {
            pending: true,
            created,
            ..candidate(id, Marks { unowned_since: Some(NOW), ..marks("alias/a", "other", "other") })
        };
        let unowned = |id, resource, since| {
            candidate(id, Marks { unowned_since: Some(since), ..marks("alias/a", resource, "other") })
        };
        let died = unowned("died", "other", NOW - 4_000);
        assert_eq!(
            chosen(&[died.clone(), pending("old", 1), pending("new", 2), own], &request).as_deref(),
            Some("own")
        );
        assert_eq!(chosen(&[died.clone(), pending("new", 2), pending("old", 1)], &request).as_deref(), Some("new"));
        assert_eq!(chosen(&[died], &request).as_deref(), Some("died"));
        assert_eq!(chosen(&[unowned("same stack", "r", NOW)], &request).as_deref(), Some("same stack"));
        let cancelled = Candidate { enabled: false, ..unowned("cancelled", "other", NOW) };
        assert_eq!(chosen(&[cancelled], &request).as_deref(), Some("cancelled"));
    }
}
