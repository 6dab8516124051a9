//! The installer of pinned tools, against stand-ins for the interpreters.
#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder with stand-ins, in front of which nothing else is on the PATH.
struct Machine {
    dir: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for sub in ["bin", "target", "package"] {
            std::fs::create_dir(dir.path().join(sub)).unwrap();
        }
        for file in ["requirements.txt", "package.json", "package-lock.json"] {
            std::fs::write(dir.path().join("package").join(file), "{}").unwrap();
        }
        Machine { dir }
    }

    fn path(&self, of: &str) -> PathBuf {
        self.dir.path().join(of)
    }

    fn program(self, name: &str, script: &str) -> Self {
        let path = self.path("bin").join(name);
        let script = format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n");
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// Runs one of the child tests below on this machine; what it printed.
    fn install(&self, kind: &str) -> String {
        let done = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", kind, "--nocapture", "--ignored"])
            .env("PATH", self.path("bin"))
            .env("CARGO_TARGET_DIR", self.path("target"))
            .env("PACKAGE", self.path("package"))
            .output()
            .unwrap();
        String::from_utf8([done.stdout, done.stderr].concat()).unwrap()
    }

    fn installs(&self) -> usize {
        std::fs::read_to_string(self.path("installs")).map_or(0, |log| log.lines().count())
    }
}

fn report<T: std::fmt::Debug>(result: Result<T, sandbox::tools::Error>) {
    match result {
        Ok(_) => println!("\n[installed]"),
        Err(error) => println!("\n[{error}]"),
    }
}

fn package() -> PathBuf {
    std::env::var_os("PACKAGE").expect("set by the parent").into()
}

#[test]
#[ignore = "run by the other tests, in a process with an environment of its own"]
fn child_python() {
    report(sandbox::tools::python_venv("toy", &package().join("requirements.txt")));
}

#[test]
#[ignore = "run by the other tests, in a process with an environment of its own"]
fn child_npm() {
    report(sandbox::tools::npm("toy", &package()));
}

/// A Python that can be asked for its version and makes environments whose `pip` notes that it ran.
fn python(machine: Machine) -> Machine {
    let log = machine.path("installs");
    let script = format!(
        r#"case "$1 $2" in
"-c "*) echo 3.11 ;;
"-m venv") mkdir -p "$3/bin"; printf '#!/bin/sh\necho pip >>{log}\n[ ! -e {fail} ] || {{ echo "ERROR: no such package" >&2; exit 1; }}\n' >"$3/bin/python"; chmod +x "$3/bin/python" ;;
esac"#,
        log = log.display(),
        fail = machine.path("fail").display(),
    );
    machine.program("python3", &script)
}

#[test]
fn installs_once_per_lock_file() {
    let machine = python(Machine::new());
    assert!(machine.install("child_python").contains("[installed]"));
    let again = machine.install("child_python");
    assert!(again.contains("[installed]") && !again.contains("first run"));
    assert_eq!(machine.installs(), 1);

    std::fs::write(machine.path("package/requirements.txt"), "other==1").unwrap();
    assert!(machine.install("child_python").contains("first run"));
    assert_eq!(machine.installs(), 2);
}

#[test]
fn redoes_a_half_installed_folder() {
    let machine = python(Machine::new());
    std::fs::write(machine.path("fail"), "").unwrap();
    let failed = machine.install("child_python");
    assert!(
        failed.contains("[installing toy: pip install ended with exit status: 1: ERROR: no such package]"),
        "{failed}"
    );
    let leftover = machine.path("target/tools/toy/leftover");
    std::fs::write(&leftover, "").unwrap();
    std::fs::remove_file(machine.path("fail")).unwrap();
    assert!(machine.install("child_python").contains("[installed]"));
    assert!(!leftover.exists());
}

#[test]
fn concurrent_installs_are_one() {
    let machine = python(Machine::new());
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(|| machine.install("child_python"))).collect();
        for run in runs {
            assert!(run.join().unwrap().contains("[installed]"));
        }
    });
    assert_eq!(machine.installs(), 1);
}

#[test]
fn a_missing_prerequisite_is_one_line() {
    let old = |what: &str| format!("echo {what}");
    let none = Machine::new;
    let table: &[(Machine, &str, &str)] = &[
        (
            none(),
            "child_python",
            "[python3 3.10 or newer is needed: install it (python3 and python3-venv on Debian and Ubuntu) and try again]",
        ),
        (none().program("python3", &old("3.9")), "child_python", "[python3 3.10 or newer is needed (found \"3.9\"): "),
        (
            none().program("python3", "echo 3.12; exit 1"),
            "child_python",
            "[python3 3.10 or newer is needed with its venv module, which the Python 3.12 here lacks: ",
        ),
        (
            none(),
            "child_npm",
            "[node 18 or newer is needed: install it (nodejs and npm on Debian and Ubuntu) and try again]",
        ),
        (none().program("node", &old("v16.20.2")), "child_npm", "[node 18 or newer is needed (found \"16.20.2\"): "),
        (
            none().program("node", &old("v20.1.0")),
            "child_npm",
            "[node 18 or newer is needed with npm, and there is no npm on the PATH: ",
        ),
    ];
    for (machine, kind, expected) in table {
        let said = machine.install(kind);
        assert!(said.contains(expected), "{expected}\n{said}");
        assert!(!Path::new(&machine.path("target/tools/toy")).exists());
    }
}
