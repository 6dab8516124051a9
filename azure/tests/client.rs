//! The client against an HTTPS server that misbehaves on request.

#![allow(clippy::unwrap_used)]

mod stub;

use std::time::{Duration, Instant};

use azure_client::{ApiVersion, Arm, Azure, Entity, EntryKind, ErrorKind, Operation, Profile, Progress};
use serde_json::{Value, json};
use stub::{Reply, SECRET, SUBSCRIPTION, Seen, Stub, TOKEN, failure, json, token};

const GROUP: &str = "/subscriptions/01234567-89ab-cdef-0123-456789abcdef/resourceGroups/g";

fn soon(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

/// A server with tokens, which answers the rest as told.
async fn server(answer: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Stub {
    Stub::start(move |seen, before| if seen.is_token() { token() } else { answer(seen, before) }).await
}

async fn get(arm: &Arm) -> azure_client::Result<Value> {
    arm.get(GROUP, ApiVersion::RESOURCES).await
}

#[tokio::test]
async fn a_warm_read_is_one_request() {
    let stub = server(|_, _| json(200, json!({"name": "g"}))).await;
    for _ in 0..10 {
        let answer = get(&stub.azure().arm(soon(10))).await.unwrap();
        assert_eq!(answer, json!({"name": "g"}));
    }
    assert_eq!((stub.token_requests(), stub.calls()), (1, 10));
    let seen = stub.seen();
    assert!(seen[0].body.contains(&format!("scope=https%3A%2F%2F127.0.0.1%3A{}%2F.default", stub.address.port())));
    let request = &seen[1];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", GROUP));
    assert_eq!(request.query, "api-version=2021-04-01");
    assert_eq!(request.headers["authorization"], format!("Bearer {TOKEN}"));
    let agent = request.headers["user-agent"].to_str().unwrap();
    assert!(agent.contains(concat!("azure-client/", env!("CARGO_PKG_VERSION"))), "{agent}");
}

#[tokio::test]
async fn a_write_may_be_bound_to_an_entity_tag() {
    let stub = server(|seen, _| match seen.headers.contains_key("if-match") {
        true => failure(412, "ConditionNotMet", "The condition is not met."),
        false => json(200, json!({})),
    })
    .await;
    let arm = stub.azure().arm(soon(10));
    let bound = arm.matching("\"0x8D\"");
    let error = bound.delete(GROUP, ApiVersion::RESOURCES).await.unwrap_err();
    assert_eq!((error.kind, stub.calls()), (ErrorKind::PreconditionFailed, 1));
    assert_eq!(stub.seen().last().unwrap().headers["if-match"], "\"0x8D\"");
    get(&bound).await.unwrap();
    arm.delete(GROUP, ApiVersion::RESOURCES).await.unwrap();
}

#[tokio::test]
async fn another_secret_is_another_client() {
    let stub = server(|_, _| json(200, json!({}))).await;
    get(&stub.azure().arm(soon(10))).await.unwrap();
    let mut configuration = stub.configuration();
    configuration["ClientSecret"] = json!("another");
    let profile: Profile = serde_json::from_value(configuration).unwrap();
    get(&Azure::open(&profile, None).unwrap().arm(soon(10))).await.unwrap();
    assert_eq!(stub.token_requests(), 2);
}

#[tokio::test]
async fn one_correlation_id_per_invocation() {
    let stub = server(|_, _| json(200, json!({}))).await;
    let azure = stub.azure();
    let (first, second) = (azure.arm(soon(10)), azure.arm(soon(10)));
    get(&first).await.unwrap();
    get(&first).await.unwrap();
    get(&second).await.unwrap();
    let ids: Vec<_> = stub
        .seen()
        .iter()
        .filter(|seen| !seen.is_token())
        .map(|seen| seen.headers["x-ms-correlation-request-id"].to_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids, [first.correlation_id(), first.correlation_id(), second.correlation_id()]);
    assert_ne!(ids[1], ids[2]);
}

#[tokio::test]
async fn a_wrong_secret_is_explained_without_it() {
    let stub = Stub::start(|_, _| {
        let description = "AADSTS7000215: Invalid client secret provided. Trace ID: t-1 Correlation ID: c-1 Timestamp: now";
        json(401, json!({"error": "invalid_client", "error_description": description, "error_codes": [7_000_215], "trace_id": "t-1"}))
    })
    .await;
    let error = get(&stub.azure().arm(soon(10))).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unauthenticated);
    assert_eq!(error.code.as_deref(), Some("AADSTS7000215"));
    assert!(error.to_string().contains("Check that ClientSecret is the secret's value"), "{error}");
    assert!(!format!("{error} {error:?}").contains(SECRET));
    assert_eq!(stub.seen().len(), 1, "a refusal is not repeated");
}

#[tokio::test]
async fn entra_may_fail_for_a_moment() {
    let stub = Stub::start(|seen, before| match (seen.is_token(), before) {
        (true, 0) => Reply::Answer(503, vec![], "<html>down</html>".to_owned()),
        (true, _) => token(),
        _ => json(200, json!({})),
    })
    .await;
    get(&stub.azure().arm(soon(20))).await.unwrap();
    assert_eq!((stub.token_requests(), stub.calls()), (2, 1));
}

#[tokio::test]
async fn an_expired_token_is_replaced_once() {
    let stub = server(|_, before| match before {
        0 => failure(401, "ExpiredAuthenticationToken", "The access token expired."),
        _ => json(200, json!({})),
    })
    .await;
    get(&stub.azure().arm(soon(10))).await.unwrap();
    assert_eq!((stub.token_requests(), stub.calls()), (2, 2));

    let stub = server(|_, _| failure(401, "ExpiredAuthenticationToken", "The access token expired.")).await;
    let error = get(&stub.azure().arm(soon(10))).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unauthenticated);
    assert_eq!((stub.token_requests(), stub.calls()), (2, 2));
}

