//! What one invocation of an operation leaves for the next: the callback context.
//!
//! # Guarantees
//! - It holds no secret and no more than the identifier, the stage and the times.
//! - A context that another version of the handler left is continued, not refused. A deployment may fall between two
//!   invocations, and the operation it falls into has a resource half made. Each member is read on its own: without a
//!   readable stage the operation acts again, which every verb allows for, since any answer may be lost; without a readable
//!   identifier the model's is taken, which CloudFormation keeps beside the context.
//! - A context without any identifier cannot be of an operation that this engine began, so the operation fails and nothing is
//!   touched.

use crate::error::{Error, HandlerErrorCode, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The longest wait between two looks in an operation's first hour, where the service names none.
const LONGEST_BACKOFF: u64 = 60;
/// The longest callback delay in seconds, whoever asked for it.
pub(crate) const LONGEST_DELAY: Duration = Duration::from_secs(900);

#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Progress {
    pub(crate) id: Value,
    pub(crate) stage: Stage,
    /// Looks at the same stage so far.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) attempt: u32,
    /// When the operation began, in seconds since 1970.
    pub(crate) since: u64,
    /// When read-back began, in seconds since 1970.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) settling_since: u64,
    /// CREATE: the resource was there when the operation began, made by an earlier delivery of the same request.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) found: bool,
}

/// Where an operation stands. Each stage can be repeated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// Ask the service for the change.
    Act,
    /// Wait for what the type said to wait for.
    Wait(Value),
    /// Read back until the service shows the change.
    Settle,
}

impl Progress {
    pub(crate) fn begin(id: &impl Serialize) -> Result<Self> {
        let id = serde_json::to_value(id).map_err(Error::internal)?;
        Ok(Self { id, stage: Stage::Act, attempt: 0, since: now(), settling_since: 0, found: false })
    }

    /// Reads a callback context; `model` is the request's, and `identifies` tells whether a value has the identifier's shape.
    ///
    /// # Errors
    /// `InternalFailure` where neither the context nor the model has an identifier.
    pub(crate) fn read(context: &Value, model: &Value, identifies: impl Fn(&Value) -> bool) -> Result<Self> {
        let id = [&context["id"], model].into_iter().find(|id| identifies(id)).cloned().ok_or_else(|| {
            Error::new(
                HandlerErrorCode::InternalFailure,
                "neither the callback context nor the model names the resource; nothing was changed, so repeat the \
                 stack operation",
            )
        })?;
        let stage = member::<Stage>(context, "stage");
        let now = now();
        // Without its stage, the attempts were at something else; one at least there was.
        let attempt = stage.as_ref().and(member(context, "attempt")).unwrap_or_else(|| u32::from(stage.is_none()));
        let stage = stage.unwrap_or_else(|| {
            tracing::warn!("the callback context is of another version of the handler; acting again");
            Stage::Act
        });
        Ok(Self {
            settling_since: match stage {
                Stage::Settle => member(context, "settling_since").unwrap_or(now).min(now),
                _ => 0,
            },
            since: member(context, "since").unwrap_or(now).min(now),
            found: member(context, "found").unwrap_or_default(),
            id,
            stage,
            attempt,
        })
    }

    /// Goes on to `stage`.
    pub(crate) fn turn(&mut self, stage: Stage) {
        if stage == Stage::Settle {
            self.settling_since = now();
        }
        (self.stage, self.attempt) = (stage, 0);
    }

    /// How long the operation has been going on.
    pub(crate) fn elapsed(&self) -> Duration {
        Duration::from_secs(now().saturating_sub(self.since))
    }

    /// How long read-back has been going on.
    pub(crate) fn settling(&self) -> Duration {
        Duration::from_secs(now().saturating_sub(self.settling_since))
    }

    /// The wait before the next look where nobody names one: doubling from a second to a minute, and later a sixtieth of
    /// what the operation took so far, so that one of 36 hours is not looked at two thousand times.
    pub(crate) fn backoff(&self) -> Duration {
        let most = LONGEST_BACKOFF.max(self.elapsed().as_secs() / 60);
        Duration::from_secs((1 << self.attempt.min(20)).min(most)).min(LONGEST_DELAY)
    }

    pub(crate) fn into_context(mut self) -> Result<Value> {
        self.attempt = self.attempt.saturating_add(1);
        self.to_context()
    }

    pub(crate) fn to_context(&self) -> Result<Value> {
        serde_json::to_value(self).map_err(Error::internal)
    }
}

fn member<T: DeserializeOwned>(context: &Value, name: &str) -> Option<T> {
    T::deserialize(context.get(name)?).ok()
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(context: Value, model: Value) -> Result<Progress> {
        Progress::read(&context, &model, |id| id["Id"].is_string())
    }

    #[test]
    fn a_context_comes_back_as_it_left() {
        let mut progress = Progress::begin(&json!({"Id": "x"})).expect("serialises");
        progress.turn(Stage::Wait(json!({"at": "url"})));
        progress.found = true;
        let context = progress.to_context().expect("serialises");
        assert_eq!(read(context, json!({})).expect("reads"), progress);
    }

    #[test]
    fn another_version_s_context_keeps_what_can_be_read() {
        let newer = json!({"id": {"Id": "x"}, "stage": {"Poll": 1}, "attempt": 7, "since": 1_000, "more": true});
        let progress = read(newer, json!({"Id": "model"})).expect("reads");
        assert_eq!(
            (progress.id, progress.stage, progress.attempt, progress.since),
            (json!({"Id": "x"}), Stage::Act, 1, 1_000)
        );

        let foreign = read(json!({"stabilization": 3}), json!({"Id": "model"})).expect("reads");
        assert_eq!((&foreign.id["Id"], &foreign.stage, foreign.attempt), (&json!("model"), &Stage::Act, 1));
        assert!(foreign.elapsed() < Duration::from_secs(60), "its time begins now");

        let nobody = read(json!({"stabilization": 3}), json!({})).expect_err("names nothing");
        assert_eq!(nobody.code, HandlerErrorCode::InternalFailure);
    }

    #[test]
    fn times_from_the_future_count_as_now() {
        let odd = json!({"id": {"Id": "x"}, "stage": "Settle", "attempt": u32::MAX, "since": u64::MAX, "settling_since": u64::MAX});
        let progress = read(odd, json!({})).expect("reads");
        assert!(progress.elapsed() < Duration::from_secs(60) && progress.settling() < Duration::from_secs(60));
        assert_eq!(progress.into_context().expect("serialises")["attempt"], u32::MAX);
    }

    #[test]
    fn looks_become_rarer() {
        let mut progress = Progress::begin(&json!({})).expect("serialises");
        let mut waits = |attempt, hours: u64| {
            (progress.attempt, progress.since) = (attempt, now() - hours * 3600);
            progress.backoff().as_secs()
        };
        assert_eq!([0, 1, 2, 5, 6, 90].map(|attempt| waits(attempt, 0)), [1, 2, 4, 32, 60, 60]);
        assert_eq!([1, 5, 15, 36].map(|hours| waits(90, hours)), [60, 300, 900, 900]);
    }
}
