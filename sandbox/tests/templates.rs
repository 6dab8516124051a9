//! The templates of `examples/` against the schemas of the types in them, by cfn-lint.
#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

use std::path::{Path, PathBuf};
use std::process::Command;

use sandbox::tools;

/// Parameters of an option that is off are empty, which what they are for would not take: the option's condition keeps them apart.
const IGNORED: &str = "W1030";

fn lint(templates: &[PathBuf]) -> (bool, String) {
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("requirements/cfn-lint.txt");
    let cfn_lint = tools::python_venv("cfn-lint", &requirements).unwrap().join("bin/cfn-lint");
    let mut command = Command::new(cfn_lint);
    command.args(["--ignore-checks", IGNORED, "--registry-schemas"]).arg(tools::root().join("schema"));
    let done = command.arg("--").args(templates).output().unwrap();
    (done.status.success(), String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr))
}

#[test]
fn the_examples_are_what_the_schemas_say() {
    let folders = std::fs::read_dir(tools::root().join("examples")).unwrap().flatten();
    let files = folders.filter_map(|folder| std::fs::read_dir(folder.path()).ok()).flat_map(|files| files.flatten());
    let templates: Vec<_> =
        files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
    assert!(templates.len() >= 5, "{templates:?}");
    let (passed, said) = lint(&templates);
    assert!(passed, "{said}");
}

#[test]
fn a_property_that_no_type_has_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let template = folder.path().join("template.yaml");
    let good = std::fs::read_to_string(tools::root().join("examples/s3-to-azure/template.yaml")).unwrap();
    let bad = good.replace("AllowSharedKeyAccess:", "AllowSharedKeys:");
    assert_ne!(good, bad);
    std::fs::write(&template, bad).unwrap();
    let (passed, said) = lint(&[template]);
    assert!(!passed && said.contains("AllowSharedKeys"), "{said}");
}
