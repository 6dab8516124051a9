//! `cfn init` from an empty folder outside the repository: what it lays out builds, passes its tests and passes the
//! contract tests as it is.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use contract_tests::cfn::{Cfn, Handlers};
use contract_tests::package;
use sandbox::lambda::{Function, Lambda};
use sandbox::tools::{root, target_dir};

/// The release profile takes minutes to optimise; whether it works does not depend on that.
const CHEAP: [(&str, &str); 6] = [
    ("CARGO_INCREMENTAL", "0"),
    ("CARGO_PROFILE_DEV_DEBUG", "0"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"),
    ("CARGO_PROFILE_RELEASE_STRIP", "true"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_project_passes_everything() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let target = target_dir().join("init");
    let target = target.to_str().unwrap();
    let env: Vec<_> = CHEAP.into_iter().chain([("CARGO_TARGET_DIR", target)]).collect();
    let cfn = Cfn::start().unwrap();

    let step = |name: &str, arguments: &[&str]| {
        let start = Instant::now();
        let said = cfn.run(folder, arguments, &env).unwrap_or_else(|error| panic!("{name}: {error}"));
        println!("{name}: {:.1} s", start.elapsed().as_secs_f64());
        said
    };
    step("cfn init", &["init", "-t", "Example::Demo::Widget", "-a", "RESOURCE", "rust"]);
    // The versions that the repository has pinned, so that what is tested is what was tested before.
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    cargo(folder, &env, &["fmt", "--check"]);
    cargo(folder, &env, &["test", "--quiet"]);

    let said = step("cfn generate", &["generate"]);
    assert_eq!(said, "Resource schema is valid.\nGenerated files for Example::Demo::Widget\n", "the template's schema");
    cfn.validate(folder).unwrap();
    step("cfn submit --dry-run", &["submit", "--dry-run"]);
    let mut package = package::open(&folder.join("example-demo-widget.zip")).unwrap();
    let (mode, binary) = package.handler.remove("bootstrap").unwrap();
    assert_eq!(mode & 0o777, 0o755);
    println!("bootstrap: {:.1} MB", binary.len() as f64 / 1e6);

    // What was packaged is what is tested.
    let bootstrap = folder.join("bootstrap");
    fs::write(&bootstrap, binary).unwrap();
    fs::set_permissions(&bootstrap, fs::Permissions::from_mode(mode)).unwrap();
    let lambda = Lambda::start(0, Function::new("bootstrap", &bootstrap)).await.unwrap();
    let handlers = Handlers { endpoint: lambda.url(), function: "bootstrap".into(), type_configuration: None };
    let tested = tokio::task::block_in_place(|| cfn.test(folder, &handlers)).unwrap();
    let summary = &tested.summaries[0];
    println!("cfn test: {}", summary.line);
    assert_eq!((summary.passed, summary.skipped, summary.failed), (15, 0, 0), "{}", tested.said);
}

fn cargo(folder: &Path, env: &[(&str, &str)], arguments: &[&str]) {
    let start = Instant::now();
    let done = Command::new("cargo")
        .args(arguments)
        .current_dir(folder)
        .envs(env.iter().copied())
        .output()
        .expect("cargo runs this test");
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    assert!(done.status.success(), "cargo {arguments:?}: {said}");
    println!("cargo {}: {:.1} s", arguments.join(" "), start.elapsed().as_secs_f64());
}
