//! Tokens of AWS at the emulated Entra: which it takes, for whom, and why it refuses the others.
#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sandbox::azure::{Emulator, Options};
use sandbox::sts::{ISSUER, Sts};
use serde_json::{Value, json};

const ROLE: &str = "arn:aws:iam::123456789012:role/writer";
const AUDIENCE: &str = "api://AzureADTokenExchange";
const STORAGE: &str = "https://storage.azure.com/.default";

struct Cloud {
    emulator: Emulator,
    sts: Sts,
}

impl Cloud {
    async fn new() -> Self {
        let (emulator, sts) = (Emulator::start(Options::default()).await.unwrap(), Sts::start(0, None).await.unwrap());
        emulator.trust(sts.issuer());
        Cloud { emulator, sts }
    }

    /// The claims of the access token, or Entra's code.
    async fn exchange(&self, client_id: &str, assertion: &str) -> Result<Value, u64> {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", client_id),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion),
            ("scope", STORAGE),
        ];
        let url = format!("{}/{}/oauth2/v2.0/token", self.emulator.url(), self.emulator.options().tenant_id);
        let answer: Value = self.emulator.client().post(url).form(&form).send().await.unwrap().json().await.unwrap();
        match answer["access_token"].as_str() {
            Some(token) => {
                let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
                Ok(serde_json::from_slice(&claims).unwrap())
            }
            None => Err(answer["error_codes"][0].as_u64().unwrap()),
        }
    }

    async fn put(&self, id: &str, api: &str, body: Value) -> Value {
        let token = self.emulator.token("https://management.azure.com/.default").unwrap();
        let url = format!("{}{id}?api-version={api}", self.emulator.url());
        let answer = self.emulator.client().put(url).bearer_auth(token).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{id}: {}", answer.status());
        answer.json().await.unwrap()
    }
}

#[tokio::test]
async fn an_application_is_who_its_federated_credential_says() {
    let cloud = Cloud::new().await;
    cloud.emulator.federate(ISSUER, ROLE);
    let application = cloud.emulator.options().client_id.clone();
    let token = |subject: &str, audience: &str, lifetime| cloud.sts.token(subject, audience, lifetime);
    let right = token(ROLE, AUDIENCE, 300);
    assert_eq!(cloud.exchange(&application, &right).await.unwrap()["appid"], application.as_str());

    let forged = {
        let (signed, signature) = right.rsplit_once('.').unwrap();
        let (header, payload) = signed.split_once('.').unwrap();
        let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
        claims["exp"] = 4_000_000_000_u64.into();
        format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(claims.to_string()))
    };
    let unsigned = format!("{}.", right.rsplit_once('.').unwrap().0);
    let other_key = Sts::start(0, None).await.unwrap().token(ROLE, AUDIENCE, 300);
    let cases = [
        ("another role", token("arn:aws:iam::123456789012:role/other", AUDIENCE, 300), 700_213),
        ("another audience", token(ROLE, "api://other", 300), 700_212),
        ("expired", token(ROLE, AUDIENCE, -400), 700_024),
        ("forged", forged, 50_027),
        ("unsigned", unsigned, 50_027),
        ("signed by another key", other_key, 50_027),
        ("no token", "a.b".to_owned(), 50_027),
    ];
    for (case, assertion, code) in cases {
        assert_eq!(cloud.exchange(&application, &assertion).await.unwrap_err(), code, "{case}");
    }
    assert_eq!(cloud.exchange("55555555-5555-5555-5555-555555555555", &right).await.unwrap_err(), 700_016);
}

#[tokio::test]
async fn an_identity_that_a_template_makes_trusts_a_role() {
    let cloud = Cloud::new().await;
    let group = format!("/subscriptions/{}/resourceGroups/g", cloud.emulator.options().subscription_id);
    let identity = format!("{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/writer");
    cloud.put(&group, "2021-04-01", json!({"location": "australiaeast"})).await;
    let made = cloud.put(&identity, "2023-01-31", json!({"location": "australiaeast"})).await;
    let client = made["properties"]["clientId"].as_str().unwrap();
    let token = cloud.sts.token(ROLE, AUDIENCE, 300);
    assert_eq!(cloud.exchange(client, &token).await.unwrap_err(), 700_016, "nothing makes anybody the identity yet");

    let credential = json!({"properties": {"issuer": ISSUER, "subject": ROLE, "audiences": [AUDIENCE]}});
    cloud.put(&format!("{identity}/federatedIdentityCredentials/aws"), "2023-01-31", credential).await;
    let claims = cloud.exchange(client, &token).await.unwrap();
    assert_eq!(
        (&claims["appid"], &claims["oid"]),
        (&made["properties"]["clientId"], &made["properties"]["principalId"])
    );
    let application = cloud.emulator.options().client_id.clone();
    assert_eq!(cloud.exchange(&application, &token).await.unwrap_err(), 700_211, "and nobody the application");
}