#[tokio::test]
async fn throttling_is_waited_for_if_it_fits() {
    let by_header = || {
        let Reply::Answer(status, mut headers, body) = failure(429, "TooManyRequests", "slow down") else {
            unreachable!()
        };
        headers.push(("retry-after", "1".to_owned()));
        Reply::Answer(status, headers, body)
    };
    let by_message = || failure(429, "SubscriptionRequestsThrottled", "Too many. Please try again after '1' seconds.");
    for throttled in [by_header as fn() -> Reply, by_message] {
        let stub = server(move |_, before| if before == 0 { throttled() } else { json(200, json!({})) }).await;
        let start = Instant::now();
        stub.azure().arm(soon(20)).post(GROUP, ApiVersion::RESOURCES, &Value::Null).await.unwrap();
        assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
        assert_eq!(stub.calls(), 2);
    }
    let stub = server(|_, _| failure(429, "ResourceRequestsThrottled", "Please try again after '324' seconds.")).await;
    let start = Instant::now();
    let error = get(&stub.azure().arm(soon(20))).await.unwrap_err();
    assert_eq!((error.kind, error.retry_after), (ErrorKind::Throttled, Some(Duration::from_secs(324))));
    assert!(start.elapsed() < Duration::from_secs(2));
    assert_eq!(stub.calls(), 1);
}

#[tokio::test]
async fn a_lost_connection_is_repeated_unless_posted() {
    let stub = server(|_, before| if before == 0 { Reply::LoseConnection } else { json(200, json!({})) }).await;
    let arm = stub.azure().arm(soon(20));
    get(&arm).await.unwrap();
    assert_eq!(stub.calls(), 2);
    let error = arm.post(&format!("{GROUP}/act"), ApiVersion::RESOURCES, &json!({})).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Network);
    assert_eq!(stub.calls(), 3);
}

