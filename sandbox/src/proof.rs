//! Proof that what a stack made can be used: every bucket and container takes an object and gives it back.

use std::fs;

use aws_sdk_cloudformation::types::StackResource;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;

use crate::deploy::{Error, refused, s3, s3_of};
use crate::serve::Endpoints;

const KEY: &str = "cargo-sandbox-was-here";
const BODY: &[u8] = b"an object";
const STORAGE_API: &str = "2023-05-01";
const BLOB_API: &str = "2023-11-03";

/// Writes an object to every S3 bucket, in whatever region, and Azure container among `resources`, reads it, and removes it again.
///
/// Returns a line for each.
pub async fn prove(endpoints: &Endpoints, resources: &[StackResource]) -> Result<Vec<String>, Error> {
    let mut proven = Vec::new();
    for resource in resources {
        let Some(id) = resource.physical_resource_id() else { continue };
        match resource.resource_type() {
            Some("AWS::S3::Bucket") => {
                bucket(&s3(endpoints), id).await?;
                proven.push(format!("bucket {id} took an object and gave it back"));
            }
            Some("CrossRegion::S3::Bucket") => {
                let name = id.rsplit(':').next().unwrap_or(id);
                let region = region(endpoints, name).await?;
                bucket(&s3_of(endpoints, &region), name).await?;
                proven.push(format!("bucket {name} in {region} took an object and gave it back"));
            }
            Some("Azure::Storage::BlobContainer") => {
                let url = container(endpoints, id).await?;
                proven.push(format!("container {url} took a blob and gave it back"));
            }
            _ => {}
        }
    }
    Ok(proven)
}

async fn region(endpoints: &Endpoints, bucket: &str) -> Result<String, Error> {
    let found = s3(endpoints).get_bucket_location().bucket(bucket).send().await;
    let found = found.map_err(|e| refused(format!("looking for bucket {bucket}"), &e))?;
    Ok(found.location_constraint.map_or_else(|| "us-east-1".to_owned(), |region| region.as_str().to_owned()))
}

async fn bucket(s3: &aws_sdk_s3::Client, bucket: &str) -> Result<(), Error> {
    let what = |verb: &str| format!("{verb} an object in bucket {bucket}");
    let put = s3.put_object().bucket(bucket).key(KEY).body(BODY.to_vec().into()).send().await;
    let version = put.map_err(|e| refused(what("putting"), &e))?.version_id;
    let got = s3.get_object().bucket(bucket).key(KEY).send().await.map_err(|e| refused(what("getting"), &e))?;
    let bytes = got.body.collect().await.map_err(|e| failed(what("getting"), e))?;
    same(&what("getting"), &bytes.into_bytes())?;
    // By version, or a versioned bucket keeps it and cannot be deleted.
    let delete = s3.delete_object().bucket(bucket).key(KEY).set_version_id(version).send().await;
    delete.map_err(|e| refused(what("deleting"), &e))?;
    Ok(())
}

/// Returns the container's address.
async fn container(endpoints: &Endpoints, id: &str) -> Result<String, Error> {
    let azure = Azure::new(endpoints).await?;
    let (account, container) = split(id)?;
    let url = format!("{}/{container}", azure.blob_endpoint(account).await?);
    let (address, what) = (format!("{url}/{KEY}"), |verb: &str| format!("{verb} a blob in container {url}"));
    let put = azure.blob(Method::PUT, &address).await?.header("x-ms-blob-type", "BlockBlob").body(BODY);
    send(&what("putting"), put).await?;
    let got = send(&what("getting"), azure.blob(Method::GET, &address).await?).await?;
    same(&what("getting"), &got.bytes().await.map_err(|e| failed(what("getting"), e))?)?;
    send(&what("deleting"), azure.blob(Method::DELETE, &address).await?).await?;
    Ok(url)
}

/// Azure as any client sees it: a token for the web identity token of AWS, then ARM or the blobs.
pub struct Azure {
    client: Client,
    configuration: Value,
    sts: String,
}

impl Azure {
    /// Whoever the sandbox's type configuration names. Sends nothing.
    pub async fn new(endpoints: &Endpoints) -> Result<Self, Error> {
        let what = "reaching Azure";
        let pem = fs::read(&endpoints.certificate_authority).map_err(|e| failed(what, e))?;
        let text = fs::read(&endpoints.type_configuration).map_err(|e| failed(what, e))?;
        // Some other part may have chosen the same provider for the process already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let root = reqwest::Certificate::from_pem(&pem).map_err(|e| failed(what, e))?;
        let client = Client::builder().tls_certs_only([root]).no_proxy().build().map_err(|e| failed(what, e))?;
        let configuration = serde_json::from_slice(&text).map_err(|e| failed(what, e))?;
        Ok(Azure { client, configuration, sts: endpoints.sts.clone() })
    }

