//! Both listings side by side, in bounded memory.
//!
//! S3 lists keys, Azure lists names, both in the order of their bytes. A key that Azure can hold as it is has itself as its name,
//! so that those two lists are merged as they come. A name with an escape stands elsewhere than its key: such keys and blobs are
//! set aside until the other side shows up, which is soon, since both lists move on together. No more than [`ASIDE`] are set aside
//! on each side; beyond that they are handed out as if they had no other side, and so is whatever one of the services lists in
//! another order. So **a lone side is a question, not a finding**: whoever takes it asks both services for this one key.

use std::{collections::HashMap, pin::Pin};

use futures::{
    Stream, StreamExt as _,
    stream::{self, Peekable},
};

use super::{bucket::Entry, container::Copy};
use crate::{Result, name};

/// How many are set aside on each side at most.
const ASIDE: usize = 50_000;

/// What both sides have under one name, as far as the listings tell.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    /// The blob's name.
    pub(crate) name: String,
    /// The object.
    pub(crate) entry: Option<Entry>,
    /// Its copy.
    pub(crate) copy: Option<Copy>,
}

type Boxed<'a, T> = Pin<Box<dyn Stream<Item = Result<T>> + Send + 'a>>;

struct Merge<'a> {
    prefix: String,
    entries: Peekable<Boxed<'a, Entry>>,
    copies: Peekable<Boxed<'a, Copy>>,
    aside: Aside,
}

#[derive(Default)]
struct Aside {
    most: usize,
    entries: HashMap<String, Entry>,
    copies: HashMap<String, Copy>,
}

/// Merges two listings. `prefix` stands before every key in a blob's name.
pub(crate) fn pairs<'a>(
    prefix: &str,
    entries: impl Stream<Item = Result<Entry>> + Send + 'a,
    copies: impl Stream<Item = Result<Copy>> + Send + 'a,
) -> impl Stream<Item = Result<Pair>> + 'a {
    merge(prefix, entries, copies, ASIDE)
}

fn merge<'a>(
    prefix: &str,
    entries: impl Stream<Item = Result<Entry>> + Send + 'a,
    copies: impl Stream<Item = Result<Copy>> + Send + 'a,
    most: usize,
) -> impl Stream<Item = Result<Pair>> + 'a {
    let merge = Merge {
        prefix: prefix.to_owned(),
        entries: (Box::pin(entries) as Boxed<'a, Entry>).peekable(),
        copies: (Box::pin(copies) as Boxed<'a, Copy>).peekable(),
        aside: Aside { most, ..Aside::default() },
    };
    stream::try_unfold(merge, |mut merge| async move { Ok(merge.next().await?.map(|pair| (pair, merge))) })
}

impl Merge<'_> {
    async fn next(&mut self) -> Result<Option<Pair>> {
        loop {
            let (mut entries, mut copies) = (Pin::new(&mut self.entries), Pin::new(&mut self.copies));
            let (entry, copy) = tokio::join!(entries.as_mut().peek(), copies.as_mut().peek());
            let (take_entry, take_copy) = match (entry, copy) {
                (None, None) => return Ok(self.aside.rest()),
                (Some(Err(_)), _) => (true, false),
                (_, Some(Err(_))) => (false, true),
                (Some(Ok(entry)), _) if !is_plain(&self.prefix, &entry.key) => {
                    let Some(entry) = self.entries.next().await.transpose()? else { continue };
                    let name = name::encode(&self.prefix, &entry.key);
                    match self.aside.put_entry(name, entry) {
                        Some(pair) => return Ok(Some(pair)),
                        None => continue,
                    }
                }
                (_, Some(Ok(copy))) if copy.name[self.prefix.len().min(copy.name.len())..].contains('!') => {
                    let Some(copy) = self.copies.next().await.transpose()? else { continue };
                    match self.aside.put_copy(copy) {
                        Some(pair) => return Ok(Some(pair)),
                        None => continue,
                    }
                }
                (Some(Ok(_)), None) => (true, false),
                (None, Some(Ok(_))) => (false, true),
                (Some(Ok(entry)), Some(Ok(copy))) => {
                    let order = copy.name.strip_prefix(&self.prefix).unwrap_or(&copy.name).cmp(&entry.key);
                    (order.is_ge(), order.is_le())
                }
            };
            let entry = if take_entry { self.entries.next().await.transpose()? } else { None };
            let copy = if take_copy { self.copies.next().await.transpose()? } else { None };
            let name = match (&entry, &copy) {
                (Some(entry), _) => name::encode(&self.prefix, &entry.key),
                (None, Some(copy)) => copy.name.clone(),
                (None, None) => continue,
            };
            return Ok(Some(Pair { name, entry, copy }));
        }
    }
}

