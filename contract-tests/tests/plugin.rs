//! The language plugin's own tests, in the environment that has the CLI.

use contract_tests::cfn;
use sandbox::{process, tools};

#[test]
fn the_plugin_passes_its_tests() {
    let python = cfn::venv().unwrap().join("bin/python");
    let plugin = tools::root().join("plugin");
    let done = process::output(
        process::guarded(python)
            .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore"])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(plugin),
    )
    .unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    println!("{}", said.lines().last().unwrap_or_default());
}
