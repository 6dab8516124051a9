//! The emulated cloud under `cfn test`, and what must hold for every type.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sandbox::aws::Aws;
use sandbox::azure::{Emulator, Options};
use sandbox::lambda::{self, Function, Lambda};
use sandbox::serve::{CROSS_REGION, FUNCTION};
use sandbox::sts::{EXECUTION_ROLE, ISSUER, Sts};
use sandbox::tools::target_dir;
use serde_json::{Value, json};

use crate::cfn::{Cfn, Handlers};
use crate::stage::{self, Values};
use crate::{Error, package};

const LOCATION: &str = "westeurope";
/// Where the inputs of the types of another region make what they make.
const OTHER_REGIONS: &[&str] = &["eu-central-1", "eu-west-1"];
const GROUP_NAME: &str = "contract-tests";
const ACCOUNT_NAME: &str = "contracttests";
/// A parent that is not there after this long will not come.
const PROVISIONED: Duration = Duration::from_secs(30);

/// An emulator with the parents that inputs refer to and one of AWS, the real handlers behind a Lambda endpoint, and the CLI.
pub struct Cloud {
    emulator: Emulator,
    aws: Aws,
    lambda: Lambda,
    _sts: Sts,
    bootstrap: PathBuf,
    cross_region: PathBuf,
    cfn: Arc<Cfn>,
    type_configuration: PathBuf,
    values: Values,
    /// What stood there before any contract test.
    standing: Vec<String>,
}

impl Cloud {
    /// Starts everything on loopback; it stops when dropped.
    pub async fn start() -> Result<Cloud, Error> {
        let ([bootstrap, cross_region], cfn) = tokio::task::spawn_blocking(|| {
            let executables = lambda::build([FUNCTION, CROSS_REGION]).map_err(Error::io("building the handlers"))?;
            Ok::<_, Error>((executables, Cfn::start()?))
        })
        .await
        .map_err(cloud)??;
        let emulator = Emulator::start(Options::default()).await.map_err(cloud)?;
        let sts = Sts::start(0, None).await.map_err(cloud)?;
        emulator.trust(sts.issuer());
        emulator.federate(ISSUER, EXECUTION_ROLE);
        let env = vec![("AWS_ENDPOINT_URL_STS".to_owned(), sts.url())];
        let function = Function { env, ..Function::new(FUNCTION, &bootstrap) };
        let lambda = Lambda::start(0, function).await.map_err(cloud)?;
        let aws = Aws::ministack().await.map_err(cloud)?;
        let env = vec![("AWS_ENDPOINT_URL".to_owned(), aws.url().to_owned())];
        lambda.add(Function { env, ..Function::new(CROSS_REGION, &cross_region) }).map_err(cloud)?;
        let folder = target_dir().join("stage");
        let type_configuration = folder.join(format!("type-configuration-{}.json", std::process::id()));
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(&type_configuration, emulator.type_configuration().to_string()))
            .map_err(Error::io(format!("writing {}", type_configuration.display())))?;
        let values = parents(&emulator).await?;
        let standing = emulator.resources();
        let cfn = Arc::new(cfn);
        Ok(Cloud {
            emulator,
            aws,
            lambda,
            _sts: sts,
            bootstrap,
            cross_region,
            cfn,
            type_configuration,
            values,
            standing,
        })
    }

    /// Takes the client secret out of the type configuration: the handlers sign in by the caller's session from now on.
    pub fn federate(&self) -> Result<(), Error> {
        fs::write(&self.type_configuration, self.emulator.federated_configuration().to_string())
            .map_err(Error::io(format!("writing {}", self.type_configuration.display())))
    }

    /// Runs `cfn validate`, `cfn generate`, `cfn submit --dry-run` and `cfn test` for a type.
    ///
    /// Returns the summary lines of the contract tests, one for each set of inputs.
    pub async fn check(&self, type_name: &str) -> Result<Vec<String>, Error> {
        let cfn = self.cfn.clone();
        let type_name = type_name.to_owned();
        let values = self.values.clone();
        let (function, executable, type_configuration) = match type_name.starts_with("CrossRegion::") {
            true => (CROSS_REGION, self.cross_region.clone(), None),
            false => (FUNCTION, self.bootstrap.clone(), Some(self.type_configuration.clone())),
        };
        let secret = self.secret();
        let handlers = Handlers { endpoint: self.lambda.url(), function: function.into(), type_configuration };
        let check = move || {
            let folder = stage::stage(&type_name, &values)?;
            cfn.validate(&folder)?;
            cfn.generate(&folder, &executable)?;
            let path = cfn.submit_dry_run(&folder, &executable)?;
            packaged(&path, &type_name, &secret)?;
            let tested = cfn.test(&folder, &handlers)?;
            let expected = expected_skips(&stage::schema(&type_name)?);
            let unexpected: Vec<_> =
                tested.skipped.iter().filter(|reason| !expected.contains(&reason.as_str())).collect();
            let green = |summary: &crate::cfn::Summary| summary.passed > 0 && summary.failed == 0;
            let sets = stage::input_sets(&folder)?;
            if tested.summaries.len() != sets || !tested.summaries.iter().all(green) || !unexpected.is_empty() {
                return Err(Error::Program {
                    command: format!("cfn test of {type_name} with {sets} sets of inputs"),
                    outcome: format!(
                        "skipped tests for other reasons than the expected: {unexpected:?}, or passed none"
                    ),
                    said: tested.said,
                });
            }
            Ok(tested.summaries.into_iter().map(|summary| summary.line).collect())
        };
        tokio::task::spawn_blocking(check).await.map_err(cloud)?
    }

    /// What exists beside the parents, in both clouds: what the contract tests left behind. A disabled encryption scope is as
    /// gone as Azure lets it be, and so is a blob service in which nothing is on.
    pub async fn leftovers(&self) -> Result<Vec<String>, Error> {
        let mut left = self.emulator.resources();
        left.retain(|id| !self.standing.contains(id));
        left.retain(|id| self.emulator.get(id).is_some_and(|found| !is_gone(id, &found["properties"])));
        left.extend(self.aws.resources(OTHER_REGIONS).await.map_err(cloud)?);
        Ok(left)
    }

    /// The emulated AWS, in which the types of another region work.
    pub fn aws(&self) -> &Aws {
        &self.aws
    }

    /// What the handlers printed, the newest lines of each last.
    pub fn log_lines(&self) -> Vec<String> {
        [FUNCTION, CROSS_REGION].iter().flat_map(|function| self.lambda.log_lines(function)).collect()
    }

    fn secret(&self) -> String {
        self.emulator.type_configuration()["ClientSecret"].as_str().unwrap_or_default().to_owned()
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        // It holds a secret, if only the emulator's. Nothing is lost where it is gone already.
        let _ = fs::remove_file(&self.type_configuration);
    }
}

