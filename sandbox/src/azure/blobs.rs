//! A tiny blob endpoint, for when there is no Azurite: enough to fill, list and empty a container.
//!
//! `/_blob/ACCOUNT/CONTAINER[/BLOB]`. Versions, soft delete and snapshots behave as the account's blob service is set.

use std::collections::BTreeMap;
use std::fmt::Write;

use hyper::body::Bytes;
use uuid::Uuid;

use super::http::{Answer, Outcome, Request, http_date, timestamp};

/// The path under which the endpoint is served.
pub(super) const PREFIX: &str = "/_blob/";

/// Every blob, by account and container.
#[derive(Default)]
pub(super) struct Blobs(BTreeMap<(String, String), Vec<Blob>>);

#[derive(Clone)]
struct Blob {
    name: String,
    /// What a listing without `include` shows; the rest are versions, snapshots and deleted blobs.
    state: Lives,
    stamp: String,
    modified: String,
    bytes: Bytes,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lives {
    Current,
    Version,
    Snapshot,
    Deleted,
}

/// How the account's blob service is set.
#[derive(Clone, Copy, Default)]
pub(super) struct Protection {
    pub(super) versioning: bool,
    pub(super) soft_delete: bool,
    pub(super) change_feed: bool,
}

/// Where a path of the endpoint points to.
pub(super) struct Place<'a> {
    pub(super) account: &'a str,
    pub(super) container: &'a str,
    blob: Option<&'a str>,
}

impl Place<'_> {
    pub(super) fn parse(path: &str) -> Option<Place<'_>> {
        let mut parts = path.strip_prefix(PREFIX)?.splitn(3, '/');
        Some(Place {
            account: parts.next().filter(|part| !part.is_empty())?,
            container: parts.next().filter(|part| !part.is_empty())?,
            blob: parts.next().filter(|part| !part.is_empty()),
        })
    }
}

impl Blobs {
    pub(super) fn remove_container(&mut self, account: &str, container: &str) {
        self.0.remove(&(account.into(), container.into()));
    }

    /// Puts a blob in place; the one of the same name becomes a version if the account keeps versions.
    pub(super) fn put(&mut self, place: (&str, &str, &str), bytes: Bytes, protection: Protection) {
        let (account, container, name) = place;
        let blobs = self.0.entry((account.into(), container.into())).or_default();
        displace(blobs, name, protection.versioning.then_some(Lives::Version));
        blobs.push(Blob { name: name.into(), state: Lives::Current, stamp: timestamp(), modified: http_date(), bytes });
        blobs.sort_by(|a, b| (&a.name, &a.stamp).cmp(&(&b.name, &b.stamp)));
    }

    /// Serves a request for a container that exists.
    pub(super) fn serve(&mut self, request: &Request, place: &Place<'_>, protection: Protection) -> Outcome {
        let parameters = request.parameters();
        let parameter = |name: &str| parameters.get(name).map(String::as_str);
        let key = (place.account.to_owned(), place.container.to_owned());
        match (request.method.as_str(), place.blob, parameter("comp")) {
            ("GET", None, Some("list")) => Ok(self.list(request, &key)),
            ("GET" | "HEAD", None, None) => Ok(Answer::empty(200)),
            ("PUT", Some(name), None) => {
                let place = (place.account, place.container, name);
                self.put(place, request.body.clone(), protection);
                Ok(Answer::empty(201).with("etag", etag()).with("last-modified", http_date()))
            }
            ("PUT", Some(name), Some("snapshot")) => {
                let mut copy = self.current(&key, name)?.clone();
                copy.state = Lives::Snapshot;
                copy.stamp = timestamp();
                let stamp = copy.stamp.clone();
                // A list shows the snapshots of a blob before it.
                let blobs = self.0.entry(key).or_default();
                let at = blobs.iter().position(|blob| blob.name == name && blob.state == Lives::Current);
                blobs.insert(at.unwrap_or(blobs.len()), copy);
                Ok(Answer::empty(201).with("x-ms-snapshot", stamp))
            }
            ("GET" | "HEAD", Some(name), None) => {
                let blob = self.current(&key, name)?;
                Ok(Answer::of(200, "application/octet-stream", blob.bytes.clone())
                    .with("last-modified", blob.modified.clone())
                    .with("x-ms-blob-type", "BlockBlob"))
            }
            ("DELETE", Some(name), None) => {
                if let Some(stamp) = parameter("versionid").or(parameter("snapshot")) {
                    let blobs = self.0.entry(key).or_default();
                    blobs.retain(|blob| blob.name != name || blob.stamp != stamp);
                    return Ok(Answer::empty(202));
                }
                self.current(&key, name)?;
                let blobs = self.0.entry(key).or_default();
                let has_snapshots = |blob: &Blob| blob.name == name && blob.state == Lives::Snapshot;
                if blobs.iter().any(has_snapshots) {
                    match request.header("x-ms-delete-snapshots") {
                        Some("include") => blobs.retain(|blob| !has_snapshots(blob)),
                        _ => {
                            return Err(error(
                                409,
                                "SnapshotsPresent",
                                "This operation is not permitted while the blob has snapshots.",
                            ));
                        }
                    }
                }
                displace(
                    blobs,
                    name,
                    match protection {
                        Protection { versioning: true, .. } => Some(Lives::Version),
                        Protection { soft_delete: true, .. } => Some(Lives::Deleted),
                        _ => None,
                    },
                );
                Ok(Answer::empty(202))
            }
            _ => Err(error(400, "UnsupportedOperation", "The emulator's blob endpoint does not know this operation.")),
        }
    }

