//! The three ways to sign in, against an AWS and an Entra that count and refuse.

#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "the other suites use the rest")]
mod stub;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{Router, body::Bytes, http::HeaderMap, response::IntoResponse};
use azure_client::{ApiVersion, Azure, ErrorKind, Session};
use serde_json::{Value, json};
use stub::{Reply, SUBSCRIPTION, Stub, TOKEN, failure, json, token};

const GROUP: &str = "/subscriptions/01234567-89ab-cdef-0123-456789abcdef/resourceGroups/g";
const ARN: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:azure-AbCdEf";
const ISSUER: &str = "https://0a1b2c3d.tokens.sts.global.api.aws";
const ROLE: &str = "arn:aws:iam::123456789012:role/execution";

/// An AWS on loopback: its calls, and what it answers to each.
struct Aws {
    url: String,
    calls: Arc<Mutex<Vec<String>>>,
}

type Response = (u16, String);

impl Aws {
    /// `answer` gets how many calls came before.
    async fn start(answer: impl Fn(usize) -> Response + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let calls = Arc::<Mutex<Vec<String>>>::default();
        let (log, answer) = (calls.clone(), Arc::new(answer));
        let router = Router::new().fallback(move |headers: HeaderMap, body: Bytes| async move {
            let target = headers.get("x-amz-target").map_or("", |value| value.to_str().unwrap());
            let signer = headers["authorization"].to_str().unwrap();
            let before = {
                let mut log = log.lock().unwrap();
                log.push(format!("{target} {} {signer}", String::from_utf8_lossy(&body)));
                log.len() - 1
            };
            let (status, body) = answer(before);
            (axum::http::StatusCode::from_u16(status).unwrap(), [("x-amzn-requestid", "aws-1")], body).into_response()
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, calls }
    }

    fn session(&self, key: &str) -> Session {
        Session::new(key, "secret-access-key", Some("session-token".to_owned()), "ap-southeast-2").at(&self.url)
    }

    fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }
}

/// A token with readable claims and a signature that is none.
fn jwt() -> String {
    let claims = json!({"iss": ISSUER, "sub": ROLE, "aud": "api://AzureADTokenExchange"});
    let encode = |value: Value| azure_core::base64::encode_url_safe(value.to_string()).trim_end_matches('=').to_owned();
    format!("{}.{}.signature-value", encode(json!({"alg": "RS256"})), encode(claims))
}

fn issued() -> Response {
    let body = format!(
        "<GetWebIdentityTokenResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetWebIdentityTokenResult>\
         <WebIdentityToken>{}</WebIdentityToken><Expiration>2030-01-01T00:00:00Z</Expiration>\
         </GetWebIdentityTokenResult></GetWebIdentityTokenResponse>",
        jwt()
    );
    (200, body)
}

fn sts_refusal(status: u16, code: &str, message: &str) -> Response {
    let body = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>{message}</Message></Error><RequestId>aws-1</RequestId></ErrorResponse>"
    );
    (status, body)
}

fn stored(secret: &str) -> Response {
    (200, json!({"ARN": ARN, "Name": "azure", "SecretString": secret}).to_string())
}

fn secrets_refusal(code: &str, message: &str) -> Response {
    (400, json!({"__type": code, "Message": message}).to_string())
}

fn entra_refusal(code: u32, message: &str) -> Reply {
    json(
        401,
        json!({"error": "invalid_client", "error_description": format!("AADSTS{code}: {message} Trace ID: t-1"), "trace_id": "t-1"}),
    )
}

/// The client of a profile with neither secret, or with the ARN.
fn azure(stub: &Stub, arn: Option<&str>, session: &Session) -> Azure {
    let mut profile = stub.configuration();
    profile.as_object_mut().unwrap().remove("ClientSecret");
    if let Some(arn) = arn {
        profile["ClientSecretArn"] = arn.into();
    }
    Azure::open(&serde_json::from_value(profile).unwrap(), Some(session)).unwrap()
}

async fn get(azure: &Azure) -> azure_client::Result<Value> {
    azure.arm(Instant::now() + Duration::from_secs(30)).get(GROUP, ApiVersion::RESOURCES).await
}