/// What the CLI says of tests that cannot be made for a type: repeating a create takes an identifier that the template
/// chooses, and where Azure has no tags there are none to change.
fn expected_skips(schema: &Value) -> Vec<&'static str> {
    let mut reasons = Vec::new();
    let identifier = &schema["primaryIdentifier"][0];
    if schema["readOnlyProperties"].as_array().is_some_and(|read_only| read_only.contains(identifier)) {
        reasons.push("No writable identifiers. Skipping test.");
    }
    if schema["tagging"]["taggable"] == false {
        reasons.extend(["Resource is not taggable. Skipping test.", "Resource is not tagUpdatable. Skipping test."]);
    }
    reasons
}

/// Whether what Azure cannot delete is as it was before anybody wrote it.
fn is_gone(id: &str, properties: &Value) -> bool {
    let is_service = id.ends_with("/blobServices/default");
    properties["state"] == "Disabled" || is_service && !properties.to_string().contains("true")
}

/// Creates what the inputs of other types refer to: a resource group, a storage account, identities, a vault.
async fn parents(emulator: &Emulator) -> Result<Values, Error> {
    let configuration = emulator.type_configuration();
    let subscription = configuration["SubscriptionId"].as_str().unwrap_or_default();
    let group = format!("/subscriptions/{subscription}/resourceGroups/{GROUP_NAME}");
    let account = format!("{group}/providers/Microsoft.Storage/storageAccounts/{ACCOUNT_NAME}");
    put(emulator, &group, "2021-04-01", json!({ "location": LOCATION })).await?;
    let body = json!({
        "location": LOCATION, "kind": "StorageV2", "sku": { "name": "Standard_LRS" },
        // Else a container could not be made public.
        "properties": { "allowBlobPublicAccess": true }
    });
    put(emulator, &account, "2023-05-01", body.clone()).await?;
    let container = format!("{account}/blobServices/default/containers/contract-parent");
    put(emulator, &container, "2023-05-01", json!({ "properties": {} })).await?;
    let mut values = Values::from([
        ("ResourceGroupId".into(), group.clone()),
        ("StorageAccountId".into(), account),
        ("ContainerId".into(), container),
    ]);
    // Two between which blobs are replicated, prepared for it.
    for (value, name) in [("SourceAccountId", "contractsource"), ("DestinationAccountId", "contractdestination")] {
        let account = format!("{group}/providers/Microsoft.Storage/storageAccounts/{name}");
        put(emulator, &account, "2023-05-01", body.clone()).await?;
        let settings = json!({ "properties": { "isVersioningEnabled": true, "changeFeed": { "enabled": true } } });
        put(emulator, &format!("{account}/blobServices/default"), "2023-05-01", settings).await?;
        values.insert(value.into(), account);
    }
    // One to trust and to give roles to, one to lock, so that its lock is in nobody's way.
    for (value, name) in [("IdentityId", "contract-tests-identity"), ("LockScopeId", "contract-tests-locked")] {
        let identity = format!("{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}");
        put(emulator, &identity, "2023-01-31", json!({ "location": LOCATION })).await?;
        let document = emulator.get(&identity).unwrap_or_default();
        let principal = document["properties"]["principalId"].as_str().unwrap_or_default();
        values.entry("PrincipalId".into()).or_insert_with(|| principal.to_owned());
        values.insert(value.into(), identity);
    }
    let vault = format!("{group}/providers/Microsoft.KeyVault/vaults/contract-tests-keys");
    let properties = json!({
        "tenantId": configuration["TenantId"], "accessPolicies": [], "sku": { "family": "A", "name": "standard" }
    });
    put(emulator, &vault, "2023-07-01", json!({ "location": LOCATION, "properties": properties })).await?;
    values.insert("VaultId".into(), vault);
    Ok(values)
}

