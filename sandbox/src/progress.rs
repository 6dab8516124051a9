//! What the user sees while a stack changes: a line for each event, and below them, on a terminal, what is under way.

use std::collections::HashSet;
use std::time::Duration;

use aws_sdk_cloudformation::types::StackEvent;
use indicatif::{ProgressBar, ProgressStyle};

use crate::deploy::Watch;

/// Prints the events of one stack operation.
#[derive(Default)]
pub struct Progress {
    /// Draws nothing where standard error is no terminal; the plain lines remain.
    bar: Option<ProgressBar>,
    stack: String,
    expected: usize,
    done: HashSet<String>,
}

impl Watch for Progress {
    fn begin(&mut self, stack: &str, expected: usize) {
        let style = ProgressStyle::with_template("{spinner} {msg} [{elapsed}]").expect("the template is a constant");
        let bar = ProgressBar::new_spinner().with_style(style).with_message(stack.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        *self = Progress { bar: Some(bar), stack: stack.to_owned(), expected, done: HashSet::new() };
    }

    fn event(&mut self, event: &StackEvent) {
        let Some(bar) = &self.bar else { return };
        let line = line(event);
        bar.suspend(|| println!("{line}"));
        let logical = event.logical_resource_id().unwrap_or_default();
        let status = event.resource_status().map_or("", |status| status.as_str());
        if logical == self.stack {
            return;
        }
        if !status.ends_with("_IN_PROGRESS") {
            self.done.insert(logical.to_owned());
        }
        let count = match self.expected {
            0 => self.done.len().to_string(),
            expected => format!("{} of {expected}", self.done.len().min(expected)),
        };
        bar.set_message(format!("{}: {count} resources, {logical} {status}", self.stack));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// `20:54:36  CREATE_COMPLETE     Account  Azure::Storage::StorageAccount  why, if there is a reason`
fn line(event: &StackEvent) -> String {
    let clock = event.timestamp().map_or(0, |at| at.secs().rem_euclid(86_400));
    let clock = format!("{:02}:{:02}:{:02}", clock / 3600, clock / 60 % 60, clock % 60);
    let status = event.resource_status().map_or("", |status| status.as_str());
    let logical = event.logical_resource_id().unwrap_or_default();
    let kind = event.resource_type().unwrap_or_default();
    let reason = event.resource_status_reason().unwrap_or_default();
    format!("{clock}  {status:<28} {logical:<20} {kind}  {reason}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_cloudformation::primitives::DateTime;
    use aws_sdk_cloudformation::types::ResourceStatus;

    #[test]
    fn an_event_is_one_line() {
        let event = StackEvent::builder()
            .timestamp(DateTime::from_secs(86_400 * 3 + 3_661))
            .resource_status(ResourceStatus::CreateFailed)
            .logical_resource_id("Account")
            .resource_type("Azure::Storage::StorageAccount")
            .resource_status_reason("the name is taken")
            .build();
        let words: Vec<_> = line(&event).split_whitespace().map(str::to_owned).collect();
        let expected = "01:01:01 CREATE_FAILED Account Azure::Storage::StorageAccount the name is taken";
        assert_eq!(words.join(" "), expected);
    }
}
