//! How large what passes through a handler may be.
//!
//! CloudFormation hands a handler everything in one Lambda payload, and takes everything back in one.

use crate::error::{Error, HandlerErrorCode, Result};
use serde::Serialize;
use std::io;

/// The largest event and the largest answer in bytes of JSON: Lambda's limit for a synchronous payload.
pub const PAYLOAD: usize = 6 * 1024 * 1024;

/// The largest model in bytes of JSON. An UPDATE carries two of them, and a MiB is left for what surrounds them.
pub const MODEL: usize = 5 * 1024 * 1024 / 2;

/// The largest callback context in bytes of JSON. It travels in every request of an operation beside the models; what a
/// type waits for is an operation's address, not its data.
pub const CALLBACK_CONTEXT: usize = 64 * 1024;

/// The bytes of a value's JSON.
pub(crate) fn size(value: &impl Serialize) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // What cannot be written as JSON cannot be sent, so it is over every limit.
    serde_json::to_writer(&mut count, value).map_or(usize::MAX, |()| count.0)
}

/// Checks what a caller sent.
///
/// # Errors
/// `InvalidRequest` with both sizes.
pub(crate) fn received(what: &str, value: &impl Serialize, most: usize) -> Result<()> {
    match size(value) {
        size if size > most => {
            Err(Error::invalid_request(format!("{what} has {size} bytes of JSON; {most} are the most")))
        }
        _ => Ok(()),
    }
}

/// Checks what a handler is about to answer.
///
/// # Errors
/// `ServiceLimitExceeded` with both sizes.
pub(crate) fn answered(what: &str, value: &impl Serialize, most: usize) -> Result<()> {
    match size(value) {
        size if size > most => Err(Error::new(
            HandlerErrorCode::ServiceLimitExceeded,
            format!("{what} has {size} bytes of JSON, and CloudFormation takes {most} at most"),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sizes_are_those_of_the_json() {
        let value = json!({"a": ["ä\n", 1.5, null]});
        assert_eq!(size(&value), value.to_string().len());
    }

    #[test]
    fn an_excess_is_told_in_bytes() {
        let value = "x".repeat(98); // 100 with its quotes
        assert!(received("the model", &value, 100).is_ok());
        let error = received("the model", &value, 99).expect_err("is over");
        assert_eq!(error.code, HandlerErrorCode::InvalidRequest);
        assert_eq!(error.message, "the model has 100 bytes of JSON; 99 are the most");
        let error = answered("the model", &value, 99).expect_err("is over");
        assert_eq!(error.code, HandlerErrorCode::ServiceLimitExceeded);
    }
}