#[tokio::test]
async fn a_persistent_failure_ends_before_the_deadline() {
    let stub = server(|_, _| failure(500, "InternalServerError", "sorry")).await;
    let deadline = soon(5);
    let error = stub.azure().arm(deadline).put(GROUP, ApiVersion::RESOURCES, &json!({})).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_deref()), (ErrorKind::Server, Some("InternalServerError")));
    assert!(Instant::now() + Duration::from_millis(2_700) < deadline, "no attempt begins in the last seconds");
    assert!(stub.calls() > 1);
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    for silent in ["Azure", "Entra"] {
        let stub =
            Stub::start(move |seen, _| if seen.is_token() && silent == "Azure" { token() } else { Reply::Hang }).await;
        let deadline = Instant::now() + Duration::from_millis(700);
        let error = get(&stub.azure().arm(deadline)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Timeout, "{silent}");
        assert!(Instant::now() < deadline + Duration::from_millis(300), "{silent}");
        assert!(error.to_string().starts_with(&format!("GET {GROUP}: no answer within the time limit")), "{error}");
    }
}

#[tokio::test]
async fn nothing_is_sent_after_the_deadline() {
    let stub = server(|_, _| json(200, json!({}))).await;
    get(&stub.azure().arm(soon(10))).await.unwrap();
    let error = get(&stub.azure().arm(Instant::now())).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Timeout);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(stub.calls(), 1);
}

#[tokio::test]
async fn only_the_given_authority_is_trusted_in_addition() {
    let stub = server(|_, _| json(200, json!({}))).await;
    let mut configuration = stub.configuration();
    configuration["Endpoints"]["CertificateAuthority"] = Value::Null;
    let profile: Profile = serde_json::from_value(configuration).unwrap();
    let error = get(&Azure::open(&profile, None).unwrap().arm(soon(2))).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Network);
    assert!(error.message.contains("certificate"), "{error}");
    assert_eq!(stub.seen().len(), 0);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let stub = server(|_, _| Reply::Answer(307, vec![("location", "/elsewhere".to_owned())], String::new())).await;
    let error = get(&stub.azure().arm(soon(10))).await.unwrap_err();
    assert_eq!((error.kind, error.status), (ErrorKind::Other, Some(307)));
    assert_eq!(stub.calls(), 1);
}

#[tokio::test]
async fn pages_follow_the_link_verbatim_on_the_same_host_only() {
    let list = format!("{GROUP}/providers/Microsoft.Storage/storageAccounts");
    let stub = server(|seen, _| {
        let host = seen.headers["host"].to_str().unwrap();
        match seen.query.as_str() {
            "api-version=2023-05-01" => {
                let next = format!("https://{host}{}?api-version=2023-05-01&$skipToken=a%2Bb", seen.path);
                json(200, json!({"value": [{"name": "a"}], "nextLink": next}))
            }
            "api-version=2023-05-01&$skipToken=a%2Bb" => json(200, json!({"value": [], "nextLink": ""})),
            "$filter=stranger&api-version=2023-05-01" => {
                json(200, json!({"value": [], "nextLink": format!("https://localhost:1{}?x", seen.path)}))
            }
            query => failure(400, "UnexpectedQuery", query),
        }
    })
    .await;
    let arm = stub.azure().arm(soon(10));
    let first = arm.list(&list, ApiVersion::STORAGE, None).await.unwrap();
    assert_eq!(first.items, [json!({"name": "a"})]);
    let last = arm.list(&list, ApiVersion::STORAGE, first.next.as_deref()).await.unwrap();
    assert_eq!((last.items.len(), last.next), (0, None));

    let error = arm.list(&format!("{list}?$filter=stranger"), ApiVersion::STORAGE, None).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Undecodable);
    let calls = stub.calls();
    for forged in ["https://localhost:1/x", "http://127.0.0.1/x", &format!("{}/other", stub.url()), "no url"] {
        let error = arm.list(&list, ApiVersion::STORAGE, Some(forged)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidRequest, "{forged}");
    }
    assert_eq!(stub.calls(), calls);
}

