//! Microsoft's own Python clients against the emulator. Where they disagree with it, it is wrong.
#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

use std::path::Path;
use std::process::Command;

use sandbox::azure::{Emulator, Options};
use sandbox::tools;

#[tokio::test]
async fn official_clients_create_read_list_update_and_delete() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let venv = tools::python_venv("azure-clients", &here.join("requirements/azure-clients.txt")).unwrap();
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("ca.pem");
    std::fs::write(&authority, emulator.certificate_authority()).unwrap();

    let output = Command::new(venv.join("bin/python"))
        .arg(here.join("tests/azure_official_client.py"))
        .env("EMULATOR", emulator.type_configuration().to_string())
        .env("REQUESTS_CA_BUNDLE", &authority)
        .output()
        .unwrap();

    let printed = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && printed.trim() == "done", "{printed}\n{failed}");
    let secret = &emulator.options().client_secret;
    let requests = emulator.requests();
    assert!(!format!("{requests:?}").contains(secret.as_str()), "the record of requests holds the client secret");
    println!("{} requests served", requests.len());
}