    /// A request to the blob service, signed in.
    pub async fn blob(&self, method: Method, url: &str) -> Result<RequestBuilder, Error> {
        let token = self.token("https://storage.azure.com/.default").await?;
        Ok(self.client.request(method, url).bearer_auth(token).header("x-ms-version", BLOB_API))
    }

    fn setting(&self, pointer: &str) -> &str {
        self.configuration.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    async fn token(&self, scope: &str) -> Result<String, Error> {
        let what = format!("asking for a token for {scope}");
        let authority = self.setting("/Endpoints/Authority");
        let identity = web_identity_token(&self.sts, None).await?;
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", self.setting("/ClientId")),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", &identity),
            ("scope", scope),
        ];
        let url = format!("{authority}/{}/oauth2/v2.0/token", self.setting("/TenantId"));
        let answer = json(&what, send(&what, self.client.post(url).form(&form)).await?).await?;
        text(&what, &answer, "/access_token")
    }

    /// Where an account serves its blobs, without the slash at the end.
    async fn blob_endpoint(&self, account: &str) -> Result<String, Error> {
        let manager = self.setting("/Endpoints/ResourceManager");
        let token = self.token(&format!("{manager}/.default")).await?;
        let what = format!("reading {account}");
        let url = format!("{manager}{account}?api-version={STORAGE_API}");
        let answer = json(&what, send(&what, self.client.get(url).bearer_auth(token)).await?).await?;
        Ok(text(&what, &answer, "/properties/primaryEndpoints/blob")?.trim_end_matches('/').to_owned())
    }
}

/// A web identity token for Entra: of the role of the session with this access key, or of the execution role.
pub async fn web_identity_token(sts: &str, access_key_id: Option<&str>) -> Result<String, Error> {
    let what = "asking STS for a web identity token";
    let form = [
        ("Action", "GetWebIdentityToken"),
        ("Version", "2011-06-15"),
        ("Audience.member.1", "api://AzureADTokenExchange"),
        ("SigningAlgorithm", "RS256"),
    ];
    // Nobody checks signatures here; the key tells who calls.
    let signature =
        format!("AWS4-HMAC-SHA256 Credential={}/19700101/us-east-1/sts", access_key_id.unwrap_or("sandbox"));
    let client = Client::builder().no_proxy().build().map_err(|e| failed(what, e))?;
    let answer = send(what, client.post(sts).header("authorization", signature).form(&form)).await?;
    let answer = answer.text().await.map_err(|e| failed(what, e))?;
    let token = answer.split_once("<WebIdentityToken>").and_then(|(_, rest)| rest.split_once("</WebIdentityToken>"));
    token.map(|(token, _)| token.to_owned()).ok_or_else(|| failed(what, "the answer has none"))
}

/// An ARM id of a container as the account's id and the container's name.
fn split(id: &str) -> Result<(&str, &str), Error> {
    let parts = id.split_once("/blobServices/default/containers/");
    parts.ok_or_else(|| failed("looking for the account of a container", format!("{id} is no container's id")))
}

async fn send(what: &str, request: RequestBuilder) -> Result<Response, Error> {
    let answer = request.send().await.map_err(|e| failed(what, e))?;
    if answer.status().is_success() {
        return Ok(answer);
    }
    let status = answer.status();
    let said = answer.text().await.unwrap_or_default();
    Err(failed(what, format!("{status} {said}")))
}

async fn json(what: &str, answer: Response) -> Result<Value, Error> {
    answer.json().await.map_err(|e| failed(what, e))
}

fn text(what: &str, answer: &Value, pointer: &str) -> Result<String, Error> {
    let found = answer.pointer(pointer).and_then(Value::as_str);
    found.map(str::to_owned).ok_or_else(|| failed(what, format!("the answer has no {pointer}")))
}

fn same(what: &str, got: &[u8]) -> Result<(), Error> {
    if got == BODY { Ok(()) } else { Err(failed(what, "it is not what was put")) }
}

fn failed(what: impl Into<String>, reason: impl ToString) -> Error {
    Error::Refused { what: what.into(), reason: reason.to_string() }
}