#[tokio::test]
async fn writes_tell_whether_they_are_done() {
    let stub = server(|seen, before| {
        let host = seen.headers["host"].to_str().unwrap();
        let state = format!("https://{host}/subscriptions/s/providers/P/locations/l/asyncoperations/o?api-version=1");
        match (seen.method.as_str(), before) {
            ("PUT", _) => {
                let headers = vec![
                    ("location", format!("https://{host}/x?t=1&c=2&s=3&h=4")),
                    ("retry-after", "17".to_owned()),
                    ("content-type", "text/plain".to_owned()),
                ];
                Reply::Answer(202, headers, String::new())
            }
            ("PATCH", _) => json(200, json!({"a": 1})),
            ("DELETE", _) => Reply::Answer(204, vec![], String::new()),
            ("POST", _) => Reply::Answer(202, vec![("azure-asyncoperation", state)], "null".to_owned()),
            ("GET", 0) => json(200, json!({"status": "InProgress"})),
            _ => json(200, json!({"status": "Succeeded", "properties": {"done": true}})),
        }
    })
    .await;
    let arm = stub.azure().arm(soon(10));
    let created = arm.put(GROUP, ApiVersion::STORAGE, &json!({"location": "l"})).await.unwrap();
    let operation = Operation { retry_after: Some(Duration::from_secs(17)), status_url: None };
    assert_eq!((created.status, created.body, created.operation.clone()), (202, Value::Null, Some(operation)));
    let unwatched = arm.poll(&created.operation.unwrap()).await.unwrap();
    assert_eq!(unwatched, Progress::Pending { retry_after: Some(Duration::from_secs(17)) });

    let changed = arm.patch(GROUP, ApiVersion::STORAGE, &json!({"a": 1})).await.unwrap();
    assert_eq!((changed.status, changed.body, changed.operation), (200, json!({"a": 1}), None));
    let deleted = arm.delete(GROUP, ApiVersion::STORAGE).await.unwrap();
    assert_eq!((deleted.status, deleted.body, deleted.operation), (204, Value::Null, None));

    let operation =
        arm.post(&format!("{GROUP}/act"), ApiVersion::STORAGE, &Value::Null).await.unwrap().operation.unwrap();
    assert_eq!(arm.poll(&operation).await.unwrap(), Progress::Pending { retry_after: None });
    assert_eq!(arm.poll(&operation).await.unwrap(), Progress::Done(json!({"done": true})));
    let stranger = Operation { retry_after: None, status_url: Some("https://localhost:1/x".to_owned()) };
    assert_eq!(arm.poll(&stranger).await.unwrap_err().kind, ErrorKind::InvalidRequest);
}

#[tokio::test]
async fn unusable_answers_and_paths_are_refused() {
    let stub = server(|_, _| Reply::Answer(200, vec![], "<html>".to_owned())).await;
    let arm = stub.azure().arm(soon(10));
    let error = get(&arm).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Undecodable);
    assert_eq!(arm.put(GROUP, ApiVersion::STORAGE, &json!({})).await.unwrap_err().kind, ErrorKind::Undecodable);
    let calls = stub.calls();
    for path in ["", "x", "/subscriptions//x", "/subscriptions/s/../t", "/subscriptions/s/", "//host/x"] {
        let error = arm.delete(path, ApiVersion::STORAGE).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidRequest, "{path}");
    }
    assert_eq!(stub.calls(), calls);
}

fn listing(blobs: &str, marker: &str) -> Reply {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"https://127.0.0.1/\" ContainerName=\"c\">\
         <MaxResults>1</MaxResults><Blobs>{blobs}</Blobs><NextMarker>{marker}</NextMarker></EnumerationResults>"
    );
    Reply::Answer(200, vec![("content-type", "application/xml".to_owned())], body)
}