/// Whether a key is its own name.
fn is_plain(prefix: &str, key: &str) -> bool {
    name::encode(prefix, key)[prefix.len()..] == *key
}

impl Aside {
    fn put_entry(&mut self, name: String, entry: Entry) -> Option<Pair> {
        if let Some(copy) = self.copies.remove(&name) {
            return Some(Pair { name, entry: Some(entry), copy: Some(copy) });
        }
        let over = (self.entries.len() >= self.most).then(|| self.lone_entry()).flatten();
        self.entries.insert(name, entry);
        over
    }

    fn put_copy(&mut self, copy: Copy) -> Option<Pair> {
        if let Some(entry) = self.entries.remove(&copy.name) {
            return Some(Pair { name: copy.name.clone(), entry: Some(entry), copy: Some(copy) });
        }
        let over = (self.copies.len() >= self.most).then(|| self.lone_copy()).flatten();
        self.copies.insert(copy.name.clone(), copy);
        over
    }

    fn lone_entry(&mut self) -> Option<Pair> {
        let name = self.entries.keys().next()?.clone();
        let entry = self.entries.remove(&name);
        Some(Pair { name, entry, copy: None })
    }

    fn lone_copy(&mut self) -> Option<Pair> {
        let name = self.copies.keys().next()?.clone();
        let copy = self.copies.remove(&name);
        Some(Pair { name, entry: None, copy })
    }

    fn rest(&mut self) -> Option<Pair> {
        self.lone_entry().or_else(|| self.lone_copy())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use futures::TryStreamExt as _;
    use proptest::prelude::*;

    use super::*;

    fn entry(key: &str) -> Entry {
        Entry { key: key.to_owned(), size: 0, etag: None, version: None, class: String::new() }
    }

    fn copy(name: &str) -> Copy {
        Copy { name: name.to_owned(), etag: String::new(), size: 0, version: None, archived: false, record: None }
    }

    /// What is said of each name: in how many pairs each side of it comes.
    fn merged(
        prefix: &str,
        keys: &BTreeSet<String>,
        names: &BTreeSet<String>,
        most: usize,
    ) -> BTreeMap<String, (u8, u8, u8)> {
        let entries = stream::iter(keys.iter().map(|key| Ok(entry(key))).collect::<Vec<_>>());
        let copies = stream::iter(names.iter().map(|name| Ok(copy(name))).collect::<Vec<_>>());
        let all = merge(prefix, entries, copies, most).try_collect::<Vec<_>>();
        let mut seen: BTreeMap<String, (u8, u8, u8)> = BTreeMap::new();
        for pair in futures::executor::block_on(all).unwrap() {
            let seen = seen.entry(pair.name).or_default();
            match (pair.entry, pair.copy) {
                (Some(_), Some(_)) => seen.0 += 1,
                (Some(_), None) => seen.1 += 1,
                (None, Some(_)) => seen.2 += 1,
                (None, None) => panic!("an empty pair"),
            }
        }
        seen
    }

    proptest! {
        #[test]
        fn every_name_comes_once_with_both_its_sides(
            keys in proptest::collection::btree_set("[ab ./!\\\\\t]{1,6}", 0..30),
            others in proptest::collection::btree_set("[ab ./!\\\\\t]{1,6}", 0..30),
            left_out in 0usize..4,
            prefix in "|p/",
        ) {
            let copied = keys.iter().enumerate().filter(|(at, _)| left_out == 0 || at % 4 != left_out).map(|(_, key)| key);
            let names: BTreeSet<_> = copied.chain(&others).map(|key| name::encode(&prefix, key)).collect();
            let seen = merged(&prefix, &keys, &names, 1000);
            let own: BTreeSet<_> = keys.iter().map(|key| name::encode(&prefix, key)).collect();
            for name in own.union(&names) {
                let expected = match (own.contains(name), names.contains(name)) {
                    (true, true) => (1, 0, 0),
                    (true, false) => (0, 1, 0),
                    _ => (0, 0, 1),
                };
                prop_assert_eq!(seen.get(name), Some(&expected), "{}", name);
            }
            prop_assert_eq!(seen.len(), own.union(&names).count());
        }

        #[test]
        fn with_little_memory_nothing_is_lost(keys in proptest::collection::btree_set("[ab!]{1,6}", 0..30)) {
            let names: BTreeSet<_> = keys.iter().map(|key| name::encode("", key)).collect();
            let seen = merged("", &keys, &names, 1);
            prop_assert_eq!(seen.keys().cloned().collect::<BTreeSet<_>>(), names);
            for (name, (both, entries, copies)) in seen {
                prop_assert!(both == 1 && entries + copies == 0 || both == 0 && entries == 1 && copies == 1, "{}", name);
            }
        }
    }
}
