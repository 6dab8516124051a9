//! The three ways to sign in, by the real handlers: through the local STS, Secrets Manager and CloudFormation.
#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

use sandbox::deploy::{Deployment, Error, Stacks};
use sandbox::serve::Sandbox;
use serde_json::{Value, json};

const GROUP: &str = "Azure::Resources::ResourceGroup";
const SECRET: &str = "sandbox-client-secret";

async fn configure(stacks: &Stacks, configuration: &Value) {
    let set = stacks.client().set_type_configuration().r#type(aws_sdk_cloudformation::types::ThirdPartyType::Resource);
    set.type_name(GROUP).configuration(configuration.to_string()).send().await.unwrap();
}

async fn deploy(stacks: &Stacks, stack: &str, properties: &Value) -> Result<(), Error> {
    let body = json!({"Resources": {"Group": {"Type": GROUP, "Properties": properties}}}).to_string();
    let deployment = Deployment { stack: stack.to_owned(), body, ..Deployment::default() };
    stacks.deploy(&deployment, &mut ()).await.map(drop)
}

/// Calls Secrets Manager as the AWS CLI does.
async fn secrets_manager(sandbox: &Sandbox, action: &str, body: &Value) -> Value {
    let request = reqwest::Client::builder().no_proxy().build().unwrap().post(&sandbox.endpoints().aws);
    let request = request
        .header("x-amz-target", format!("secretsmanager.{action}"))
        .header("content-type", "application/x-amz-json-1.1")
        .header("authorization", "AWS4-HMAC-SHA256 Credential=sandbox/20260101/us-east-1/secretsmanager/aws4_request");
    request.body(body.to_string()).send().await.unwrap().json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_sign_in_deploys_a_stack() {
    let sandbox = Sandbox::start(0).await.unwrap();
    let stacks = Stacks::new(sandbox.endpoints());
    let location = json!({"Location": "australiaeast"});
    let federated = sandbox.azure().federated_configuration();
    assert!(!std::fs::read_to_string(&sandbox.endpoints().type_configuration).unwrap().contains(SECRET));

    // What `cargo sandbox` configures has no secret.
    deploy(&stacks, "federated", &location).await.unwrap();

    let mut with_secret = federated.clone();
    with_secret["ClientSecret"] = SECRET.into();
    configure(&stacks, &with_secret).await;
    deploy(&stacks, "client-secret", &location).await.unwrap();

    let made = secrets_manager(&sandbox, "CreateSecret", &json!({"Name": "azure", "SecretString": "wrong"})).await;
    let mut by_arn = federated.clone();
    by_arn["ClientSecretArn"] = made["ARN"].clone();
    configure(&stacks, &by_arn).await;
    let error = deploy(&stacks, "wrong-secret", &location).await.unwrap_err().to_string();
    assert!(error.contains("AADSTS7000215") && error.contains("where ClientSecretArn points"), "{error}");
    // The handlers have read the wrong one a moment ago, and read it again.
    let right = json!({"SecretId": "azure", "SecretString": json!({"ClientSecret": SECRET}).to_string()});
    secrets_manager(&sandbox, "PutSecretValue", &right).await;
    deploy(&stacks, "stored-secret", &location).await.unwrap();

    by_arn["ClientSecretArn"] = "arn:aws:secretsmanager:us-east-1:000000000000:secret:nowhere-AbCdEf".into();
    configure(&stacks, &by_arn).await;
    let error = deploy(&stacks, "no-secret", &location).await.unwrap_err().to_string();
    assert!(
        error.contains("could not be read from arn:aws:secretsmanager") && error.contains("describe-secret"),
        "{error}"
    );

    // Two profiles, of which the second has an application that does not trust the role.
    let mut profiles = federated.clone();
    profiles["Profiles"] = json!({"other": federated});
    profiles["Profiles"]["other"]["SubscriptionId"] = "44444444-4444-4444-4444-444444444444".into();
    profiles["Profiles"]["other"]["ClientId"] = "55555555-5555-5555-5555-555555555555".into();
    configure(&stacks, &profiles).await;
    deploy(&stacks, "default-profile", &location).await.unwrap();
    let other = json!({"Location": "australiaeast", "Profile": "other"});
    let error = deploy(&stacks, "other-profile", &other).await.unwrap_err().to_string();
    assert!(error.contains("AADSTS700016") && error.contains("Check ClientId"), "{error}");

    for stack in ["federated", "client-secret", "stored-secret", "default-profile"] {
        stacks.delete(stack, &mut ()).await.unwrap();
    }
    assert!(sandbox.azure().resources().is_empty());
    let log = sandbox.lambda().log_lines("bootstrap").join("\n");
    assert!(!log.contains(SECRET) && !log.contains("eyJ"), "{log}");
}
