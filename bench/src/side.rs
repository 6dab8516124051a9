//! The handlers that are compared: how each is started and what it is asked.

use crate::stub::{ACCOUNT, Stub};
use hyper::body::Bytes;
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::{Cursor, Write},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// The limit of any operation but READ and LIST.
const PATIENCE: Duration = Duration::from_secs(60);

/// One handler.
pub(crate) struct Side {
    /// As the report calls it.
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// Where Lambda would have unpacked it.
    pub(crate) folder: PathBuf,
    pub(crate) environment: Vec<(&'static str, String)>,
    /// A READ of the account.
    pub(crate) event: Bytes,
    /// What `cfn submit` would ship of it, bytes.
    pub(crate) zip: u64,
    /// It never takes this long; Lambda would end it then.
    pub(crate) patience: Duration,
    /// Whether an answer says that all went well.
    pub(crate) succeeded: fn(&Value) -> bool,
    /// Where it prints to.
    pub(crate) log: PathBuf,
}

impl Side {
    /// Our `bootstrap`.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub(crate) fn ours(bootstrap: &Path, trust: &Trust, stub: &Stub, delivery: Delivery) -> Result<Self, String> {
        let (_, name) = group_and_name();
        let properties = json!({
            "Id": ACCOUNT,
            "ResourceGroupId": ACCOUNT.split("/providers/").next(),
            "AccountName": name,
            "Location": "westeurope",
            "Kind": "StorageV2",
            "Sku": {"Name": "Standard_LRS"},
            "MinimumTlsVersion": "TLS1_2",
            "Tags": [{"Key": "purpose", "Value": "backup"}],
        });
        let configuration = json!({
            "TenantId": TENANT, "ClientId": CLIENT, "ClientSecret": SECRET, "SubscriptionId": subscription(),
            "Endpoints": {
                "ResourceManager": stub.resource_manager, "Authority": stub.entra, "CertificateAuthority": trust.authority
            },
        });
        let mut archive = Archive::default();
        archive.add("bootstrap", bootstrap)?;
        Ok(Self {
            name: match delivery {
                Delivery::On => "Rust, this project",
                Delivery::Off => "Rust, no delivery",
            },
            program: bootstrap.to_owned(),
            arguments: Vec::new(),
            folder: bootstrap.parent().unwrap_or(Path::new("/")).to_owned(),
            environment: vec![
                ("_HANDLER", "bootstrap".into()),
                ("AWS_ENDPOINT_URL", stub.aws.clone()),
                ("SSL_CERT_FILE", trust.bundle.clone()),
            ],
            event: event(&properties, &configuration, delivery),
            zip: archive.size()?,
            patience: PATIENCE,
            succeeded: is_success,
            log: trust.folder.join("rust.log"),
        })
    }

    /// The Python plugin: `folder` is what its zip would unpack to, `python` has Lambda's runtime client installed.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub(crate) fn python(
        python: &Path,
        folder: &Path,
        trust: &Trust,
        stub: &Stub,
        delivery: Delivery,
    ) -> Result<Self, String> {
        let (group, name) = group_and_name();
        let properties = json!({
            "TenantId": TENANT, "ClientId": CLIENT, "ClientSecret": SECRET, "SubscriptionId": subscription(),
            "ResourceGroup": group, "AccountName": name,
        });
        let mut archive = Archive::default();
        archive.add_tree(folder)?;
        Ok(Self {
            name: match delivery {
                Delivery::On => "Python plugin",
                Delivery::Off => "Python, no delivery",
            },
            program: python.to_owned(),
            arguments: vec!["-m".into(), "awslambdaric".into(), "handlers.resource".into()],
            folder: folder.to_owned(),
            environment: vec![
                ("_HANDLER", "handlers.resource".into()),
                ("PYTHONPATH", folder.to_string_lossy().into_owned()),
                // Where Lambda unpacks to is read-only, so nothing that one start compiles is there for the next.
                ("PYTHONDONTWRITEBYTECODE", "1".into()),
                ("AUTHORITY", stub.entra.clone()),
                ("RESOURCE_MANAGER", stub.resource_manager.clone()),
                ("AWS_ENDPOINT_URL", stub.aws.clone()),
                ("AWS_CA_BUNDLE", trust.bundle.clone()),
                ("REQUESTS_CA_BUNDLE", trust.bundle.clone()),
            ],
            event: event(&properties, &Value::Null, delivery),
            zip: archive.size()?,
            patience: PATIENCE,
            succeeded: is_success,
            log: trust.folder.join("python.log"),
        })
    }

    /// Where the processes of this side print to.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(crate) fn log(&self) -> Result<Stdio, String> {
        let file = File::options().create(true).append(true).open(&self.log);
        file.map(Stdio::from).map_err(|error| format!("opening {}: {error}", self.log.display()))
    }
}

