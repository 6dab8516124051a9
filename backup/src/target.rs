//! One container of Azure Blob Storage, as the backup writes it: every byte with its CRC64, every change under a condition.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};

use azure_core::{
    credentials::TokenCredential,
    http::{ClientOptions, Etag, LoggingOptions, RequestContent, RetryOptions, Url, XmlFormat, headers::Headers},
};
use azure_storage_blob::{
    BlobClient, BlobContainerClient, BlobContainerClientOptions,
    models::{
        AccessTier, BlobClientDeleteOptions, BlobClientGetPropertiesResultHeaders as _, BlobClientSetMetadataOptions,
        BlobClientSetTagsOptions, BlobTag, BlobTags, BlockBlobClientCommitBlockListOptions,
        BlockBlobClientStageBlockFromUrlOptions, BlockBlobClientStageBlockFromUrlResultHeaders as _, BlockListType,
        BlockLookupList, HttpRange,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http_body_util::BodyExt as _;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{
    Error, Reason, Result, checksum,
    record::{Description, PROPERTIES},
    refusal,
    tags::{self, Tags},
    tier::Tier,
    transport::{Http, Payload, Pieces},
    write::{self, Writer},
};

const CRC64: &str = "x-ms-content-crc64";

/// When a write takes place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// There is no blob of this name.
    Absent,
    /// The blob is still the one with this ETag.
    Unchanged(String),
}

/// What Azure says of a blob.
#[derive(Clone, Debug)]
pub struct Blob {
    /// Changes with every write.
    pub etag: String,
    /// Bytes.
    pub size: u64,
    /// Without index tags, which take a request of their own.
    pub description: Description,
    /// How many index tags it has.
    pub tag_count: u64,
}

/// A container.
pub struct Target {
    container: BlobContainerClient,
    writer: Writer,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the query, which may be a SAS.
        f.debug_struct("Target").field("container", &self.container.url().path()).finish_non_exhaustive()
    }
}

impl Target {
    /// A container by its address. Sends nothing.
    ///
    /// Without a credential the address itself must carry the right to write (a SAS).
    ///
    /// # Errors
    /// `Configuration`: the address is none, or is not https with a credential.
    pub fn new(container: Url, credential: Option<Arc<dyn TokenCredential>>, http: Http) -> Result<Self> {
        let options = BlobContainerClientOptions {
            client_options: ClientOptions {
                transport: Some(http.transport()),
                // They know no deadline.
                retry: RetryOptions::none(),
                logging: LoggingOptions::default(),
                ..ClientOptions::default()
            },
            ..BlobContainerClientOptions::default()
        };
        let writer = Writer::new(container.clone(), credential.clone(), http);
        let container = BlobContainerClient::new(container, credential, Some(options))
            .map_err(|error| Error::new(Reason::Configuration, format!("the container's address: {error}")))?;
        Ok(Self { container, writer })
    }

    /// The client of the container, for what the copy itself does not need: listing, reading.
    pub fn container(&self) -> &BlobContainerClient {
        &self.container
    }

    /// Writes a whole blob in one request. Azure refuses bytes that do not have this CRC64.
    ///
    /// # Errors
    /// `Conflict` if the condition does not hold; what else stands in the way.
    pub async fn put(
        &self,
        name: &str,
        bytes: Pieces,
        crc64: u64,
        description: &Description,
        condition: &Condition,
    ) -> Result<()> {
        let mut headers = write::Headers::new();
        headers.put("x-ms-blob-type", "BlockBlob")?;
        headers.put(CRC64, checksum::to_azure(crc64))?;
        headers.put_all("x-ms-blob-", &description.headers)?;
        headers.put_all("x-ms-meta-", &description.metadata)?;
        if !description.tags.is_empty() {
            headers.put("x-ms-tags", tags::format(&description.tags))?;
        }
        if let Some(tier) = description.tier {
            headers.put("x-ms-access-tier", format!("{tier:?}"))?;
        }
        match condition {
            Condition::Absent => headers.put("if-none-match", "*")?,
            Condition::Unchanged(etag) => headers.put("if-match", etag)?,
        }
        self.writer.put(name, "", headers, bytes.boxed_unsync()).await?;
        Ok(())
    }

    /// Stages a block from memory. Azure refuses bytes that do not have this CRC64.
    ///
    /// # Errors
    /// What stands in the way.
    pub async fn stage(&self, name: &str, id: &[u8], bytes: Pieces, crc64: u64) -> Result<()> {
        let mut headers = write::Headers::new();
        headers.put(CRC64, checksum::to_azure(crc64))?;
        self.writer.put(name, &block(id), headers, bytes.boxed_unsync()).await?;
        Ok(())
    }