async fn entra_that_takes_anything() -> Stub {
    Stub::start(|seen, _| if seen.is_token() { token() } else { json(200, json!({})) }).await
}

#[tokio::test]
async fn a_web_identity_token_is_exchanged_once_for_each_session() {
    let (stub, aws) = (entra_that_takes_anything().await, Aws::start(|_| issued()).await);
    let first = aws.session("ASIAFIRST");
    let client = azure(&stub, None, &first);
    assert!(aws.calls().is_empty() && stub.seen().is_empty(), "nothing is asked before it is needed");
    for _ in 0..5 {
        get(&client).await.unwrap();
        get(&azure(&stub, None, &first)).await.unwrap();
    }
    assert_eq!((aws.calls().len(), stub.token_requests(), stub.calls()), (1, 1, 10));
    let call = &aws.calls()[0];
    for part in [
        "Action=GetWebIdentityToken",
        "Audience.member.1=api%3A%2F%2FAzureADTokenExchange",
        "SigningAlgorithm=RS256",
        "DurationSeconds=120",
        "Credential=ASIAFIRST/",
        "/ap-southeast-2/sts/",
    ] {
        assert!(call.contains(part), "{part} is missing in {call}");
    }
    let exchange = &stub.seen()[0].body;
    for part in [
        format!("client_assertion={}", jwt()),
        "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer".to_owned(),
        "grant_type=client_credentials".to_owned(),
        "client_id=client".to_owned(),
    ] {
        assert!(exchange.contains(&part), "{part} is missing in {exchange}");
    }
    // Another session may be another account's: it proves itself.
    get(&azure(&stub, None, &aws.session("ASIASECOND"))).await.unwrap();
    assert_eq!((aws.calls().len(), stub.token_requests()), (2, 2));
}

#[tokio::test]
async fn a_token_that_azure_refuses_is_replaced() {
    let stub = Stub::start(|seen, before| match (seen.is_token(), before) {
        (true, _) => token(),
        (false, 0) => failure(401, "ExpiredAuthenticationToken", "expired"),
        _ => json(200, json!({})),
    })
    .await;
    let aws = Aws::start(|_| issued()).await;
    get(&azure(&stub, None, &aws.session("ASIA"))).await.unwrap();
    assert_eq!((aws.calls().len(), stub.token_requests()), (2, 2));
}

#[tokio::test]
async fn a_token_about_to_expire_is_replaced() {
    let short = || json(200, json!({"token_type": "Bearer", "expires_in": 200, "access_token": TOKEN}));
    let stub = Stub::start(move |seen, _| if seen.is_token() { short() } else { json(200, json!({})) }).await;
    let aws = Aws::start(|_| issued()).await;
    let client = azure(&stub, None, &aws.session("ASIA"));
    get(&client).await.unwrap();
    get(&client).await.unwrap();
    assert_eq!((aws.calls().len(), stub.token_requests()), (2, 2));
}

#[tokio::test]
async fn a_stored_secret_is_read_once_and_again_when_entra_refuses_it() {
    for (form, refusal) in [("right", 7_000_215), ("{\"ClientSecret\": \"right\", \"Other\": 1}\n", 7_000_222)] {
        let stub = Stub::start(move |seen, before| match (seen.is_token(), before) {
            (true, _) if seen.body.contains("client_secret=right") || before == 0 => token(),
            (true, _) => entra_refusal(refusal, "Not this secret."),
            // The second token is wanted when the secret has been replaced.
            (false, 1) => failure(401, "ExpiredAuthenticationToken", "expired"),
            _ => json(200, json!({})),
        })
        .await;
        let aws = Aws::start(move |before| stored(if before == 0 { "former" } else { form })).await;
        let client = azure(&stub, Some(ARN), &aws.session("ASIA"));
        get(&client).await.unwrap();
        assert_eq!((aws.calls().len(), stub.token_requests()), (1, 1));
        assert!(aws.calls()[0].contains("secretsmanager.GetSecretValue") && aws.calls()[0].contains(ARN));
        assert!(aws.calls()[0].contains("/eu-central-1/secretsmanager/"), "the region is the secret's own");
        assert!(stub.seen()[0].body.contains("client_secret=former"));
        get(&client).await.unwrap();
        assert_eq!((aws.calls().len(), stub.token_requests()), (2, 3), "refused once, read again, taken");
    }
}

