//! One blob to one object: every byte checked against the checksum that was recorded when it was copied.
//!
//! A small object is one PUT with the recorded CRC64NVME, which S3 compares. A large one is an upload of parts, streamed, so that
//! a part of any size takes no memory; S3 says which CRC64NVME arrived, and compares that of the whole when the upload is
//! completed. An upload that was begun and not completed is gone on with: its parts are found by asking S3.
//!
//! A write is conditional, as it is towards Azure: on there being no object, or still the one that was looked at.

use std::{collections::BTreeMap, convert::Infallible};

use aws_sdk_s3::{
    primitives::{ByteStream, DateTime},
    types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart, MultipartUpload},
};
use azure_core::Bytes;
use futures::{StreamExt as _, stream};
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::sync::mpsc;

use super::{
    bucket::{created, refused},
    container::{Copy, Reading},
    far,
    headers::{Headers, described},
};
use crate::{
    Backup, Error, Reason, Result,
    block::MIB,
    checksum::{self, Algorithm, Stored, Sum, Summer},
    record::{Content, Record},
    source::Object,
};

/// The least and the largest part, and the most parts, that S3 takes; the least is larger than S3's, which is 5 MiB.
const LEAST: u64 = 16 * MIB;
const LARGEST: u64 = 5 << 30;
const MOST: u64 = 10_000;
/// How many parts of an object are under way at once.
const PARALLEL: usize = 4;
const PERMISSION: &str = "it takes the permissions s3:PutObject, s3:PutObjectTagging, s3:ListBucketMultipartUploads and s3:ListMultipartUploadParts";

/// Where objects are written, and how.
pub(crate) struct Upload<'a> {
    pub(crate) s3: &'a aws_sdk_s3::Client,
    pub(crate) backup: &'a Backup,
    pub(crate) bucket: &'a str,
    /// Whether the objects' own KMS keys are used.
    pub(crate) encryption: bool,
    /// Whether Object Lock is set as the objects had it.
    pub(crate) object_lock: bool,
}

/// A blob and the object that it becomes.
pub(crate) struct Put<'a> {
    pub(crate) key: &'a str,
    pub(crate) copy: &'a Copy,
    pub(crate) record: &'a Record,
    pub(crate) content: &'a Content,
    /// The ETag of the object that is replaced; None: there is none.
    pub(crate) replaced: Option<String>,
}

/// A part that S3 has.
#[derive(Clone, Debug)]
struct Part {
    etag: String,
    sum: Sum,
    /// Whether S3 says which checksum it has.
    checked: bool,
}

