//! ARM ids, parsed once and compared without case.

use std::fmt;

/// The id of one resource: pairs of segments below a subscription.
///
/// Fixed words are kept in canonical casing, names as they were given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Id(Vec<String>);

impl Id {
    /// Reads a path such as `/subscriptions/S/resourceGroups/G/providers/N/T/NAME`; none if it names no resource.
    ///
    /// `types` gives the canonical casing of provider namespaces and types.
    pub(super) fn parse(path: &str, types: &[&str]) -> Option<Id> {
        let mut segments: Vec<String> = path.trim_matches('/').split('/').map(str::to_owned).collect();
        if segments.iter().any(String::is_empty) {
            return None;
        }
        for (at, word) in [(0, "subscriptions"), (2, "resourceGroups")] {
            match segments.get_mut(at) {
                Some(segment) if segment.eq_ignore_ascii_case(word) => *segment = word.into(),
                Some(segment) if at == 2 && segment.eq_ignore_ascii_case("providers") => {}
                Some(_) => return None,
                None => {}
            }
        }
        let id = Id(segments);
        match id.provider() {
            None => matches!(id.0.len(), 2 | 4).then_some(id),
            Some(at) if at + 3 < id.0.len() && (id.0.len() - at).is_multiple_of(2) => Some(id.canonical(at, types)),
            Some(_) => None,
        }
    }

    /// Where the last `providers` is, for extension resources hang below another resource's id.
    fn provider(&self) -> Option<usize> {
        let is_provider = |segment: &String| segment.eq_ignore_ascii_case("providers");
        self.0.iter().rposition(is_provider)
    }

    fn canonical(mut self, provider: usize, types: &[&str]) -> Id {
        self.0[provider] = "providers".into();
        let own = self.type_name().to_lowercase();
        let known = types.iter().find(|known| known.to_lowercase() == own);
        if let Some(known) = known {
            let mut words = known.split('/');
            let positions = std::iter::once(provider + 1).chain((provider + 2..).step_by(2));
            for at in positions {
                match words.next() {
                    Some(word) => self.0[at] = word.into(),
                    None => break,
                }
            }
        }
        self
    }

    /// `Microsoft.Storage/storageAccounts/blobServices` and the like.
    pub(super) fn type_name(&self) -> String {
        match self.provider() {
            Some(at) => {
                let mut name = self.0[at + 1].clone();
                for word in self.0[at + 2..].iter().step_by(2) {
                    name.push('/');
                    name.push_str(word);
                }
                name
            }
            None if self.0.len() == 4 => "Microsoft.Resources/resourceGroups".into(),
            None => "Microsoft.Resources/subscriptions".into(),
        }
    }

    /// The last segment.
    pub(super) fn name(&self) -> &str {
        self.0.last().map_or("", String::as_str)
    }

    /// The key under which the state keeps the resource.
    pub(super) fn key(&self) -> String {
        self.to_string().to_lowercase()
    }

    /// What must exist for this to exist; none for a subscription.
    pub(super) fn parent(&self) -> Option<Id> {
        let keep = match self.provider() {
            Some(at) if self.0.len() == at + 4 => at,
            _ => self.0.len() - 2,
        };
        (keep > 0).then(|| Id(self.0[..keep].to_vec()))
    }

    /// The resource of type `kind` below this one.
    pub(super) fn child(&self, kind: &str, name: &str) -> Id {
        let mut segments = self.0.clone();
        segments.extend([kind.to_owned(), name.to_owned()]);
        Id(segments)
    }

    /// The same id, with the parent spelled as it spells itself.
    pub(super) fn below(&self, parent: &str) -> Id {
        let parent: Vec<String> = parent.trim_matches('/').split('/').map(str::to_owned).collect();
        let rest = self.0.get(parent.len()..).unwrap_or_default().to_vec();
        Id([parent, rest].concat())
    }

    /// The id of an extension resource in the casing of Azure Monitor: all in lower case but its own type and name.
    pub(super) fn below_lower_case(&self) -> String {
        let text = self.to_string();
        let (above, own) = text.split_at(text.len() - self.0[self.0.len() - 2..].join("/").len());
        format!("{}{own}", above.to_lowercase())
    }

    pub(super) fn subscription(&self) -> &str {
        self.0.get(1).map_or("", String::as_str)
    }

    /// The name of the resource group, if the id is in one.
    pub(super) fn group(&self) -> Option<&str> {
        match self.0.get(2) {
            Some(word) if word == "resourceGroups" => self.0.get(3).map(String::as_str),
            _ => None,
        }
    }

    /// The id of the resource group, if the id is in one.
    pub(super) fn group_id(&self) -> Option<Id> {
        self.group().map(|_| Id(self.0[..4].to_vec()))
    }

    /// The name at `depth` of the type's chain: 0 for the account in `storageAccounts/A/blobServices/default`.
    pub(super) fn ancestor(&self, depth: usize) -> &str {
        self.provider().and_then(|at| self.0.get(at + 3 + 2 * depth)).map_or("", String::as_str)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0.join("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPES: &[&str] = &["Microsoft.Storage/storageAccounts", "Microsoft.Storage/storageAccounts/blobServices"];

    #[test]
    fn parses_and_names_the_parent() {
        let table = [
            ("/subscriptions/s", "Microsoft.Resources/subscriptions", None),
            ("/Subscriptions/s/resourcegroups/G", "Microsoft.Resources/resourceGroups", Some("/subscriptions/s")),
            (
                "/subscriptions/s/resourceGroups/G/providers/microsoft.storage/STORAGEaccounts/a",
                "Microsoft.Storage/storageAccounts",
                Some("/subscriptions/s/resourceGroups/G"),
            ),
            (
                "/subscriptions/s/resourceGroups/G/providers/Microsoft.Storage/storageAccounts/a/blobservices/default",
                "Microsoft.Storage/storageAccounts/blobServices",
                Some("/subscriptions/s/resourceGroups/G/providers/Microsoft.Storage/storageAccounts/a"),
            ),
            (
                "/subscriptions/s/resourceGroups/G/providers/Microsoft.Storage/storageAccounts/a/providers/X.Y/z/n",
                "X.Y/z",
                Some("/subscriptions/s/resourceGroups/G/providers/Microsoft.Storage/storageAccounts/a"),
            ),
        ];
        for (path, kind, parent) in table {
            let id = Id::parse(path, TYPES).unwrap();
            assert_eq!(id.type_name(), kind, "{path}");
            assert_eq!(id.parent().map(|p| p.to_string()).as_deref(), parent, "{path}");
            assert_eq!(id.key(), path.to_lowercase());
        }
    }

    #[test]
    fn collections_and_nonsense_are_no_ids() {
        for path in [
            "/",
            "/subscriptions",
            "/subscriptions/s/resourceGroups",
            "/subscriptions/s/providers/Microsoft.Storage/storageAccounts",
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts",
            "/subscriptions/s/resourceGroups//providers/Microsoft.Storage/storageAccounts/a",
            "/tenants/s",
        ] {
            assert_eq!(Id::parse(path, TYPES), None, "{path}");
        }
    }
}
