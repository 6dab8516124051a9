//! Child processes that cannot outlive the sandbox, however it ends.
//!
//! Every third-party tool runs in a process group of its own under a three-line shell that reads a pipe from us.
//! The kernel closes that pipe when we exit, crash or are killed, and the shell then kills the whole group. So no
//! signal handler and no `unsafe` call has to run for the children to go away.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};

/// `$$` is the group, since the shell starts as its leader.
const GUARD: &str = r#"
exec 3<&0
"$@" 3<&- </dev/null &
child=$!
(while read -r _; do :; done; kill -s KILL -- -$$) <&3 3<&- >/dev/null 2>&1 &
watcher=$!
exec 3<&-
wait "$child"
code=$?
kill -s KILL "$watcher"
exit "$code"
"#;

/// A command that runs `program` under the guard. Arguments, environment and folder are added to it as usual; it must
/// be started with [`spawn`] or [`output`], which keep the guard's pipe open.
pub fn guarded(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", GUARD, "sh"]).arg(program).stdin(Stdio::piped()).process_group(0);
    command
}

/// A running guarded process; its whole group is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Held, never written to: closing it is the order to die.
    lifeline: Option<ChildStdin>,
}

impl Process {
    /// The status if the process has ended.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// The child's standard output and error, once, if they were piped.
    pub fn take_output(&mut self) -> (Option<std::process::ChildStdout>, Option<std::process::ChildStderr>) {
        (self.child.stdout.take(), self.child.stderr.take())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.lifeline = None;
        // The group is being killed; reaping its leader can neither fail nor block for long.
        let _ = self.child.wait();
    }
}

/// Starts a [`guarded`] command.
pub fn spawn(command: &mut Command) -> io::Result<Process> {
    let mut child = command.spawn()?;
    let lifeline = child.stdin.take();
    Ok(Process { child, lifeline })
}

/// Runs a [`guarded`] command to its end and collects what it printed.
pub fn output(command: &mut Command) -> io::Result<Output> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // `wait_with_output` closes a stdin that is still in the child.
    let _lifeline = child.stdin.take();
    child.wait_with_output()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::path::Path;
    use std::time::{Duration, Instant};

    #[test]
    fn passes_status_and_output_on() {
        let done = output(guarded("sh").args(["-c", "echo out; echo err >&2; exit 7"])).unwrap();
        assert_eq!(done.status.code(), Some(7));
        assert_eq!(done.stdout, b"out\n");
        assert_eq!(done.stderr, b"err\n");
    }

    #[test]
    fn dropping_kills_grandchildren_too() {
        let mut process =
            spawn(guarded("sh").args(["-c", "sleep 600 & echo $!; wait"]).stdout(Stdio::piped())).unwrap();
        let mut line = String::new();
        BufReader::new(process.take_output().0.unwrap()).read_line(&mut line).unwrap();
        let grandchild = Path::new("/proc").join(line.trim());
        assert!(grandchild.exists());
        drop(process);
        let patience = Instant::now() + Duration::from_secs(5);
        while running(&grandchild) {
            assert!(Instant::now() < patience, "the grandchild survived");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// False for a process that is gone or waits as a zombie for a parent that will never ask.
    fn running(proc: &Path) -> bool {
        std::fs::read_to_string(proc.join("stat")).is_ok_and(|stat| !stat.contains(") Z "))
    }
}