#[tokio::test]
async fn the_first_entry_of_a_container() {
    const PROPERTIES: &str = "<Properties><Content-Length>1</Content-Length></Properties>";
    let cases = [
        ("", None),
        ("<Blob><Name>b</Name>P</Blob>", Some(EntryKind::Blob)),
        (
            "<Blob><Name>b</Name><VersionId>1</VersionId><IsCurrentVersion>true</IsCurrentVersion>P</Blob>",
            Some(EntryKind::Blob),
        ),
        ("<Blob><Name>b</Name><VersionId>1</VersionId>P</Blob>", Some(EntryKind::Version)),
        ("<Blob><Name>b</Name><Snapshot>2024-01-01T00:00:00Z</Snapshot>P</Blob>", Some(EntryKind::Snapshot)),
        ("<Blob><Name>b</Name><Deleted>true</Deleted>P</Blob>", Some(EntryKind::Deleted)),
    ];
    for (blobs, expected) in cases {
        let body = blobs.replace('P', PROPERTIES);
        let stub = server(move |_, before| if before == 0 { listing("", "more") } else { listing(&body, "") }).await;
        let entry = stub.azure().blobs(soon(10)).first_entry(&format!("{}/", stub.url()), "c").await.unwrap();
        assert_eq!(entry.as_ref().map(|entry| entry.kind), expected, "{blobs}");
        assert!(entry.is_none_or(|entry| entry.name == "b"));
        let request = stub.seen().pop().unwrap();
        assert_eq!(request.path, "/c");
        for part in
            ["comp=list", "restype=container", "include=versions%2Csnapshots%2Cdeleted", "maxresults=1", "marker=more"]
        {
            assert!(request.query.contains(part), "{part} in {}", request.query);
        }
    }
}

#[tokio::test]
async fn refusals_of_the_data_plane_are_classified() {
    let cases = [
        (403, "AuthorizationPermissionMismatch", ErrorKind::Forbidden),
        (404, "ContainerNotFound", ErrorKind::NotFound),
        (409, "ContainerBeingDeleted", ErrorKind::Busy),
    ];
    for (status, code, kind) in cases {
        let stub = server(move |_, _| {
            let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>No.\nRequestId:r-1\nTime:now</Message></Error>");
            let headers = vec![("content-type", "application/xml".to_owned()), ("x-ms-error-code", code.to_owned())];
            Reply::Answer(status, headers, body)
        })
        .await;
        let error = stub.azure().blobs(soon(10)).first_entry(&stub.url(), "c").await.unwrap_err();
        assert_eq!((error.kind, error.code.as_deref()), (kind, Some(code)));
        assert_eq!(error.request_id.as_deref(), Some("r-1"));
        assert!(error.to_string().starts_with("listing container c: No."), "{error}");
        assert_eq!(error.message.contains("Storage Blob Data Reader"), status == 403);
        assert_eq!(stub.calls(), 1);
    }
    let stub = server(|_, _| Reply::Hang).await;
    let deadline = Instant::now() + Duration::from_millis(700);
    let error = stub.azure().blobs(deadline).first_entry(&stub.url(), "c").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Timeout);
    assert!(Instant::now() < deadline + Duration::from_millis(300));
}

#[tokio::test]
async fn the_first_entity_of_a_table() {
    let entity = json!({"PartitionKey": "p", "RowKey": "r"});
    for (held, expected) in [(json!([]), None), (json!([entity]), Some(("p", "r")))] {
        let stub = server(move |_, before| match before {
            // The service looked as long as it may, found nothing and says where it stopped.
            0 => {
                let next = |name, value: &str| (name, value.to_owned());
                let headers = vec![
                    next("x-ms-continuation-NextPartitionKey", "1!4!cA--"),
                    next("x-ms-continuation-NextRowKey", "1!0"),
                ];
                Reply::Answer(200, headers, json!({"value": []}).to_string())
            }
            _ => json(200, json!({"value": held})),
        })
        .await;
        let found =
            stub.azure().tables(soon(10)).first_entity(&format!("{}/account/", stub.url()), "Runs").await.unwrap();
        let expected = expected.map(|(partition, row)| Entity { partition_key: partition.into(), row_key: row.into() });
        assert_eq!(found, expected);
        assert_eq!(stub.calls(), 2);
        let request = stub.seen().pop().unwrap();
        assert_eq!(request.path, "/account/Runs()");
        assert_eq!(request.headers["accept"], "application/json;odata=nometadata");
        assert!(request.headers.contains_key("x-ms-version"));
        assert!(request.headers["authorization"].to_str().unwrap().ends_with(TOKEN));
        for part in ["$top=1", "$select=PartitionKey,RowKey", "NextPartitionKey=1%214%21cA--", "NextRowKey=1%210"] {
            assert!(request.query.contains(part), "{part} in {}", request.query);
        }
        let asked_for = stub.seen().into_iter().find(Seen::is_token).unwrap();
        assert!(asked_for.body.contains("storage.azure.com"), "{}", asked_for.body);
    }
}

