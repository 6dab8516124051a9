//! `cargo sandbox` as a user runs it.
#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use sandbox::lambda;
use sandbox::package::Form;
use serde_json::Value;

const TEMPLATE: &str = "
Parameters: {Status: {Type: String, Default: Enabled, AllowedValues: [Enabled, Suspended]}}
Resources:
  Bucket:
    Type: AWS::S3::Bucket
    Properties: {VersioningConfiguration: {Status: !Ref Status}}
Outputs:
  Bucket: {Value: !Ref Bucket}
";

/// A folder of its own, so that the sandboxes of other tests and of the developer are out of sight.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Place(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn sandbox(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sandbox"));
        command.args(arguments).env("CARGO_SANDBOX_DIR", self.0.path().join("home"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.sandbox(arguments).output().unwrap()
    }

    fn serve(&self) -> Serve {
        let mut command = self.sandbox(&["serve", "--port", "0"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.find(|line| line.as_ref().is_ok_and(|line| line.starts_with("# logs")));
        let mut serve = Serve { child };
        if ready.is_none() {
            panic!("serve did not start: {}", serve.end().1);
        }
        // Somebody has to read on, or the sandbox would find its output closed.
        std::thread::spawn(move || lines.count());
        serve
    }

    fn endpoints(&self) -> Value {
        serde_json::from_slice(&fs::read(self.0.path().join("home/serve.json")).unwrap()).unwrap()
    }
}

struct Serve {
    child: Child,
}

impl Serve {
    /// The exit code, if there was one, and standard error.
    fn end(&mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every living process with its parent and command line.
fn processes() -> HashMap<u32, (u32, String)> {
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let (state, parent) = (fields.next()?, fields.next()?.parse().ok()?);
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        (state != "Z").then(|| (pid, (parent, String::from_utf8_lossy(&line).replace('\0', " "))))
    })
    .collect()
}

/// The processes below `root`, by id, with their command lines.
fn descendants(root: u32) -> HashMap<u32, String> {
    let all = processes();
    let mut found = HashMap::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for (pid, (of, line)) in &all {
            if *of == parent {
                parents.push(*pid);
                found.insert(*pid, line.clone());
            }
        }
    }
    found
}

fn signal(name: &str, pid: u32) {
    assert!(Command::new("kill").args(["-s", name, &pid.to_string()]).status().unwrap().success());
}

fn assert_gone(before: &HashMap<u32, String>) {
    let patience = Instant::now() + Duration::from_secs(10);
    loop {
        let now = processes();
        let left: Vec<_> = before.iter().filter(|(pid, line)| now.get(pid).is_some_and(|(_, l)| l == *line)).collect();
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < patience, "survivors: {left:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Starts the handlers' process, whatever it answers.
fn wake_lambda(place: &Place) {
    let endpoint = place.endpoints()["lambda"].as_str().unwrap().trim_start_matches("http://").to_owned();
    let mut stream = std::net::TcpStream::connect(&endpoint).unwrap();
    let path = "/2015-03-31/functions/bootstrap/invocations";
    let request =
        format!("POST {path} HTTP/1.1\r\nhost: {endpoint}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}");
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// Ends a served sandbox by `end`, which gets its process id and those below it, and looks for survivors.
fn leaves_nothing(end: impl Fn(u32, &HashMap<u32, String>)) -> (Option<i32>, String) {
    let place = Place::new();
    let mut serve = place.serve();
    wake_lambda(&place);
    let below = descendants(serve.child.id());
    for part in ["azurite", "registry_types", "/bootstrap"] {
        assert!(below.values().any(|line| line.contains(part)), "no {part} in {below:?}");
    }
    end(serve.child.id(), &below);
    let ended = serve.end();
    assert_gone(&below);
    ended
}

/// The process itself, not the shell that guards it.
fn find(below: &HashMap<u32, String>, part: &str) -> u32 {
    *below.iter().find(|(_, line)| line.contains(part) && !line.contains("/bin/sh")).unwrap().0
}

#[test]
fn ctrl_c_leaves_no_process() {
    let (code, _) = leaves_nothing(|pid, _| signal("INT", pid));
    assert_eq!(code, Some(130));
}

#[test]
fn termination_leaves_no_process() {
    let (code, _) = leaves_nothing(|pid, _| signal("TERM", pid));
    assert_eq!(code, Some(143));
}

#[test]
fn being_killed_leaves_no_process() {
    let (code, _) = leaves_nothing(|pid, _| signal("KILL", pid));
    assert_eq!(code, None);
}

#[test]
fn a_crashed_component_ends_the_sandbox_and_leaves_no_process() {
    for (part, name) in [("azurite", "Azurite"), ("registry_types", "CloudFormation")] {
        let (code, said) = leaves_nothing(|_, below| signal("KILL", find(below, part)));
        assert_eq!(code, Some(1));
        assert!(said.contains(&format!("error: {name} ended with")), "{said}");
    }
}

#[test]
fn a_deployment_ends_by_itself_and_leaves_nothing() {
    let place = Place::new();
    let template = place.file("only-s3.yaml", TEMPLATE);
    let done = place.run(&["deploy", template.to_str().unwrap()]);
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    assert!(said.contains("created stack only-s3\n"), "{said}");
    assert!(said.contains(" took an object and gave it back"), "{said}");
    assert!(said.contains("output Bucket = "), "{said}");
    assert!(!said.contains('\u{1b}'), "without a terminal the lines are plain: {said}");
    assert_eq!(fs::read_dir(place.0.path().join("home")).unwrap().count(), 0);
    let home = place.0.path().to_str().unwrap().to_owned();
    assert!(!processes().values().any(|(_, line)| line.contains(&home)));
}

/// The arguments of the first `cargo sandbox deploy` in a text.
fn command(text: &str) -> Vec<String> {
    let whole = text.replace("\\\n", " ");
    let line = whole.lines().find_map(|line| line.strip_prefix("cargo sandbox ").filter(|l| l.starts_with("deploy")));
    line.map_or_else(Vec::new, |line| line.split_whitespace().map(str::to_owned).collect())
}

#[test]
fn every_example_deploys_as_it_says_and_is_proved() {
    let root = sandbox::tools::root();
    let mut templates = 0;
    for example in fs::read_dir(root.join("examples")).unwrap().flatten() {
        let Ok(text) = fs::read_to_string(example.path().join("template.yaml")) else { continue };
        let place = Place::new();
        let mut arguments = command(&fs::read_to_string(example.path().join("README.md")).unwrap());
        assert!(arguments.len() > 1, "{} says how to deploy it", example.path().display());
        if let Some(package) = arguments.iter_mut().find(|argument| argument.ends_with("backup-lambda.zip")) {
            // `cargo xtask package backup-lambda` would build for release.
            let quick = place.0.path().join("backup-lambda.zip");
            sandbox::package::package(&lambda::build(["backup-lambda"]).unwrap()[0], &quick, Form::Quick).unwrap();
            *package = quick.to_str().unwrap().to_owned();
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let done = place.sandbox(&arguments).current_dir(&root).output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{said}");
        assert_eq!(said.contains("proved: bucket"), text.contains("::S3::Bucket"), "{said}");
        assert_eq!(said.contains("proved: container"), text.contains("::BlobContainer"), "{said}");
        templates += 1;
    }
    assert!(templates > 0, "examples/ has no template");
}

#[test]
fn a_served_sandbox_takes_every_command() {
    let place = Place::new();
    let _serve = place.serve();
    let template = place.file("toy.yaml", TEMPLATE);
    let template = template.to_str().unwrap();
    let big = format!("{TEMPLATE}\nDescription: fits only through S3\n{}", "# padding\n".repeat(6_000));
    let big = place.file("big.yaml", &big);
    let json = r#"{"Resources": {"Bucket": {"Type": "AWS::S3::Bucket"}}}"#;
    let json = place.file("toy.json", json);
    let noise = place.file("noise.yaml", "all work and no play");
    let unknown = place.file("unknown.yaml", "Resources: {A: {Type: 'Azure::Storage::Bucket'}}");
    let broken = place.file("broken.yaml", "Resources: [");
    let table: &[(&[&str], i32, &str)] = &[
        (&["deploy", template], 0, "created stack toy\n"),
        (&["deploy", template], 0, "stack toy is as the template wants it: nothing to change\n"),
        (&["deploy", template, "--parameters", "Status=Suspended", "--tags", "a=b"], 0, "updated stack toy\n"),
        // The parameter and the tag keep their values.
        (&["deploy", template], 0, "nothing to change\n"),
        (&["deploy", template, "--upload", template, big.to_str().unwrap()], 0, "nothing to change\n"),
        (&["deploy", json.to_str().unwrap(), "--stack-name", "json"], 0, "created stack json\n"),
        (&["deploy", big.to_str().unwrap()], 0, "created stack big\n"),
        (&["status"], 0, "stack big: CREATE_COMPLETE\n"),
        (&["serve"], 1, "error: a sandbox is already running, its CloudFormation at http://127.0.0.1:"),
        (&["delete", "big"], 0, "deleted stack big\n"),
        (&["delete", "nobody"], 1, "error: deleting stack nobody: there is no such stack\n"),
        (
            &["deploy", "/nonexistent.yaml"],
            1,
            "error: reading the template /nonexistent.yaml: No such file or directory",
        ),
        (
            &["deploy", template, "--upload", "/nonexistent.zip"],
            1,
            "error: reading the file to upload /nonexistent.zip: No such file or directory",
        ),
        (&["deploy", noise.to_str().unwrap()], 1, "error: reading the template of stack noise: "),
        (&["deploy", broken.to_str().unwrap()], 1, "error: reading the template of stack broken: "),
        (
            &["deploy", template, "--parameters", "Unknown=1"],
            1,
            "error: setting the parameter Unknown of stack toy: the template declares only Status\n",
        ),
        (&["deploy", template, "--parameters", "Status=Off"], 1, "error: "),
        (&["deploy", unknown.to_str().unwrap()], 1, "Azure::Storage::Bucket"),
        (&["deploy", template, "--parameters", "Status"], 2, "expected KEY=VALUE"),
        (&["deploy"], 2, "<TEMPLATE>"),
        (&["explode"], 2, "unrecognized subcommand"),
    ];
    for (arguments, code, expected) in table {
        let done = place.run(arguments);
        let said = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
        assert_eq!(done.status.code(), Some(*code), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
        let errors = said.lines().filter(|line| line.starts_with("error:")).count();
        assert_eq!(errors, usize::from(*code != 0), "{arguments:?}: {said}");
        if *code == 1 {
            assert_eq!(said.lines().count(), 1, "{arguments:?}: {said}");
        }
    }
}

#[test]
fn without_a_sandbox_there_is_nothing_to_ask() {
    let place = Place::new();
    for arguments in [&["status"][..], &["delete", "toy"]] {
        let done = place.run(arguments);
        assert_eq!(done.status.code(), Some(1));
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!(said, "error: no sandbox is running: start one with `cargo sandbox serve`\n");
    }
    // A note that a killed `serve` left behind counts for nothing.
    let home = place.0.path().join("home");
    fs::create_dir(&home).unwrap();
    fs::write(home.join("serve.json"), r#"{"aws":"http://127.0.0.1:1"}"#).unwrap();
    assert_eq!(place.run(&["status"]).status.code(), Some(1));
}
