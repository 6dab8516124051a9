//! Long-running operations, one step at a time.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An operation that Azure accepted and has not finished. It may be kept in a callback context: it is small and holds no signed address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// How long Azure asks to wait before looking again.
    pub retry_after: Option<Duration>,
    /// Where its state can be read with `Arm::poll`; without it, look at the resource.
    pub status_url: Option<String>,
}

/// Where an operation stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// Look again later.
    Pending {
        /// How long Azure asks to wait.
        retry_after: Option<Duration>,
    },
    /// Finished; the operation's `properties`, null if it has none.
    Done(Value),
}