#[tokio::test]
async fn refusals_of_a_table_are_classified() {
    for (status, code, kind) in [
        (403, "AuthorizationPermissionMismatch", ErrorKind::Forbidden),
        (404, "TableNotFound", ErrorKind::NotFound),
        (409, "TableBeingDeleted", ErrorKind::Busy),
    ] {
        let stub = server(move |_, _| {
            let message = json!({"lang": "en-US", "value": "No.\nRequestId:r-1\nTime:now"});
            json(status, json!({"odata.error": {"code": code, "message": message}}))
        })
        .await;
        let error = stub.azure().tables(soon(10)).first_entity(&stub.url(), "Runs").await.unwrap_err();
        assert_eq!((error.kind, error.code.as_deref()), (kind, Some(code)));
        assert_eq!(error.request_id.as_deref(), Some("r-1"));
        assert!(error.to_string().starts_with("reading table Runs: No."), "{error}");
        assert_eq!(error.message.contains("Storage Table Data Reader"), status == 403);
        assert_eq!(stub.calls(), 1);
    }
    let stub = server(|_, _| json(200, json!({"entities": []}))).await;
    let error = stub.azure().tables(soon(10)).first_entity(&stub.url(), "Runs").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Undecodable);
}

/// Everything that we and our dependencies log, at the most talkative level, through success, refusal, renewal and failure.
#[tokio::test]
async fn nothing_secret_is_logged_or_told() {
    let captured = stub::Captured::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(captured.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);

    let stub = server(|seen, before| match (seen.method.as_str(), before) {
        ("PUT", _) => Reply::Answer(
            202,
            vec![("location", "https://127.0.0.1/x?t=1&c=certificate-value&s=signature-value".to_owned())],
            String::new(),
        ),
        ("GET", 0) => failure(401, "ExpiredAuthenticationToken", "expired"),
        ("GET", _) => json(200, json!({"properties": {"connectionString": "body-value"}})),
        ("POST", _) => Reply::LoseConnection,
        _ => failure(403, "AuthorizationFailed", "no"),
    })
    .await;
    let azure = stub.azure();
    let arm = azure.arm(soon(10));
    get(&arm).await.unwrap();
    arm.put(GROUP, ApiVersion::STORAGE, &json!({"password": "sent-value"})).await.unwrap();
    let lost =
        arm.post(&format!("{GROUP}/act?signature=query-value"), ApiVersion::STORAGE, &json!({})).await.unwrap_err();
    let refused = arm.delete(GROUP, ApiVersion::STORAGE).await.unwrap_err();
    drop(guard);

    let log = captured.text();
    let told = format!("{log}\n{lost} {lost:?}\n{refused} {refused:?}\n{azure:?} {arm:?}");
    for hidden in [SECRET, TOKEN, "certificate-value", "signature-value", "body-value", "sent-value", "query-value"] {
        let found = told.lines().find(|line| line.contains(hidden));
        assert_eq!(found, None, "{hidden}");
    }
    assert!(log.contains("azure request") && log.contains(SUBSCRIPTION), "the log was captured");
}
