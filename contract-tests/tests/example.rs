//! The type of under 150 lines in `examples/widget` against the real CLI.

use std::fs;
use std::process::Command;

use contract_tests::cfn::{Cfn, Handlers};
use sandbox::lambda::{Function, Lambda};
use sandbox::tools::{as_from_the_shell, root, target_dir};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn the_example_passes_the_contract_tests() {
    let built = as_from_the_shell(&mut Command::new("cargo"))
        .args(["build", "--quiet", "--bin", "widget"])
        .current_dir(root())
        .status()
        .unwrap();
    assert!(built.success());
    let folder = tempfile::tempdir().unwrap();
    let (folder, widget) = (folder.path(), root().join("examples/widget"));
    fs::create_dir(folder.join("inputs")).unwrap();
    for file in ["example-demo-widget.json", ".rpdk-config"] {
        fs::copy(widget.join(file), folder.join(file)).unwrap();
    }
    for file in fs::read_dir(widget.join("inputs")).unwrap().flatten() {
        fs::copy(file.path(), folder.join("inputs").join(file.file_name())).unwrap();
    }
    let configuration = folder.join("configuration.json");
    fs::write(&configuration, json!({"Directory": folder.join("widgets")}).to_string()).unwrap();

    let binary = target_dir().join("debug/widget");
    let lambda = Lambda::start(0, Function::new("widget", &binary)).await.unwrap();
    let handlers =
        Handlers { endpoint: lambda.url(), function: "widget".into(), type_configuration: Some(configuration) };
    let cfn = Cfn::start().unwrap();
    cfn.validate(folder).unwrap();
    let tested = tokio::task::block_in_place(|| cfn.test(folder, &handlers)).unwrap();
    let summary = &tested.summaries[0];
    println!("cfn test: {}", summary.line);
    assert_eq!((summary.passed, summary.skipped, summary.failed), (15, 0, 0), "{}", tested.said);
}