#[tokio::test]
async fn a_stored_secret_that_is_wrong_is_not_read_forever() {
    let stub = Stub::start(|_, _| entra_refusal(7_000_222, "The provided client secret keys are expired.")).await;
    let aws = Aws::start(|_| stored("expired-value")).await;
    let client = azure(&stub, Some(ARN), &aws.session("ASIA"));
    let error = get(&client).await.unwrap_err();
    assert_eq!((error.kind, aws.calls().len()), (ErrorKind::Unauthenticated, 1));
    assert!(error.to_string().contains("store it where ClientSecretArn points"), "{error}");
    get(&client).await.unwrap_err();
    assert_eq!(aws.calls().len(), 2);
}

/// What AWS may refuse, and what the user is told.
#[tokio::test]
async fn every_refusal_of_aws_says_what_to_set() {
    use ErrorKind as Kind;
    let user = "User: arn:aws:sts::123456789012:assumed-role/execution/s is not authorized to perform: sts:GetWebIdentityToken";
    let sts = [
        (
            403,
            "OutboundWebIdentityFederationDisabledException",
            "Disabled.",
            Kind::Unauthenticated,
            "`aws iam enable-outbound-web-identity-federation`",
        ),
        (403, "AccessDenied", user, Kind::Forbidden, "allow sts:GetWebIdentityToken to the type's execution role"),
        (
            403,
            "AccessDenied",
            "Cannot call GetWebIdentityToken with session credentials",
            Kind::Forbidden,
            "come from GetSessionToken",
        ),
        (403, "SessionDurationEscalationException", "Too long.", Kind::NotYetTrusted, "ends within two minutes"),
        (400, "JWTPayloadSizeExceededException", "Too large.", Kind::Unauthenticated, "tags"),
        (403, "InvalidClientTokenId", "Invalid.", Kind::Unauthenticated, "does not know the caller's credentials"),
        (403, "ExpiredToken", "Expired.", Kind::NotYetTrusted, "has expired"),
        (403, "RegionDisabledException", "STS is off.", Kind::Unauthenticated, "enable STS in the stack's region"),
        (400, "SomethingNew", "It is new.", Kind::Unauthenticated, "It is new."),
    ];
    for (status, code, message, kind, says) in sts {
        let aws = Aws::start(move |_| sts_refusal(status, code, message)).await;
        let stub = entra_that_takes_anything().await;
        let error = get(&azure(&stub, None, &aws.session("ASIA"))).await.unwrap_err();
        assert_eq!((error.kind, error.code.as_deref(), error.status), (kind, Some(code), Some(status)), "{error}");
        let text = error.to_string();
        let step = "AWS STS issued no web identity token: ";
        assert!(text.contains(step) && text.contains(message) && text.contains(says), "{text}");
        assert!(text.contains("request id aws-1"), "{text}");
        assert!(error.signing_in && stub.seen().is_empty());
    }
    let denied = "is not authorized to perform: secretsmanager:GetSecretValue";
    let secrets = [
        (
            "ResourceNotFoundException",
            "Secrets Manager can't find the specified secret.",
            Kind::Configuration,
            "describe-secret",
        ),
        ("AccessDeniedException", denied, Kind::Forbidden, "allow secretsmanager:GetSecretValue"),
        ("AccessDeniedException", "Access to KMS is not allowed", Kind::Forbidden, "allow kms:Decrypt"),
        ("DecryptionFailure", "It can't be decrypted.", Kind::Forbidden, "allow kms:Decrypt"),
        ("InvalidRequestException", "it was marked for deletion.", Kind::Configuration, "restore-secret"),
    ];
    for (code, message, kind, says) in secrets {
        let aws = Aws::start(move |_| secrets_refusal(code, message)).await;
        let stub = entra_that_takes_anything().await;
        let error = get(&azure(&stub, Some(ARN), &aws.session("ASIA"))).await.unwrap_err();
        let text = error.to_string();
        assert_eq!((error.kind, error.code.as_deref()), (kind, Some(code)), "{text}");
        let step = format!("the client secret could not be read from {ARN}: ");
        assert!(text.contains(&step) && text.contains(message) && text.contains(says), "{text}");
        assert!(error.signing_in && stub.seen().is_empty());
    }
    let unusable = [
        ((200, json!({"ARN": ARN, "SecretBinary": "c2VjcmV0"}).to_string()), "SecretString"),
        (stored("{\"Password\": \"hunter2\"}"), "without a text ClientSecret"),
        (stored("{\"ClientSecret\": {\"hunter2\": 1}}"), "without a text ClientSecret"),
        (stored(" \n"), "is empty"),
    ];
    for (answer, says) in unusable {
        let aws = Aws::start(move |_| answer.clone()).await;
        let error = get(&azure(&entra_that_takes_anything().await, Some(ARN), &aws.session("ASIA"))).await.unwrap_err();
        assert_eq!(error.kind, Kind::Configuration);
        assert!(error.to_string().contains(says) && error.to_string().contains(ARN), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test]
async fn an_aws_that_cannot_be_reached_is_named() {
    let stub = entra_that_takes_anything().await;
    let closed = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap() };
    let session = Session::new("ASIA", "secret-access-key", None, "eu-central-1").at(format!("http://{closed}"));
    let arm = azure(&stub, None, &session).arm(Instant::now() + Duration::from_secs(4));
    let error = arm.get(GROUP, ApiVersion::RESOURCES).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Network);
    assert!(error.to_string().contains("AWS STS issued no web identity token"), "{error}");
}