    /// Stages a block from a stream and returns the CRC64 that Azure computed of what arrived.
    ///
    /// # Errors
    /// What stands in the way; `CannotStream` if the answer does not say it, as Azurite's does not.
    pub(crate) async fn stage_stream(&self, name: &str, id: &[u8], body: Payload) -> Result<u64> {
        let answer = self.writer.put(name, &block(id), write::Headers::new(), body).await?;
        let crc64 = answer.get(CRC64).and_then(|crc64| crc64.to_str().ok());
        let silent = "the answer to a block does not say which CRC64 arrived";
        crc64.and_then(checksum::from_azure).ok_or_else(|| Error::new(Reason::CannotStream, silent))
    }

    /// Lets Azure fetch a block from an address by itself, and returns the CRC64 that it computed of what arrived.
    ///
    /// # Errors
    /// `CannotPull` if Azure cannot or may not read the address; what else stands in the way.
    pub async fn stage_from_url(&self, name: &str, id: &[u8], url: &str, offset: u64, length: u64) -> Result<u64> {
        let options = BlockBlobClientStageBlockFromUrlOptions {
            source_range: Some(HttpRange::new(offset, length)),
            ..BlockBlobClientStageBlockFromUrlOptions::default()
        };
        let answer = self
            .blob(name)
            .block_blob_client()
            .stage_block_from_url(id, 0, url.to_owned(), Some(options))
            .await
            .map_err(|error| refusal::read(&error))?;
        let crc64 = answer.content_crc64().ok().flatten();
        let silent = || Error::new(Reason::Checksum, "Azure does not say which CRC64 the block has that it received");
        crc64.and_then(|crc64| checksum::from_azure(&STANDARD.encode(crc64))).ok_or_else(silent)
    }

    /// The uncommitted blocks of a blob: ids and lengths.
    ///
    /// # Errors
    /// What stands in the way.
    pub async fn uncommitted(&self, name: &str) -> Result<Vec<(Vec<u8>, u64)>> {
        let listed = self.blob(name).block_blob_client().get_block_list(BlockListType::Uncommitted, None).await;
        let list = match listed.and_then(|answer| answer.into_model()) {
            Ok(list) => list,
            Err(error) if refusal::is_no_blob(&error) => return Ok(Vec::new()),
            Err(error) => return Err(refusal::read(&error)),
        };
        let blocks = list.uncommitted_blocks.unwrap_or_default().into_iter();
        Ok(blocks.filter_map(|block| Some((block.name?, u64::try_from(block.size?).ok()?))).collect())
    }

    /// Makes staged blocks the blob.
    ///
    /// # Errors
    /// `Conflict` if the condition does not hold; `BlocksLost` if a block is not there; what else stands in the way.
    pub async fn commit(
        &self,
        name: &str,
        ids: Vec<Vec<u8>>,
        description: &Description,
        condition: &Condition,
    ) -> Result<()> {
        let mut headers = description.headers.clone();
        let (if_match, if_none_match) = condition.etags();
        let options = BlockBlobClientCommitBlockListOptions {
            blob_cache_control: headers.remove("cache-control"),
            blob_content_disposition: headers.remove("content-disposition"),
            blob_content_encoding: headers.remove("content-encoding"),
            blob_content_language: headers.remove("content-language"),
            blob_content_type: headers.remove("content-type"),
            blob_tags_string: tags_header(&description.tags),
            if_match,
            if_none_match,
            metadata: Some(metadata(description)),
            tier: description.tier.map(tier),
            ..BlockBlobClientCommitBlockListOptions::default()
        };
        let list = BlockLookupList { uncommitted: Some(ids), ..BlockLookupList::default() };
        let list: RequestContent<_, XmlFormat> = list.try_into().map_err(|error| refusal::read(&error))?;
        self.blob(name)
            .block_blob_client()
            .commit_block_list(list, Some(options))
            .await
            .map_err(|error| refusal::read(&error))?;
        Ok(())
    }

    /// What Azure says of a blob; None if there is none.
    ///
    /// # Errors
    /// What stands in the way.
    pub async fn properties(&self, name: &str) -> Result<Option<Blob>> {
        let answer = match self.blob(name).get_properties(None).await {
            Ok(answer) => answer,
            Err(error) if refusal::is_no_blob(&error) => return Ok(None),
            Err(error) => return Err(refusal::read(&error)),
        };
        let header = |name: &'static str| header(answer.headers(), name);
        let headers =
            PROPERTIES.into_iter().filter_map(|name| header(name).map(|value| (name.to_owned(), value))).collect();
        let metadata = answer.metadata().map_err(|error| refusal::read(&error))?.into_iter().collect();
        Ok(Some(Blob {
            etag: header("etag").ok_or_else(|| Error::new(Reason::TargetRefused, "Azure's answer has no ETag"))?,
            size: header("content-length").and_then(|size| size.parse().ok()).unwrap_or_default(),
            description: Description {
                headers,
                metadata,
                tags: Tags::new(),
                tier: header("x-ms-access-tier").and_then(|name| read_tier(&name)),
            },
            tag_count: header("x-ms-tag-count").and_then(|count| count.parse().ok()).unwrap_or_default(),
        }))
    }

