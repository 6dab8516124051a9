//! Drift, as CloudFormation tells of it.

use std::time::Duration;

use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::types::{StackDriftDetectionStatus, StackDriftStatus, StackResourceDriftStatus};

/// Detects drift: the stack's status and every difference.
pub(crate) async fn detect(client: &Client, stack: &str) -> (StackDriftStatus, Vec<String>) {
    let detection = client.detect_stack_drift().stack_name(stack).send().await.unwrap();
    let id = detection.stack_drift_detection_id().unwrap();
    let status = loop {
        let state = client.describe_stack_drift_detection_status().stack_drift_detection_id(id).send().await.unwrap();
        match state.detection_status().unwrap() {
            StackDriftDetectionStatus::DetectionInProgress => tokio::time::sleep(Duration::from_millis(50)).await,
            StackDriftDetectionStatus::DetectionComplete => break state.stack_drift_status().unwrap().clone(),
            other => panic!("{other}: {:?}", state.detection_status_reason()),
        }
    };
    let drifts = client.describe_stack_resource_drifts().stack_name(stack).send().await.unwrap();
    let mut differences = Vec::new();
    for drift in drifts.stack_resource_drifts() {
        let logical = drift.logical_resource_id().unwrap();
        if drift.stack_resource_drift_status() == Some(&StackResourceDriftStatus::Deleted) {
            differences.push(format!("{logical} is gone"));
        }
        for property in drift.property_differences() {
            let value = |text: Option<&str>| text.unwrap_or_default().trim_matches('"').to_owned();
            let (expected, actual) = (value(property.expected_value()), value(property.actual_value()));
            differences.push(format!("{logical} {} {expected} -> {actual}", property.property_path().unwrap()));
        }
    }
    (status, differences)
}
