//! What a test can ask to go wrong.

use std::sync::Mutex;

use serde::Deserialize;

/// Which requests a fault is for.
///
/// Compared with the method and the decoded path, both without case. A method of `*` stands for any; a path matches
/// wherever it occurs, and only at the end if it ends in `$`.
#[derive(Clone, Debug, Deserialize)]
pub struct Match {
    method: String,
    path: String,
    #[serde(default)]
    after: usize,
}

impl Match {
    /// Requests of `method` whose path contains `path`.
    pub fn new(method: &str, path: &str) -> Match {
        Match { method: method.into(), path: path.into(), after: 0 }
    }

    /// Lets the first `count` fitting requests through.
    pub fn after(mut self, count: usize) -> Match {
        self.after = count;
        self
    }

    fn fits(&self, method: &str, path: &str) -> bool {
        let path = path.to_lowercase();
        let wanted = self.path.to_lowercase();
        (self.method == "*" || self.method.eq_ignore_ascii_case(method))
            && match wanted.strip_suffix('$') {
                Some(end) => path.ends_with(end),
                None => path.contains(&wanted),
            }
    }
}

/// What goes wrong. Unless it says otherwise, the request's work is not done.
#[derive(Clone, Debug, Deserialize)]
pub enum Fault {
    /// 429 with `Retry-After`, in seconds.
    Throttle {
        /// Seconds to wait.
        retry_after: u64,
    },
    /// 429 that names the seconds in its message only.
    ThrottleInMessage {
        /// Seconds to wait.
        retry_after: u64,
    },
    /// Any status, in any of the shapes Azure's errors come in.
    Status {
        /// The HTTP status.
        status: u16,
        /// Azure's error code.
        code: String,
        /// Azure's message.
        message: String,
        /// How the body is written.
        #[serde(default)]
        shape: Shape,
    },
    /// 409 `StorageAccountOperationInProgress`: another write on the account is under way.
    Busy,
    /// The connection ends without an answer, before the work is done.
    DropBefore,
    /// The work is done, and the connection ends without an answer.
    DropAfter,
    /// The answer comes this many milliseconds later.
    Delay {
        /// Milliseconds.
        milliseconds: u64,
    },
    /// The work is done, and the answer's body is cut off in the middle.
    Undecodable,
}

/// The shapes of Azure's error bodies, all seen in recorded traffic.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub enum Shape {
    /// `{"error":{"code","message"}}`
    #[default]
    Wrapped,
    /// `{"code","message"}`
    Flat,
    /// `{"Code","Message"}`
    Capitalised,
    /// No body at all.
    Empty,
    /// An HTML page, as gateways send.
    Html,
}

struct Planned {
    on: Match,
    fault: Fault,
    times: usize,
}

/// The faults that are still to come.
#[derive(Default)]
pub struct Faults(Mutex<Vec<Planned>>);

impl Faults {
    /// The next fitting request meets `fault`.
    pub fn next(&self, on: Match, fault: Fault) {
        self.times(1, on, fault);
    }

    /// The next `count` fitting requests meet `fault`; `usize::MAX` for all.
    pub fn times(&self, count: usize, on: Match, fault: Fault) {
        self.planned().push(Planned { on, fault, times: count });
    }

    /// Forgets every fault.
    pub fn clear(&self) {
        self.planned().clear();
    }

    /// How many faults have not been met yet, so that a test can see that its fault took place.
    pub fn pending(&self) -> usize {
        self.planned().iter().map(|planned| planned.times).sum()
    }

    /// The fault this request meets; the first that was asked for wins.
    pub(super) fn take(&self, method: &str, path: &str) -> Option<Fault> {
        let mut planned = self.planned();
        let mut met = None;
        for candidate in planned.iter_mut().filter(|c| c.on.fits(method, path)) {
            if candidate.on.after > 0 {
                candidate.on.after -= 1;
            } else {
                candidate.times = candidate.times.saturating_sub(1);
                met = Some(candidate.fault.clone());
                break;
            }
        }
        planned.retain(|planned| planned.times > 0);
        met
    }

    fn planned(&self) -> std::sync::MutexGuard<'_, Vec<Planned>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
