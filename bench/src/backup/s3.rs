//! S3, as far as a copy needs it: one bucket of equal objects, by path, whatever the signature.

use super::{
    content::Reply,
    scene::{Call, World},
    server::{Service, parameter, status, text},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::{Method, Request, Response, body::Incoming};
use std::{fmt::Write as _, sync::Arc};

/// The bucket.
pub(super) const BUCKET: &str = "bucket";
/// Not an MD5, as of an object that came in parts: so no tool computes one to compare.
const ETAG: &str = "0f343b0931126a20f133d67c2b018a3b-1";
/// The version of every object.
pub(super) const VERSION: &str = "3sL4kqtJlcpXroDTDmJrmSpXd3dIbrHY";
const MODIFIED: &str = "Mon, 05 Jan 2026 10:11:12 GMT";
/// The most keys of one answer.
const PAGE: u64 = 1000;

/// The key of an object by its number.
pub(super) fn key(number: u64) -> String {
    format!("object-{number:09}")
}

fn number(key: &str) -> Option<u64> {
    key.strip_prefix("object-")?.parse().ok()
}

/// The stub.
pub(super) struct S3(pub(super) Arc<World>);

impl Service for S3 {
    async fn answer(&self, request: Request<Incoming>) -> Response<Reply> {
        let scene = self.0.scene();
        if !scene.delay.is_zero() {
            tokio::time::sleep(scene.delay).await;
        }
        let path = request.uri().path().trim_start_matches('/');
        let query = request.uri().query().unwrap_or_default();
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        if bucket != BUCKET || !matches!(*request.method(), Method::GET | Method::HEAD) {
            return status(404);
        }
        if key.is_empty() {
            self.0.count(Call::List);
            return self.list(query);
        }
        if number(key).is_none_or(|number| number >= scene.objects) {
            return status(404);
        }
        if parameter(query, "tagging").is_some() {
            self.0.count(Call::Look);
            return text(200, "application/xml", "<Tagging><TagSet></TagSet></Tagging>".to_owned());
        }
        self.object(&request)
    }
}

impl S3 {
    fn object(&self, request: &Request<Incoming>) -> Response<Reply> {
        let size = self.0.scene().size;
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let mut answer = Response::builder()
            .header("content-type", "binary/octet-stream")
            .header("accept-ranges", "bytes")
            .header("etag", format!("\"{ETAG}\""))
            .header("last-modified", MODIFIED)
            .header("x-amz-version-id", VERSION)
            .header("x-amz-server-side-encryption", "AES256")
            .header("x-amz-request-id", "656c76696e6727732");
        let (mut begin, mut end) = (0, size);
        if let Some(range) = header("range") {
            let Some(range) = read_range(range, size) else { return status(416) };
            (begin, end) = range;
            let range = format!("bytes {begin}-{}/{size}", end - 1);
            answer = answer.status(206).header("content-range", range);
        } else if header("x-amz-checksum-mode").is_some() {
            let crc64 = STANDARD.encode(self.0.crc64().to_be_bytes());
            answer = answer.header("x-amz-checksum-crc64nvme", crc64).header("x-amz-checksum-type", "FULL_OBJECT");
        }
        answer = answer.header("content-length", end - begin);
        let body = match *request.method() {
            Method::HEAD => {
                self.0.count(Call::Look);
                Reply::Whole(Default::default())
            }
            _ => {
                self.0.count(Call::Get);
                self.0.content.range(begin, end)
            }
        };
        answer.body(body).expect("the headers are printable")
    }

    /// ListObjectsV2. The token is the number of the next object.
    fn list(&self, query: &str) -> Response<Reply> {
        let scene = self.0.scene();
        let limit = parameter(query, "max-keys").and_then(|limit| limit.parse().ok()).unwrap_or(PAGE).min(PAGE);
        let begin: u64 = parameter(query, "continuation-token").and_then(|token| token.parse().ok()).unwrap_or(0);
        let prefix = parameter(query, "prefix").unwrap_or_default();
        let end = (begin + limit).min(scene.objects);
        let mut contents = String::new();
        let mut count = 0;
        for key in (begin..end).map(key).filter(|key| key.starts_with(prefix)) {
            count += 1;
            let _ = write!(
                contents,
                "<Contents><Key>{key}</Key><LastModified>2026-01-05T10:11:12.000Z</LastModified>\
                 <ETag>&quot;{ETAG}&quot;</ETag><Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>",
                scene.size
            );
        }
        let more = end < scene.objects;
        let token = if more { format!("<NextContinuationToken>{end}</NextContinuationToken>") } else { String::new() };
        text(
            200,
            "application/xml",
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                 <Name>{BUCKET}</Name><Prefix>{prefix}</Prefix><KeyCount>{count}</KeyCount><MaxKeys>{limit}</MaxKeys>\
                 <IsTruncated>{more}</IsTruncated>{token}{contents}</ListBucketResult>"
            ),
        )
    }
}

/// `bytes=FIRST-LAST` or `bytes=FIRST-`, as begin and end.
fn read_range(text: &str, size: u64) -> Option<(u64, u64)> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let begin = first.parse().ok()?;
    let end = if last.is_empty() { size } else { last.parse::<u64>().ok()?.checked_add(1)?.min(size) };
    (begin < end).then_some((begin, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (text, expected) in [
            ("bytes=0-9", Some((0, 10))),
            ("bytes=90-", Some((90, 100))),
            ("bytes=90-200", Some((90, 100))),
            ("bytes=100-", None),
            ("bytes=5-4", None),
            ("items=0-9", None),
        ] {
            assert_eq!(read_range(text, 100), expected, "{text}");
        }
    }

    #[test]
    fn keys_have_numbers() {
        assert_eq!((number(&key(12)), number("other")), (Some(12), None));
    }
}
