//! The invocation's metrics, under the names and dimensions of the Java runtime, so that its dashboards and alarms work.

use crate::protocol::{Invocation, ProgressEvent};
use aws_sdk_cloudwatch::{
    Client,
    error::DisplayErrorContext,
    types::{Dimension, MetricDatum, StandardUnit},
};
use std::time::Duration;

/// Counts the invocation.
pub(super) async fn begin(client: &Client, invocation: &Invocation) -> Result<(), String> {
    let data = datum("HandlerInvocationCount", StandardUnit::Count, 1.0, &of_type(invocation));
    send(client, invocation, vec![data]).await
}

/// Measures the invocation, and says what it failed with.
pub(super) async fn end(
    client: &Client,
    invocation: &Invocation,
    answer: &ProgressEvent,
    took: Duration,
) -> Result<(), String> {
    send(client, invocation, after(invocation, answer, took)).await
}

fn after(invocation: &Invocation, answer: &ProgressEvent, took: Duration) -> Vec<MetricDatum> {
    let of_type = of_type(invocation);
    let [action, _] = &of_type;
    let failed = answer.error_code.map(|code| format!("{code:?}"));
    let duration = took.as_secs_f64() * 1_000.0;
    let count = StandardUnit::Count;
    let mut data = vec![
        datum("HandlerInvocationDuration", StandardUnit::Milliseconds, duration, &of_type),
        datum(
            "HandlerExceptionByExceptionCount",
            count.clone(),
            f64::from(u8::from(failed.is_some())),
            std::slice::from_ref(action),
        ),
    ];
    if let Some(code) = failed {
        let code = ("HandlerErrorCode", code);
        // Java's exception is a class; ours has no finer name than its code.
        let kind = ("ExceptionType", code.1.clone());
        let [action, resource_type] = of_type;
        data.push(datum("HandlerExceptionByErrorCode", count.clone(), 1.0, &[action.clone(), code.clone()]));
        data.push(datum("HandlerException", count, 1.0, &[action, kind, resource_type, code]));
    }
    data
}

type Labelled = (&'static str, String);

fn of_type(invocation: &Invocation) -> [Labelled; 2] {
    let action = invocation.action.handler().to_ascii_uppercase();
    [("Action", action), ("ResourceType", invocation.resource_type.clone())]
}

fn datum(name: &str, unit: StandardUnit, value: f64, dimensions: &[Labelled]) -> MetricDatum {
    let dimensions =
        dimensions.iter().map(|(name, value)| Dimension::builder().name(*name).value(value).build()).collect();
    MetricDatum::builder().metric_name(name).unit(unit).value(value).set_dimensions(Some(dimensions)).build()
}

async fn send(client: &Client, invocation: &Invocation, data: Vec<MetricDatum>) -> Result<(), String> {
    let namespace = format!("AWS/CloudFormation/{}", invocation.resource_type.replace("::", "/"));
    let sent = client.put_metric_data().namespace(namespace).set_metric_data(Some(data)).send().await;
    sent.map(|_| ()).map_err(|error| DisplayErrorContext(error).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, HandlerErrorCode};
    use serde_json::json;

    fn shown(data: &[MetricDatum]) -> Vec<String> {
        let show = |datum: &MetricDatum| {
            let dimensions: Vec<String> = datum
                .dimensions()
                .iter()
                .map(|d| format!("{}={}", d.name().unwrap_or_default(), d.value().unwrap_or_default()))
                .collect();
            format!(
                "{} {} {} {}",
                datum.metric_name().unwrap_or_default(),
                datum.value().unwrap_or_default(),
                datum.unit().map(StandardUnit::as_str).unwrap_or_default(),
                dimensions.join(",")
            )
        };
        data.iter().map(show).collect()
    }

    #[test]
    fn names_and_dimensions_are_java_s() {
        let event = json!({"action": "DELETE", "resourceType": "A::B::C", "requestData": {}});
        let invocation = Invocation::parse(event).expect("parses");
        let took = Duration::from_millis(12);
        assert_eq!(
            shown(&after(&invocation, &ProgressEvent::success(None), took)),
            [
                "HandlerInvocationDuration 12 Milliseconds Action=DELETE,ResourceType=A::B::C",
                "HandlerExceptionByExceptionCount 0 Count Action=DELETE"
            ]
        );
        let failed = ProgressEvent::failed(&Error::new(HandlerErrorCode::Throttling, "slow down"));
        assert_eq!(
            shown(&after(&invocation, &failed, took))[1..],
            [
                "HandlerExceptionByExceptionCount 1 Count Action=DELETE",
                "HandlerExceptionByErrorCode 1 Count Action=DELETE,HandlerErrorCode=Throttling",
                "HandlerException 1 Count Action=DELETE,ExceptionType=Throttling,ResourceType=A::B::C,HandlerErrorCode=Throttling"
            ]
        );
    }
}