#[tokio::test]
async fn a_new_federated_credential_is_waited_for() {
    let stub = Stub::start(|seen, before| match (seen.is_token(), before) {
        (true, 0..2) => entra_refusal(70_021, "No matching federated identity record found for presented assertion."),
        (true, _) => token(),
        _ => json(200, json!({})),
    })
    .await;
    let aws = Aws::start(|_| issued()).await;
    get(&azure(&stub, None, &aws.session("ASIA"))).await.unwrap();
    assert_eq!((stub.token_requests(), stub.calls()), (3, 1));
}

#[tokio::test]
async fn a_missing_federated_credential_is_spelt_out() {
    for code in [70_021, 700_213] {
        let stub = Stub::start(move |_, _| entra_refusal(code, "No matching federated identity record found.")).await;
        let aws = Aws::start(|_| issued()).await;
        let error = get(&azure(&stub, None, &aws.session("ASIA"))).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotYetTrusted);
        assert_eq!(stub.token_requests(), 5);
        let text = error.to_string();
        for part in [
            "application client must have a federated credential",
            &format!("issuer {ISSUER}, subject {ROLE} and audience api://AzureADTokenExchange"),
            "az ad app federated-credential create",
            "request id t-1",
        ] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        assert!(!text.contains("signature-value"), "{text}");
    }
}

/// Everything that we and our dependencies log, at the most talkative level.
#[tokio::test]
async fn neither_session_nor_secret_nor_token_is_logged_or_told() {
    let captured = stub::Captured::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(captured.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);

    let stub = entra_that_takes_anything().await;
    let mut told = String::new();
    for (arn, answer) in [(None, issued()), (Some(ARN), stored("stored-value"))] {
        let aws = Aws::start(move |_| answer.clone()).await;
        let session = aws.session("ASIA");
        let client = azure(&stub, arn, &session);
        get(&client).await.unwrap();
        told += &format!("{client:?} {session:?}\n");
    }
    let refusing = Stub::start(|_, _| entra_refusal(7_000_215, "Invalid.")).await;
    let aws = Aws::start(|_| stored("stored-value")).await;
    let error = get(&azure(&refusing, Some(ARN), &aws.session("ASIA"))).await.unwrap_err();
    told += &format!("{error} {error:?}\n");
    drop(guard);

    told += &captured.text();
    for hidden in ["secret-access-key", "session-token", "stored-value", "signature-value", &jwt(), TOKEN] {
        let found = told.lines().find(|line| line.contains(hidden));
        assert_eq!(found, None, "{hidden}");
    }
    assert!(told.contains("azure request") && told.contains(SUBSCRIPTION), "the log was captured");
}
