//! The invocation's log lines for the owner's log group.

use crate::{
    protocol::Invocation,
    telemetry::{Kept, millis},
};
use aws_sdk_cloudwatchlogs::{Client, error::DisplayErrorContext, types::InputLogEvent};

/// Sends the lines, in one request where group and stream exist.
pub(super) async fn deliver(client: &Client, invocation: &Invocation, kept: Kept) -> Result<(), String> {
    let Some(group) = invocation.request_data.provider_log_group_name.as_deref().filter(|name| !name.is_empty()) else {
        return Ok(());
    };
    if kept.lines.is_empty() {
        return Ok(());
    }
    let mut events: Vec<InputLogEvent> = kept.lines.into_iter().filter_map(|(at, line)| event(at, line)).collect();
    if kept.left_out > 0 {
        events.extend(event(millis(), format!("{} more lines were left out", kept.left_out)));
    }
    let stream = stream(invocation);
    let put = || {
        client
            .put_log_events()
            .log_group_name(group)
            .log_stream_name(&stream)
            .set_log_events(Some(events.clone()))
            .send()
    };
    match put().await {
        Ok(_) => return Ok(()),
        Err(error) if error.as_service_error().is_some_and(|error| error.is_resource_not_found_exception()) => {}
        Err(error) => return Err(DisplayErrorContext(error).to_string()),
    }
    // Both may exist by now, or may not be ours to create: the second attempt tells.
    let _ = client.create_log_group().log_group_name(group).send().await;
    let _ = client.create_log_stream().log_group_name(group).log_stream_name(&stream).send().await;
    put().await.map(|_| ()).map_err(|error| DisplayErrorContext(error).to_string())
}

fn event(at: i64, line: String) -> Option<InputLogEvent> {
    InputLogEvent::builder().timestamp(at).message(line).build().ok()
}

/// A stream for each resource; one for each account and region for what is outside stacks.
fn stream(invocation: &Invocation) -> String {
    match (&invocation.stack_id, &invocation.request_data.logical_resource_id) {
        (Some(stack), Some(resource)) => format!("{stack}/{resource}").replace(':', "__"),
        _ => format!(
            "{}-{}",
            invocation.aws_account_id.as_deref().unwrap_or_default(),
            invocation.region.as_deref().unwrap_or_default()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn streams_are_named_after_resources() {
        let name = |stack: Value, resource: Value| {
            let event = json!({"action": "READ", "resourceType": "A::B::C", "awsAccountId": "123", "region": "eu-west-1",
                               "stackId": stack, "requestData": {"logicalResourceId": resource}});
            stream(&Invocation::parse(event).expect("parses"))
        };
        let stack = json!("arn:aws:cloudformation:eu-west-1:123:stack/s/u");
        assert_eq!(name(stack.clone(), json!("R")), "arn__aws__cloudformation__eu-west-1__123__stack/s/u/R");
        assert_eq!(name(stack, Value::Null), "123-eu-west-1");
        assert_eq!(name(Value::Null, json!("R")), "123-eu-west-1");
    }
}