impl Upload<'_> {
    /// The object that is there now.
    pub(crate) async fn there(&self, key: &str) -> Result<Option<Object>> {
        self.backup.now(&created(self.bucket, key), far()).await
    }

    /// Writes an object, and returns whether S3 said which checksum it computed.
    ///
    /// # Errors
    /// `Conflict`: it was written by somebody else meanwhile; `Damaged`: the blob does not have the bytes that were recorded;
    /// what else stands in the way.
    pub(crate) async fn put(&self, put: &Put<'_>) -> Result<bool> {
        match put.copy.size <= self.backup.policy.small {
            true => self.whole(put).await,
            false => self.parts(put).await,
        }
    }

    async fn whole(&self, put: &Put<'_>) -> Result<bool> {
        let _memory = self.backup.memory.take(put.copy.size).await;
        let bytes = self.backup.run(far(), || self.read(put)).await?;
        if crc_fast::crc64_nvme(&bytes) != put.content.crc64 {
            return Err(damaged());
        }
        let recorded = checksum::to_s3(put.content.crc64);
        let headers = Headers::of(self, put)?;
        let write = || async {
            let (if_match, if_none_match) = conditions(put);
            let request = described!(self.s3.put_object(), headers);
            let answer = request
                .bucket(self.bucket)
                .key(put.key)
                .body(ByteStream::from(bytes.clone()))
                .checksum_crc64_nvme(&recorded)
                .set_if_match(if_match)
                .set_if_none_match(if_none_match)
                .send()
                .await
                .map_err(|error| refused(&error, PERMISSION))?;
            said(answer.checksum_crc64_nvme(), put.content.crc64)
        };
        self.written(put, self.backup.run(far(), write).await).await
    }

    async fn read(&self, put: &Put<'_>) -> Result<Bytes> {
        let mut all = Vec::with_capacity(usize::try_from(put.copy.size).unwrap_or_default());
        if put.copy.size > 0 {
            let mut reading = Reading::begin(&self.backup.target, put.copy, 0, put.copy.size).await?;
            while let Some(bytes) = reading.next().await? {
                all.extend_from_slice(&bytes);
            }
        }
        Ok(all.into())
    }

    /// The answer to a write may have been lost, and its repetition finds the object that it wrote itself.
    async fn written(&self, put: &Put<'_>, written: Result<bool>) -> Result<bool> {
        let Err(error) = &written else { return written };
        if error.reason != Reason::Conflict {
            return written;
        }
        let recorded = checksum::to_s3(put.content.crc64);
        let ours = Stored { algorithm: Algorithm::Crc64Nvme, value: recorded, full_object: true };
        match self.there(put.key).await? {
            Some(there) if there.stored == Some(ours) && there.user == put.record.user => Ok(true),
            _ => written,
        }
    }

    async fn parts(&self, put: &Put<'_>) -> Result<bool> {
        let plan = Plan::new(put.copy.size)?;
        if let Some((id, parts)) = self.begun(put, &plan).await? {
            tracing::info!(key = put.key, parts = parts.len(), "going on with an upload that was begun");
            match self.finish(put, &plan, &id, parts).await {
                // Another upload, perhaps: of the same length, with other bytes or described in another way.
                Err(error)
                    if matches!(
                        error.reason,
                        Reason::Checksum | Reason::Damaged | Reason::Gone | Reason::SourceRefused
                    ) =>
                {
                    tracing::warn!(key = put.key, %error, "uploading every part again");
                }
                done => return done,
            }
        }
        let id = self.begin(put).await?;
        self.finish(put, &plan, &id, BTreeMap::new()).await
    }

    async fn begin(&self, put: &Put<'_>) -> Result<String> {
        let headers = Headers::of(self, put)?;
        let begin = || async {
            let request = described!(self.s3.create_multipart_upload(), headers);
            let answer = request
                .bucket(self.bucket)
                .key(put.key)
                .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
                .checksum_type(ChecksumType::FullObject)
                .send()
                .await
                .map_err(|error| refused(&error, PERMISSION))?;
            let id = answer.upload_id().map(str::to_owned);
            id.ok_or_else(|| Error::new(Reason::SourceRefused, "S3 began an upload and did not name it"))
        };
        self.backup.run(far(), begin).await
    }

    /// The last upload of this key that was begun and not completed and could be ours, with its parts.
    async fn begun(&self, put: &Put<'_>, plan: &Plan) -> Result<Option<(String, BTreeMap<u64, Part>)>> {
        let list = || async {
            let answer = self.s3.list_multipart_uploads().bucket(self.bucket).prefix(put.key).send().await;
            answer.map_err(|error| refused(&error, PERMISSION))
        };
        let uploads = self.backup.run(far(), list).await?;
        let class = put.content.class.as_str();
        let could_be_ours = |upload: &&MultipartUpload| {
            upload.key() == Some(put.key)
                && upload.checksum_algorithm().is_none_or(|algorithm| *algorithm == ChecksumAlgorithm::Crc64Nvme)
                && upload.storage_class().is_none_or(|their| their.as_str() == class)
        };
        let last =
            uploads.uploads().iter().filter(could_be_ours).max_by_key(|upload| upload.initiated().map(DateTime::secs));
        let Some(id) = last.and_then(|upload| upload.upload_id()) else { return Ok(None) };
        let parts = self.backup.run(far(), || self.uploaded(put, plan, id)).await;
        match parts {
            Ok(parts) => Ok(parts.map(|parts| (id.to_owned(), parts))),
            // It was completed or aborted since it was listed.
            Err(error) if error.reason == Reason::Gone => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The parts of an upload; None if it is cut in another way than ours are.
    async fn uploaded(&self, put: &Put<'_>, plan: &Plan, id: &str) -> Result<Option<BTreeMap<u64, Part>>> {
        let mut found = BTreeMap::new();
        let mut marker: Option<String> = None;
        loop {
            let request = self.s3.list_parts().bucket(self.bucket).key(put.key).upload_id(id);
            let answer =
                request.set_part_number_marker(marker).send().await.map_err(|error| refused(&error, PERMISSION))?;
            for part in answer.parts() {
                let number = part.part_number().and_then(|number| u64::try_from(number).ok()).unwrap_or_default();
                let size = part.size().and_then(|size| u64::try_from(size).ok());
                if size.is_none() || plan.length(number) != size {
                    return Ok(None);
                }
                // Without its checksum nobody knows what is in it.
                let known = part.checksum_crc64_nvme().and_then(checksum::from_s3);
                if let (Some(crc64), Some(etag), Some(length)) = (known, part.e_tag(), size) {
                    let sum = Sum { crc64, crc32: 0, length };
                    found.insert(number, Part { etag: etag.to_owned(), sum, checked: true });
                }
            }
            match answer.next_part_number_marker() {
                Some(next) if answer.is_truncated() == Some(true) => marker = Some(next.to_owned()),
                _ => return Ok(Some(found)),
            }
        }
    }

    /// Uploads the parts that are missing and completes the upload.
    async fn finish(&self, put: &Put<'_>, plan: &Plan, id: &str, mut parts: BTreeMap<u64, Part>) -> Result<bool> {
        let missing: Vec<_> = plan.numbers().filter(|number| !parts.contains_key(number)).collect();
        let mut uploads = stream::iter(missing)
            .map(|number| async move {
                let part = self.backup.run(far(), || self.part(put, plan, id, number)).await?;
                Ok::<_, Error>((number, part))
            })
            .buffer_unordered(PARALLEL);
        while let Some(part) = uploads.next().await {
            let (number, part) = part?;
            parts.insert(number, part);
        }
        let whole = parts.values().fold(Sum::EMPTY, |all, part| all.append(part.sum, None));
        if whole.crc64 != put.content.crc64 {
            return Err(damaged());
        }
        let recorded = checksum::to_s3(put.content.crc64);
        let completed = parts.iter().map(|(number, part)| {
            let checksum = part.checked.then(|| checksum::to_s3(part.sum.crc64));
            CompletedPart::builder()
                .e_tag(&part.etag)
                .part_number(i32::try_from(*number).unwrap_or_default())
                .set_checksum_crc64_nvme(checksum)
                .build()
        });
        let completed = CompletedMultipartUpload::builder().set_parts(Some(completed.collect())).build();
        let complete = || async {
            let (if_match, if_none_match) = conditions(put);
            let answer = self
                .s3
                .complete_multipart_upload()
                .bucket(self.bucket)
                .key(put.key)
                .upload_id(id)
                .multipart_upload(completed.clone())
                .checksum_crc64_nvme(&recorded)
                .checksum_type(ChecksumType::FullObject)
                .mpu_object_size(i64::try_from(put.copy.size).unwrap_or_default())
                .set_if_match(if_match)
                .set_if_none_match(if_none_match)
                .send()
                .await
                .map_err(|error| refused(&error, PERMISSION))?;
            said(answer.checksum_crc64_nvme(), put.content.crc64)
        };
        self.written(put, self.backup.run(far(), complete).await).await
    }

    /// One part, from Azure to S3 as it comes.
    async fn part(&self, put: &Put<'_>, plan: &Plan, id: &str, number: u64) -> Result<Part> {
        let offset = plan.offset(number);
        let length = plan.length(number).unwrap_or_default();
        let mut reading = Reading::begin(&self.backup.target, put.copy, offset, length).await?;
        let (sender, pieces) = mpsc::channel::<Bytes>(4);
        let read = async move {
            let mut summer = Summer::new(None, false);
            while let Some(bytes) = reading.next().await? {
                summer.update(&bytes);
                if sender.send(bytes).await.is_err() {
                    // S3 hung up, and says why.
                    std::future::pending::<()>().await;
                }
            }
            Ok(summer.finish().0)
        };
        let pieces = stream::unfold(pieces, |mut pieces| async move {
            pieces.recv().await.map(|bytes| (Ok::<_, Infallible>(Frame::data(bytes)), pieces))
        });
        let write = async {
            self.s3
                .upload_part()
                .bucket(self.bucket)
                .key(put.key)
                .upload_id(id)
                .part_number(i32::try_from(number).unwrap_or_default())
                .content_length(i64::try_from(length).unwrap_or_default())
                .body(ByteStream::from_body_1_x(StreamBody::new(pieces)))
                .customize()
                // It could only be signed after it was read as a whole.
                .disable_payload_signing()
                .send()
                .await
                .map_err(|error| refused(&error, PERMISSION))
        };
        let (sum, answer) = tokio::try_join!(read, write)?;
        let checked = said(answer.checksum_crc64_nvme(), sum.crc64)?;
        let etag = answer.e_tag().ok_or_else(|| Error::new(Reason::SourceRefused, "S3's answer has no ETag"))?;
        Ok(Part { etag: etag.to_owned(), sum, checked })
    }
}

/// How an object is cut into parts, which are numbered from 1.
#[derive(Clone, Copy, Debug)]
struct Plan {
    size: u64,
    part: u64,
}

impl Plan {
    fn new(size: u64) -> Result<Self> {
        let part = size.div_ceil(MOST).next_multiple_of(MIB).max(LEAST);
        match part <= LARGEST {
            true => Ok(Self { size, part }),
            false => {
                let message = format!("the blob has {size} bytes; S3 takes at most {MOST} parts of 5 GiB");
                Err(Error::new(Reason::TooLarge, message))
            }
        }
    }

    fn numbers(&self) -> impl Iterator<Item = u64> + use<> {
        1..=self.size.div_ceil(self.part)
    }

    fn offset(&self, number: u64) -> u64 {
        (number - 1) * self.part
    }

    /// None if there is no such part.
    fn length(&self, number: u64) -> Option<u64> {
        let offset = number.checked_sub(1)?.checked_mul(self.part)?;
        Some(self.part.min(self.size.checked_sub(offset)?)).filter(|length| *length > 0)
    }
}

fn conditions(put: &Put<'_>) -> (Option<String>, Option<String>) {
    match &put.replaced {
        Some(etag) => (Some(format!("\"{etag}\"")), None),
        None => (None, Some("*".to_owned())),
    }
}

/// Whether S3 says which CRC64NVME it computed, if that is the right one.
fn said(answered: Option<&str>, crc64: u64) -> Result<bool> {
    match answered {
        None => Ok(false),
        Some(answered) if checksum::from_s3(answered) == Some(crc64) => Ok(true),
        Some(_) => Err(Error::new(Reason::Checksum, "the bytes that arrived in S3 are not those that were sent")),
    }
}

fn damaged() -> Error {
    let message = "the blob's bytes do not have the checksum that was recorded when it was copied: it was changed in Azure, or is \
                   damaged; restore another version with --at";
    Error::new(Reason::Damaged, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_as_s3_demands() {
        const GIB: u64 = 1 << 30;
        for (size, part, count) in [
            (8 * MIB + 1, LEAST, 1),
            (16 * MIB, LEAST, 1),
            (16 * MIB + 1, LEAST, 2),
            (10_000 * LEAST, LEAST, 10_000),
            (10_000 * LEAST + 1, 17 * MIB, 9_412),
            (10_000 * 5 * GIB, 5 * GIB, 10_000),
        ] {
            let plan = Plan::new(size).unwrap();
            assert_eq!((plan.part, plan.numbers().count() as u64), (part, count), "{size}");
            let sum: u64 = plan.numbers().map(|number| plan.length(number).unwrap()).sum();
            assert_eq!(sum, size);
            let last = plan.numbers().last().unwrap();
            assert_eq!(plan.offset(last) + plan.length(last).unwrap(), size);
            assert_eq!((plan.length(0), plan.length(last + 1)), (None, None));
        }
        assert_eq!(Plan::new(10_000 * 5 * GIB + 1).unwrap_err().reason, Reason::TooLarge);
    }
}
