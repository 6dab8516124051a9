//! A tiny case through the stubs, and figures that nobody measured through the report.

use super::*;
use clap::Parser;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::{ffi::OsString, fs};

/// Stubs with a certificate of their own.
fn stubs(folder: &Path) -> Stubs {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    fs::write(folder.join("ca.pem"), authority.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(authority, key);
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    fs::write(folder.join("certificate.pem"), certificate.pem()).unwrap();
    fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    Stubs::start(folder).unwrap()
}

#[derive(Parser)]
struct BareLine {
    #[command(flatten)]
    bare: Bare,
}

/// What runs as a process of its own in a measurement.
async fn bare(tool: Tool, stubs: &Stubs, scene: Scene) -> Seen {
    let nowhere = || PathBuf::from("/nowhere");
    let programs = Programs::all_at(nowhere);
    stubs.world.begin(scene);
    let program = tool.program(&programs, stubs, &scene).unwrap().unwrap();
    let line = BareLine::parse_from(program.arguments);
    super::bare(&line.bare).await.unwrap();
    stubs.world.seen()
}

#[tokio::test]
async fn bare_copies_arrive_whole() {
    let folder = tempfile::tempdir().unwrap();
    let stubs = stubs(folder.path());
    for (objects, size, gets, puts, blocks) in [(20, 4096, 20, 20, 0), (2, (8 << 20) + 1, 4, 0, 4)] {
        let scene = Scene { objects, size, delay: Duration::from_millis(1), check: true, remember: true };
        for tool in [Tool::Bare, Tool::BareChecked, Tool::PutOnly] {
            let seen = bare(tool, &stubs, scene).await;
            let gets = if tool == Tool::PutOnly { 0 } else { gets };
            assert_eq!(
                [scene::Call::Get, scene::Call::Put, scene::Call::Block].map(|call| seen.calls(call)),
                [gets, puts, blocks]
            );
            assert_eq!(stubs.world.blobs().committed.values().filter(|blob| blob.size == size).count() as u64, objects);
        }
        let seen = bare(Tool::GetOnly, &stubs, scene).await;
        assert_eq!((seen.calls(scene::Call::Get), seen.about_objects()), (gets, gets));
        bare(Tool::Checksum, &stubs, scene).await;
    }
}

#[tokio::test]
async fn a_wrong_checksum_and_a_second_blob_of_a_name_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let stubs = stubs(folder.path());
    let _ = rustls::crypto::ring::default_provider().install_default();
    let authority = reqwest::Certificate::from_pem(&fs::read(folder.path().join("ca.pem")).unwrap()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([authority]).build().unwrap();
    stubs.world.begin(Scene { objects: 1, size: 9, delay: Duration::ZERO, check: true, remember: true });
    let address = stubs.blob.replace("127.0.0.1", "localhost");
    let put = |crc64: &'static str| {
        let put = client.put(format!("{address}/{}/{}/name?{}", blob::ACCOUNT, blob::CONTAINER, blob::SAS));
        put.header("x-ms-content-crc64", crc64).header("if-none-match", "*").body("123456789").send()
    };
    // The checksum of these bytes in the catalogue of CRCs is ae8b14860a799888.
    assert_eq!(put("AAAAAAAAAAA=").await.unwrap().status(), 400);
    let answer = put("iJh5CoYUi64=").await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["x-ms-content-crc64"]),
        (201, &"iJh5CoYUi64=".parse().unwrap())
    );
    assert_eq!(put("iJh5CoYUi64=").await.unwrap().status(), 409);
    let source = stubs.s3.replace("127.0.0.1", "localhost");
    let list = client.get(format!("{source}/{}?list-type=2", s3::BUCKET)).send().await.unwrap().text().await.unwrap();
    assert!(list.contains(&s3::key(0)) && !list.contains(&s3::key(1)), "{list}");
    let get = client.get(format!("{source}/{}/{}", s3::BUCKET, s3::key(0))).header("x-amz-checksum-mode", "ENABLED");
    let answer = get.send().await.unwrap();
    assert!(answer.headers().contains_key("x-amz-checksum-crc64nvme"));
    assert_eq!(answer.bytes().await.unwrap().len(), 9);
}

#[tokio::test]
async fn a_program_is_measured_and_a_failure_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("took.json");
    let run = |script: &str| {
        let program = ["sh", "-c", script].map(OsString::from).to_vec();
        Child::new(report.clone(), 1, program)
    };
    super::child(&run("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done")).await.unwrap();
    let took = Took::read(&fs::read_to_string(&report).unwrap()).unwrap();
    assert!(took.cpu > Duration::ZERO && took.wall > Duration::ZERO && took.peak > 100 << 10, "{took:?}");
    assert!(super::child(&run("exit 3")).await.unwrap_err().contains("exit status: 3"));
    assert!(super::child(&run("sleep 60")).await.unwrap_err().contains("more than 1 s"));
}

/// Every peer takes `factor` times what we take.
fn cases(factor: u32) -> [Case; 4] {
    let mut cases = [
        Case::new(1, GIB, 0, true),
        Case::new(100, 10 * MIB, 0, false),
        Case::new(10_000, 4096, 0, false),
        Case::new(1_000, 4096, 20, false),
    ];
    for (tool, measured) in cases.iter_mut().flat_map(|case| &mut case.measured) {
        let factor = match tool {
            Tool::Ours | Tool::Backfill | Tool::GetOnly | Tool::PutOnly => 1,
            _ => factor,
        };
        let wall = Duration::from_secs(1) * factor;
        measured.add(Took { wall, cpu: wall, peak: 10 * MIB }, Seen::default());
    }
    cases
}

#[test]
fn goals_are_met_by_figures_only() {
    let functions = function::Functions::sample_is_slower(30);
    let cases = cases(20);
    assert!(report::table(&cases[0]).contains("| this project"), "{}", report::table(&cases[0]));
    let goals = report::goals(&cases, &functions);
    // CRC64 alone took 20 times as long as the copy.
    let failed: Vec<_> = goals.lines().filter(|line| line.contains("not met")).collect();
    assert!(failed.len() == 1 && failed[0].contains("G13"), "{goals}");
    for number in 6..=13 {
        assert!(goals.contains(&format!("| G{number} ")), "G{number} is missing:\n{goals}");
    }
    let goals = report::goals(&self::cases(1), &function::Functions::sample_is_slower(1));
    assert_eq!(goals.lines().filter(|line| line.contains("not met")).count(), 11, "{goals}");
}