/// Whether CloudFormation asks for logs and metrics in CloudWatch, as it does where a type has a log group.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Delivery {
    On,
    Off,
}

/// Whom the handlers are to trust, and where they print to.
pub(crate) struct Trust {
    /// The stub's certificate authority, PEM.
    authority: String,
    /// A file with it and, as everywhere else, all the public ones: they take time to load.
    bundle: String,
    folder: PathBuf,
}

impl Trust {
    /// From a folder with `ca.pem` and `bundle.pem`.
    ///
    /// # Errors
    /// They cannot be read.
    pub(crate) fn read(folder: &Path) -> Result<Self, String> {
        let file = folder.join("ca.pem");
        let authority = fs::read_to_string(&file).map_err(|error| format!("reading {}: {error}", file.display()))?;
        let bundle = folder.join("bundle.pem").to_string_lossy().into_owned();
        Ok(Self { authority, bundle, folder: folder.to_owned() })
    }
}

const TENANT: &str = "11111111-1111-1111-1111-111111111111";
const CLIENT: &str = "22222222-2222-2222-2222-222222222222";
const SECRET: &str = "bench-client-secret";

fn is_success(answer: &Value) -> bool {
    answer["status"] == "SUCCESS" && answer["resourceModel"].is_object()
}

fn subscription() -> &'static str {
    ACCOUNT.split('/').nth(2).expect("the id has a subscription")
}

fn group_and_name() -> (&'static str, &'static str) {
    let mut parts = ACCOUNT.split('/');
    (parts.nth(4).expect("the id has a group"), parts.next_back().expect("the id has a name"))
}

/// A READ as CloudFormation's protocol 2.0.0 sends it.
fn event(properties: &Value, configuration: &Value, delivery: Delivery) -> Bytes {
    let delivery = delivery == Delivery::On;
    let session = json!({
        "accessKeyId": "ASIAEXAMPLE000000000", "secretAccessKey": "example".repeat(6), "sessionToken": "example".repeat(100)
    });
    let event = json!({
        "action": "READ",
        "awsAccountId": "000000000000",
        "bearerToken": "6f6b7e0c-6a53-4b0e-8f5a-000000000001",
        "region": "us-east-1",
        "responseEndpoint": null,
        "nextToken": null,
        "maxResults": null,
        "resourceType": "Azure::Storage::StorageAccount",
        "resourceTypeVersion": "00000008",
        "stackId": "arn:aws:cloudformation:us-east-1:000000000000:stack/example/6f6b7e0c-6a53-4b0e-8f5a-000000000002",
        "callbackContext": null,
        "snapshotRequested": null,
        "rollback": null,
        "driftable": null,
        "features": {},
        "updatePolicy": {},
        "creationPolicy": {},
        "requestContext": {"invocation": 1, "callbackContext": {}},
        "requestData": {
            "callerCredentials": session,
            "providerCredentials": if delivery { session.clone() } else { Value::Null },
            "platformCredentials": null,
            "providerLogGroupName": if delivery { "azure-storage-storageaccount-logs".into() } else { Value::Null },
            "logicalResourceId": "Account",
            "resourceProperties": properties,
            "previousResourceProperties": null,
            "typeConfiguration": configuration,
            "systemTags": {"aws:cloudformation:stack-name": "example"},
            "previousSystemTags": null,
            "stackTags": {"stack": "example"},
            "previousStackTags": null,
        },
    });
    event.to_string().into()
}

/// A zip as the plugins make it.
struct Archive(ZipWriter<Cursor<Vec<u8>>>);

impl Default for Archive {
    fn default() -> Self {
        Self(ZipWriter::new(Cursor::default()))
    }
}

impl Archive {
    fn add(&mut self, name: &str, path: &Path) -> Result<(), String> {
        let failed = |error: &dyn std::fmt::Display| format!("packing {}: {error}", path.display());
        let bytes = fs::read(path).map_err(|error| failed(&error))?;
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        self.0.start_file(name, options).map_err(|error| failed(&error))?;
        self.0.write_all(&bytes).map_err(|error| failed(&error))
    }

    fn add_tree(&mut self, root: &Path) -> Result<(), String> {
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            let failed = |error| format!("reading {}: {error}", folder.display());
            for entry in fs::read_dir(&folder).map_err(failed)? {
                let path = entry.map_err(failed)?.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
                    self.add(&name, &path)?;
                }
            }
        }
        Ok(())
    }

    fn size(self) -> Result<u64, String> {
        let zip = self.0.finish().map_err(|error| format!("packing: {error}"))?;
        Ok(zip.into_inner().len() as u64)
    }
}
