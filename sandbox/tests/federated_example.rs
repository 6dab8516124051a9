//! The example `examples/federated`, and what it is for: an AWS role writes a blob with no secret.
#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

use std::fs;

use sandbox::deploy::{Deployment, Stacks};
use sandbox::proof::web_identity_token;
use sandbox::serve::Sandbox;
use sandbox::sts::ISSUER;
use sandbox::tools::root;
use serde_json::Value;

/// The access key of a session of the role, from the local AWS.
async fn assume(sandbox: &Sandbox, role: &str) -> String {
    let form = [("Action", "AssumeRole"), ("Version", "2011-06-15"), ("RoleArn", role), ("RoleSessionName", "test")];
    let request = reqwest::Client::builder().no_proxy().build().unwrap().post(&sandbox.endpoints().sts).form(&form);
    let request =
        request.header("authorization", "AWS4-HMAC-SHA256 Credential=sandbox/20260101/us-east-1/sts/aws4_request");
    let answer = request.send().await.unwrap().text().await.unwrap();
    let key = answer.split_once("<AccessKeyId>").and_then(|(_, rest)| rest.split_once("</AccessKeyId>"));
    key.unwrap_or_else(|| panic!("{answer}")).0.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_of_aws_writes_a_blob_without_a_secret() {
    let sandbox = Sandbox::start(0).await.unwrap();
    let stacks = Stacks::new(sandbox.endpoints());
    let body = fs::read_to_string(root().join("examples/federated/template.yaml")).unwrap();
    let parameters = vec![("Issuer".to_owned(), ISSUER.to_owned())];
    let deployment = Deployment { stack: "federated".into(), body, parameters, ..Deployment::default() };
    stacks.deploy(&deployment, &mut ()).await.unwrap();
    let stack = stacks.find("federated").await.unwrap().unwrap();
    let output = |key: &str| {
        let found = stack.outputs().iter().find(|output| output.output_key() == Some(key)).unwrap();
        found.output_value().unwrap().to_owned()
    };
    let resources = stacks.resources("federated").await.unwrap();
    let id = |logical: &str| {
        let found = resources.iter().find(|resource| resource.logical_resource_id() == Some(logical)).unwrap();
        found.physical_resource_id().unwrap().to_owned()
    };

    // The right is on the one container and the identity's alone.
    let azure = sandbox.azure();
    let assignment = azure.get(&id("MayWrite")).unwrap()["properties"].clone();
    assert_eq!(assignment["principalId"], azure.get(&id("Identity")).unwrap()["properties"]["principalId"]);
    assert!(id("MayWrite").starts_with(&id("Container")), "{}", id("MayWrite"));

    let client = azure.client();
    let exchange = async |token: String| {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &output("ClientId")),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", &token),
            ("scope", "https://storage.azure.com/.default"),
        ];
        let url = format!("{}/{}/oauth2/v2.0/token", azure.url(), output("TenantId"));
        let answer: Value = client.post(url).form(&form).send().await.unwrap().json().await.unwrap();
        answer
    };
    // The handlers' own role is not whom the identity trusts.
    let sts = &sandbox.endpoints().sts;
    let refused = exchange(web_identity_token(sts, None).await.unwrap()).await;
    assert_eq!(refused["error_codes"][0], 700_213, "{refused}");

    let session = assume(&sandbox, &output("Role")).await;
    let answer = exchange(web_identity_token(sts, Some(&session)).await.unwrap()).await;
    let token = answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}"));
    let url = format!("{}backups/written-by-a-role", output("Endpoint"));
    let blob = |request: reqwest::RequestBuilder| request.bearer_auth(token).header("x-ms-version", "2023-11-03");
    let put = blob(client.put(&url)).header("x-ms-blob-type", "BlockBlob").body("no secret").send().await.unwrap();
    assert_eq!(put.status(), 201, "{}", put.text().await.unwrap());
    assert_eq!(blob(client.get(&url)).send().await.unwrap().text().await.unwrap(), "no secret");
    assert_eq!(blob(client.delete(&url)).send().await.unwrap().status(), 202);

    stacks.delete("federated", &mut ()).await.unwrap();
    assert!(azure.resources().is_empty(), "{:?}", azure.resources());
}
