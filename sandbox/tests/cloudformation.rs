//! The local CloudFormation's own tests, in the environment that it runs in.

use sandbox::{process, tools};

#[test]
fn the_local_cloudformation_passes_its_tests() {
    let folder = tools::root().join("sandbox/cloudformation");
    let venv = tools::python_venv("cloudformation", &folder.join("requirements.txt")).unwrap();
    let done = process::output(
        process::guarded(venv.join("bin/python"))
            .args(["-m", "pytest", "-q", "-p", "no:cacheprovider"])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(folder),
    )
    .unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    println!("{}", said.lines().last().unwrap_or_default());
}