    /// The index tags of a blob.
    ///
    /// # Errors
    /// What stands in the way.
    pub async fn tags(&self, name: &str) -> Result<Tags> {
        let answer = self.blob(name).get_tags(None).await.map_err(|error| refusal::read(&error))?;
        let tags = answer.into_model().map_err(|error| refusal::read(&error))?;
        let tags = tags.blob_tag_set.unwrap_or_default().into_iter();
        Ok(tags.filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect())
    }

    /// Replaces the index tags of a blob that has this ETag.
    ///
    /// # Errors
    /// `Conflict` if it has another one; what else stands in the way.
    pub async fn set_tags(&self, name: &str, tags: &Tags, etag: &str) -> Result<()> {
        let set =
            tags.iter().map(|(key, value)| BlobTag { key: Some(key.clone()), value: Some(value.clone()) }).collect();
        let tags = BlobTags { blob_tag_set: Some(set) };
        let options = BlobClientSetTagsOptions { if_match: Some(etag.into()), ..BlobClientSetTagsOptions::default() };
        let tags = tags.try_into().map_err(|error| refusal::read(&error))?;
        self.blob(name).set_tags(tags, Some(options)).await.map_err(|error| refusal::read(&error))?;
        Ok(())
    }

    /// Replaces the metadata of a blob that has this ETag, and returns the new one.
    ///
    /// # Errors
    /// `Conflict` if it has another one; what else stands in the way.
    pub async fn set_metadata(&self, name: &str, description: &Description, etag: &str) -> Result<String> {
        let options =
            BlobClientSetMetadataOptions { if_match: Some(etag.into()), ..BlobClientSetMetadataOptions::default() };
        let answer = self
            .blob(name)
            .set_metadata(&metadata(description), Some(options))
            .await
            .map_err(|error| refusal::read(&error))?;
        header(answer.headers(), "etag").ok_or_else(|| Error::new(Reason::TargetRefused, "Azure's answer has no ETag"))
    }

    /// Moves a blob to another tier.
    ///
    /// # Errors
    /// What stands in the way.
    pub async fn set_tier(&self, name: &str, to: Tier) -> Result<()> {
        self.blob(name).set_tier(tier(to), None).await.map_err(|error| refusal::read(&error))?;
        Ok(())
    }

    /// Deletes a blob that has this ETag; one that is gone already is deleted.
    ///
    /// # Errors
    /// `Conflict` if it has another one; what else stands in the way.
    pub async fn delete(&self, name: &str, etag: &str) -> Result<()> {
        let options = BlobClientDeleteOptions { if_match: Some(etag.into()), ..BlobClientDeleteOptions::default() };
        match self.blob(name).delete(Some(options)).await {
            Ok(_) => Ok(()),
            Err(error) if refusal::is_no_blob(&error) => Ok(()),
            Err(error) => Err(refusal::read(&error)),
        }
    }

    fn blob(&self, name: &str) -> BlobClient {
        self.container.blob_client(name)
    }
}

impl Condition {
    fn etags(&self) -> (Option<Etag>, Option<Etag>) {
        match self {
            Self::Absent => (None, Some("*".into())),
            Self::Unchanged(etag) => (Some(etag.as_str().into()), None),
        }
    }
}

/// The query of a Put Block.
fn block(id: &[u8]) -> String {
    format!("comp=block&blockid={}", utf8_percent_encode(&STANDARD.encode(id), NON_ALPHANUMERIC))
}

fn metadata(description: &Description) -> HashMap<String, String> {
    description.metadata.clone().into_iter().collect()
}

fn tags_header(tags: &BTreeMap<String, String>) -> Option<String> {
    (!tags.is_empty()).then(|| tags::format(tags))
}

fn header(headers: &Headers, name: &'static str) -> Option<String> {
    headers.get_optional_str(&name.into()).map(str::to_owned)
}

fn tier(tier: Tier) -> AccessTier {
    match tier {
        Tier::Hot => AccessTier::Hot,
        Tier::Cool => AccessTier::Cool,
        Tier::Cold => AccessTier::Cold,
        Tier::Archive => AccessTier::Archive,
    }
}

fn read_tier(name: &str) -> Option<Tier> {
    [Tier::Hot, Tier::Cool, Tier::Cold, Tier::Archive].into_iter().find(|known| format!("{known:?}") == name)
}