    fn current(&self, key: &(String, String), name: &str) -> Result<&Blob, Answer> {
        self.0
            .get(key)
            .into_iter()
            .flatten()
            .find(|blob| blob.name == name && blob.state == Lives::Current)
            .ok_or_else(|| error(404, "BlobNotFound", "The specified blob does not exist."))
    }

    fn list(&self, request: &Request, key: &(String, String)) -> Answer {
        let parameters = request.parameters();
        let parameter = |name: &str| parameters.get(name).map_or("", String::as_str);
        let include: Vec<&str> = parameter("include").split(',').collect();
        let shown = |blob: &&Blob| {
            blob.name.starts_with(parameter("prefix"))
                && match blob.state {
                    Lives::Current => true,
                    Lives::Version => include.contains(&"versions"),
                    Lives::Snapshot => include.contains(&"snapshots"),
                    Lives::Deleted => include.contains(&"deleted"),
                }
        };
        let size = parameter("maxresults").parse().unwrap_or(5000_usize).clamp(1, 5000);
        let start = parameter("marker").parse().unwrap_or(0_usize);
        let all: Vec<&Blob> = self.0.get(key).into_iter().flatten().filter(shown).collect();
        let next = start + size;
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults><Blobs>");
        for blob in all.iter().skip(start).take(size) {
            blob.write(&mut xml);
        }
        xml.push_str("</Blobs>");
        match next < all.len() {
            true => _ = write!(xml, "<NextMarker>{next}</NextMarker>"),
            false => xml.push_str("<NextMarker/>"),
        }
        xml.push_str("</EnumerationResults>");
        Answer::of(200, "application/xml", xml)
    }
}

impl Blob {
    fn write(&self, xml: &mut String) {
        _ = write!(xml, "<Blob><Name>{}</Name>", escape(&self.name));
        match self.state {
            Lives::Current => {}
            Lives::Version => _ = write!(xml, "<VersionId>{}</VersionId>", self.stamp),
            Lives::Snapshot => _ = write!(xml, "<Snapshot>{}</Snapshot>", self.stamp),
            Lives::Deleted => xml.push_str("<Deleted>true</Deleted>"),
        }
        _ = write!(
            xml,
            "<Properties><Last-Modified>{}</Last-Modified><Etag>{}</Etag>\
             <Content-Length>{}</Content-Length><Content-Type>application/octet-stream</Content-Type>\
             <BlobType>BlockBlob</BlobType></Properties></Blob>",
            self.modified,
            etag(),
            self.bytes.len()
        );
    }
}

/// Takes the current blob of that name away, or makes it what `becomes` says.
fn displace(blobs: &mut Vec<Blob>, name: &str, becomes: Option<Lives>) {
    let is_current = |blob: &Blob| blob.name == name && blob.state == Lives::Current;
    match becomes {
        Some(state) => blobs.iter_mut().filter(|blob| is_current(blob)).for_each(|blob| blob.state = state),
        None => blobs.retain(|blob| !is_current(blob)),
    }
}

/// An error of the blob data plane.
pub(super) fn error(status: u16, code: &str, message: &str) -> Answer {
    let id = Uuid::new_v4();
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>{message}\n\
         RequestId:{id}\nTime:{}</Message></Error>",
        timestamp()
    );
    Answer::of(status, "application/xml", xml).with("x-ms-error-code", code)
}

/// A fresh entity tag in the form storage uses.
pub(super) fn etag() -> String {
    let id = Uuid::new_v4().simple().to_string().to_uppercase();
    format!("\"0x8D{}\"", &id[..13])
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
