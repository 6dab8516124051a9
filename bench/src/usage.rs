//! What a process has used so far, from `/proc`.

use std::{fs, time::Duration};

/// CPU time and memory of one process.
pub(crate) struct Usage {
    /// User and system time of its living threads. The handlers measured here end no thread.
    pub(crate) cpu: Duration,
    /// The most memory that was resident at a time, bytes.
    pub(crate) peak: u64,
}

impl Usage {
    /// Reads the usage of a process, which should be asleep: the kernel books a running thread's time at its next switch.
    ///
    /// # Errors
    /// The process is gone, or the kernel keeps no such figures.
    pub(crate) fn of(process: u32) -> Result<Self, String> {
        let unreadable = |path: &str| {
            let path = path.to_owned();
            move |error| format!("reading {path}: {error}")
        };
        let tasks = format!("/proc/{process}/task");
        let mut cpu = Duration::ZERO;
        for task in fs::read_dir(&tasks).map_err(unreadable(&tasks))? {
            // In nanoseconds, where /proc/PID/stat counts in hundredths of a second.
            let file = task.map_err(unreadable(&tasks))?.path().join("schedstat");
            let text = fs::read_to_string(&file).map_err(unreadable(&file.to_string_lossy()))?;
            let nanoseconds = text.split_whitespace().next().and_then(|number| number.parse().ok());
            cpu += Duration::from_nanos(nanoseconds.ok_or_else(|| format!("{} is malformed", file.display()))?);
        }
        let file = format!("/proc/{process}/status");
        let text = fs::read_to_string(&file).map_err(unreadable(&file))?;
        let kilobytes: Option<u64> = text
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok());
        let peak = kilobytes.ok_or_else(|| format!("{file} has no VmHWM"))? * 1024;
        Ok(Self { cpu, peak })
    }
}

/// The load averages of the last 1, 5 and 15 minutes, as the kernel prints them.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{process::Command, time::Instant};

    #[test]
    fn work_and_memory_are_seen() {
        let mut busy = Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        let patience = Instant::now() + Duration::from_secs(30);
        let mut usage = Usage::of(busy.id()).unwrap();
        while usage.cpu < Duration::from_millis(5) && Instant::now() < patience {
            usage = Usage::of(busy.id()).unwrap();
        }
        busy.kill().unwrap();
        busy.wait().unwrap();
        assert!(usage.cpu >= Duration::from_millis(5), "{:?}", usage.cpu);
        assert!(usage.peak > 100 << 10 && usage.peak < 100 << 20, "{} bytes for a shell", usage.peak);
        assert!(Usage::of(busy.id()).is_err());
    }
}
