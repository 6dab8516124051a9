//! The CDK apps of `examples/`, with the packages that their lock files name.

use std::path::Path;
use std::process::Command;

use sandbox::tools;
use serde_json::Value;

/// Compiles an app beside the template it is held against, runs its tests, and synthesises its one stack.
///
/// Returns the synthesised template and what the tests said of themselves: `# pass 28`.
#[track_caller]
pub(crate) fn synthesise(app: &str, template: &str, context: &Value) -> (String, String) {
    let examples = tools::root().join("examples");
    let packages = tools::npm(app, &examples.join(app)).unwrap();
    let place = tempfile::tempdir().unwrap();
    for folder in [app, "cdk-test"] {
        copy(&examples.join(folder), &place.path().join(folder));
    }
    let folder = place.path().join(app);
    std::os::unix::fs::symlink(packages.join("node_modules"), folder.join("node_modules")).unwrap();
    std::os::unix::fs::symlink(examples.join(template), place.path().join(template)).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new("node");
        command.args(arguments).current_dir(&folder).env("CDK_OUTDIR", "cdk.out");
        let done = command.env("CDK_CONTEXT_JSON", context.to_string()).output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "node {arguments:?}: {said}");
        said
    };
    run(&["node_modules/typescript/bin/tsc"]);
    let passed = run(&["--test"]).lines().find(|line| line.starts_with("# pass")).unwrap().to_owned();
    run(&["app.js"]);
    let made = std::fs::read_dir(folder.join("cdk.out")).unwrap().flatten().map(|entry| entry.path());
    let stack = made.into_iter().find(|path| path.to_string_lossy().ends_with(".template.json")).unwrap();
    (std::fs::read_to_string(stack).unwrap(), passed)
}

/// The sources of an app, and nothing that was made of them.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let name = entry.file_name();
        if [".ts", ".json"].iter().any(|end| name.to_string_lossy().ends_with(end)) {
            std::fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}
