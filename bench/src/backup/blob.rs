//! Blob Storage, as far as a copy needs it: one container that counts what arrives and keeps no bytes, whatever the credential.

use super::{
    content::Reply,
    scene::{Blob, Blobs, Call, World},
    server::{Service, header, parameter, status, text},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use crc_fast::{CrcAlgorithm::Crc64Nvme, Digest};
use http_body_util::BodyExt;
use hyper::{HeaderMap, Method, Request, Response, body::Incoming};
use std::{fmt::Write as _, sync::Arc};

/// The account, which is the first part of the path, as clients have it where the host is an address.
pub(super) const ACCOUNT: &str = "backup7f3a";
/// The container.
pub(super) const CONTAINER: &str = "container";
/// A right to write, which nobody checks.
pub(super) const SAS: &str = "sv=2023-11-03&ss=b&srt=sco&sp=rwdlac&se=2030-01-01T00%3A00%3A00Z&sig=ZXhhbXBsZQ%3D%3D";
const ETAG: &str = "\"0x8DE4C4E5B0F1A2B\"";
const MODIFIED: &str = "Mon, 05 Jan 2026 10:11:13 GMT";
/// The most blobs of one answer.
const PAGE: usize = 5000;

/// The stub.
pub(super) struct BlobService(pub(super) Arc<World>);

/// A body that arrived.
struct Arrived {
    length: u64,
    /// As a header has it; None if nobody asked for a check.
    crc64: Option<String>,
    /// Only of a block list, which is read.
    text: String,
}

impl Service for BlobService {
    async fn answer(&self, request: Request<Incoming>) -> Response<Reply> {
        let delay = self.0.scene().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let (parts, body) = request.into_parts();
        let query = parts.uri.query().unwrap_or_default();
        let path = parts.uri.path().trim_start_matches('/');
        let path = path.strip_prefix(ACCOUNT).unwrap_or(path).trim_start_matches('/');
        let (container, name) = path.split_once('/').unwrap_or((path, ""));
        let what = parameter(query, "comp").unwrap_or_default();
        let Some(arrived) = self.read(body, what == "blocklist").await else { return status(400) };
        let sent = parts.headers.get("x-ms-content-crc64").and_then(|crc64| crc64.to_str().ok());
        if let (Some(sent), Some(computed)) = (sent, &arrived.crc64)
            && sent != computed
        {
            return refused(400, "Crc64Mismatch");
        }
        let mut answer = match (&parts.method, what) {
            _ if container != CONTAINER => refused(404, "ContainerNotFound"),
            (_, "list") => self.list(query),
            _ if name.is_empty() => self.container(&parts.method),
            (&Method::PUT, "") => self.put(name, &parts.headers, &arrived),
            (&Method::PUT, "block") => self.block(name, query, &arrived),
            (&Method::PUT, "blocklist") => self.commit(name, &parts.headers, &arrived.text),
            (&Method::GET, "blocklist") => self.blocks(name),
            (&Method::HEAD, "") => self.properties(name),
            (&Method::GET, "tags") => {
                self.0.count(Call::Look);
                text(200, "application/xml", "<Tags><TagSet></TagSet></Tags>".to_owned())
            }
            _ => refused(400, "UnsupportedOperation"),
        };
        let headers = answer.headers_mut();
        for (name, value) in
            [("x-ms-request-id", "7b1c3cfb-5d1c-4b6e-9d7e-000000000001"), ("x-ms-version", "2023-11-03")]
        {
            headers.insert(header(name), value.parse().expect("it is printable"));
        }
        if let Some(crc64) = arrived.crc64 {
            headers.insert(header("x-ms-content-crc64"), crc64.parse().expect("base64 is printable"));
        }
        answer
    }
}

impl BlobService {
    /// None if the client hung up.
    async fn read(&self, mut body: Incoming, keep: bool) -> Option<Arrived> {
        let mut digest = self.0.scene().check.then(|| Digest::new(Crc64Nvme));
        let mut arrived = Arrived { length: 0, crc64: None, text: String::new() };
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.ok()?.into_data() else { continue };
            arrived.length += data.len() as u64;
            if let Some(digest) = &mut digest {
                digest.update(&data);
            }
            if keep {
                arrived.text.push_str(&String::from_utf8_lossy(&data));
            }
        }
        arrived.crc64 = digest.map(|digest| STANDARD.encode(digest.finalize().to_le_bytes()));
        Some(arrived)
    }

    fn put(&self, name: &str, headers: &HeaderMap, arrived: &Arrived) -> Response<Reply> {
        self.0.count(Call::Put);
        self.write(name, headers, |_| Some(arrived.length))
    }

    fn block(&self, name: &str, query: &str, arrived: &Arrived) -> Response<Reply> {
        self.0.count(Call::Block);
        let Some(id) = parameter(query, "blockid") else { return refused(400, "InvalidQueryParameterValue") };
        // A block list has them as they are, a query has them encoded.
        let id = id.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=").replace("%2b", "+");
        let id = id.replace("%2f", "/").replace("%3d", "=");
        self.0.blobs().uncommitted.entry(name.to_owned()).or_default().insert(id, arrived.length);
        created(201)
    }

    fn commit(&self, name: &str, headers: &HeaderMap, list: &str) -> Response<Reply> {
        self.0.count(Call::Blocks);
        self.write(name, headers, |blobs| {
            let staged = blobs.uncommitted.remove(name).unwrap_or_default();
            let ids = ["Latest", "Uncommitted"].map(|tag| elements(list, tag));
            ids.into_iter().flatten().map(|id| staged.get(id).copied()).sum()
        })
    }

    /// Writes a blob of the size that there is when all is said and done; None if a block is missing.
    fn write(&self, name: &str, headers: &HeaderMap, size: impl Fn(&mut Blobs) -> Option<u64>) -> Response<Reply> {
        let mut blobs = self.0.blobs();
        if headers.contains_key("if-none-match") && blobs.committed.contains_key(name) {
            return refused(409, "BlobAlreadyExists");
        }
        let Some(size) = size(&mut blobs) else { return refused(400, "InvalidBlockList") };
        if self.0.scene().remember {
            blobs.committed.insert(name.to_owned(), Blob::new(size, headers));
        }
        created(201)
    }

    fn blocks(&self, name: &str) -> Response<Reply> {
        self.0.count(Call::Blocks);
        let blobs = self.0.blobs();
        let Some(staged) = blobs.uncommitted.get(name) else { return refused(404, "BlobNotFound") };
        let mut list = String::new();
        for (id, length) in staged {
            let _ = write!(list, "<Block><Name>{id}</Name><Size>{length}</Size></Block>");
        }
        let list = format!("<UncommittedBlocks>{list}</UncommittedBlocks>");
        text(200, "application/xml", format!("<BlockList><CommittedBlocks />{list}</BlockList>"))
    }

    fn properties(&self, name: &str) -> Response<Reply> {
        self.0.count(Call::Look);
        let Some(blob) = self.0.blobs().committed.get(name).cloned() else { return refused(404, "BlobNotFound") };
        let mut answer = created(200);
        answer.headers_mut().extend(blob.headers);
        for (name, value) in [
            ("content-length", blob.size.to_string()),
            ("x-ms-blob-type", "BlockBlob".to_owned()),
            ("x-ms-access-tier", "Hot".to_owned()),
            ("x-ms-lease-status", "unlocked".to_owned()),
            ("x-ms-lease-state", "available".to_owned()),
        ] {
            answer.headers_mut().insert(header(name), value.parse().expect("it is printable"));
        }
        answer
    }

    fn container(&self, method: &Method) -> Response<Reply> {
        self.0.count(Call::Container);
        match *method {
            Method::PUT => refused(409, "ContainerAlreadyExists"),
            _ => created(200),
        }
    }

    /// List Blobs. The marker is the last name of the page before.
    fn list(&self, query: &str) -> Response<Reply> {
        self.0.count(Call::List);
        let limit = parameter(query, "maxresults").and_then(|limit| limit.parse().ok()).unwrap_or(PAGE).min(PAGE);
        let prefix = parameter(query, "prefix").unwrap_or_default();
        let marker = parameter(query, "marker").unwrap_or_default();
        let blobs = self.0.blobs();
        let mut found = blobs
            .committed
            .iter()
            .filter(|(name, _)| name.as_str() > marker && name.starts_with(prefix))
            .take(limit + 1)
            .collect::<Vec<_>>();
        let mut next = "";
        if found.len() > limit {
            found.pop();
            next = found.last().map(|(name, _)| name.as_str()).unwrap_or_default();
        }
        let mut list = String::new();
        for (name, blob) in found {
            let _ = write!(
                list,
                "<Blob><Name>{name}</Name><Properties><Last-Modified>{MODIFIED}</Last-Modified><Etag>{}</Etag>\
                 <Content-Length>{}</Content-Length><Content-Type>{}</Content-Type><Content-MD5>{}</Content-MD5>\
                 <BlobType>BlockBlob</BlobType></Properties></Blob>",
                ETAG.trim_matches('"'),
                blob.size,
                blob.header(header("content-type")),
                blob.header(header("content-md5")),
            );
        }
        text(
            200,
            "application/xml",
            format!(
                "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ContainerName=\"{CONTAINER}\">\
                 <Blobs>{list}</Blobs><NextMarker>{next}</NextMarker></EnumerationResults>"
            ),
        )
    }
}

fn created(code: u16) -> Response<Reply> {
    let mut answer = status(code);
    for (name, value) in [("etag", ETAG), ("last-modified", MODIFIED), ("x-ms-request-server-encrypted", "true")] {
        answer.headers_mut().insert(header(name), value.parse().expect("it is printable"));
    }
    answer
}

fn refused(code: u16, error: &str) -> Response<Reply> {
    let said = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{error}</Code><Message>{error}</Message></Error>"
    );
    let mut answer = text(code, "application/xml", said);
    answer.headers_mut().insert(header("x-ms-error-code"), error.parse().expect("it is printable"));
    answer
}

/// What stands in every element of this name.
fn elements<'a>(xml: &'a str, name: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(open.as_str()).skip(1).filter_map(|rest| rest.split(close.as_str()).next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_lists_are_read() {
        let list = "<BlockList><Latest>YQ==</Latest><Latest>Yg==</Latest></BlockList>";
        assert_eq!(elements(list, "Latest"), ["YQ==", "Yg=="]);
        assert!(elements(list, "Uncommitted").is_empty());
    }
}