/// PUT, then GET until Azure says that it is there.
async fn put(emulator: &Emulator, id: &str, api_version: &str, body: Value) -> Result<(), Error> {
    let url = format!("{}{id}?api-version={api_version}", emulator.url());
    let token = emulator
        .token("https://management.azure.com/.default")
        .ok_or_else(|| cloud("the emulator gives no token for its own scope"))?;
    let client = emulator.client();
    let created = client.put(&url).bearer_auth(&token).json(&body).send().await.map_err(cloud)?;
    if !created.status().is_success() {
        return Err(cloud(format!("creating {id}: {} {}", created.status(), created.text().await.map_err(cloud)?)));
    }
    let wait = async {
        loop {
            let answer = client.get(&url).bearer_auth(&token).send().await?;
            let found = answer.status().is_success();
            let document: Value = answer.json().await?;
            let state = &document["properties"]["provisioningState"];
            if found && (state == "Succeeded" || state.is_null()) {
                return Ok::<_, reqwest::Error>(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PROVISIONED, wait)
        .await
        .map_err(|_| cloud(format!("{id} is still being created")))?
        .map_err(cloud)
}

/// The package has the handler as Lambda needs it, the schema and the inputs, and no secret.
fn packaged(path: &Path, type_name: &str, secret: &str) -> Result<(), Error> {
    let wrong = |problem: String| Error::file(path, problem);
    let package = package::open(path)?;
    match package.handler.get("bootstrap") {
        Some((mode, _)) if mode & 0o777 == 0o755 => {}
        Some((mode, _)) => return Err(wrong(format!("bootstrap has the mode {mode:o}, and Lambda needs 0755"))),
        None => return Err(wrong("handler.zip has no bootstrap".into())),
    }
    let schema: Value = match package.members.get("schema.json") {
        Some(schema) => serde_json::from_slice(schema).map_err(|error| wrong(format!("schema.json: {error}")))?,
        None => return Err(wrong("no schema.json".into())),
    };
    if schema["typeName"] != type_name {
        return Err(wrong(format!("schema.json is that of {}", schema["typeName"])));
    }
    for needed in [".rpdk-config", ".cfn_metadata.json", "inputs/inputs_1_create.json"] {
        if !package.members.contains_key(needed) {
            return Err(wrong(format!("no {needed}")));
        }
    }
    let handler = package.handler.iter().map(|(name, (_, data))| (name, data));
    for (name, data) in package.members.iter().chain(handler) {
        if data.windows(secret.len()).any(|window| window == secret.as_bytes()) {
            return Err(wrong(format!("{name} holds the client secret")));
        }
    }
    Ok(())
}

fn cloud(error: impl ToString) -> Error {
    Error::Cloud(error.to_string())
}
