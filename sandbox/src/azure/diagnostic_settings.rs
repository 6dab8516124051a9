//! `Microsoft.Insights/diagnosticSettings`.

use serde_json::{Value, json};

use super::arm::{Call, ResourceType};
use super::faults::Shape;
use super::http::{Answer, Outcome};
use super::ids::Id;

const SINKS: &[&str] =
    &["storageAccountId", "workspaceId", "eventHubAuthorizationRuleId", "serviceBusRuleId", "marketplacePartnerId"];
/// How many settings a resource has at most.
const MOST: usize = 5;

pub(super) struct DiagnosticSetting;

impl ResourceType for DiagnosticSetting {
    fn name(&self) -> &'static str {
        "Microsoft.Insights/diagnosticSettings"
    }

    fn put(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let sent = call.body()?["properties"].clone();
        if SINKS.iter().all(|sink| sent[*sink].is_null()) {
            return Err(bad("At least one data sink needs to be specified."));
        }
        let logs = entries(&sent, "logs");
        if logs.iter().any(|log| log["category"].is_null() == log["categoryGroup"].is_null()) {
            return Err(bad("A log needs either a category or a category group."));
        }
        refuse_twin(call, id, &sent)?;
        let is_new = call.state.get(id).is_none();
        let siblings = call.state.of_type(self.name()).filter(|other| is_sibling(&other.document, id)).count();
        if is_new && siblings >= MOST {
            return Err(bad(format!("The resource has reached the limit of {MOST} diagnostic settings.")));
        }
        let text = |member: &str| sent[member].clone();
        let mut properties = json!({
            "storageAccountId": text("storageAccountId"),
            "serviceBusRuleId": text("serviceBusRuleId"),
            "workspaceId": text("workspaceId"),
            "eventHubAuthorizationRuleId": text("eventHubAuthorizationRuleId"),
            "eventHubName": text("eventHubName"),
            "metrics": entries(&sent, "metrics").iter().map(complete).collect::<Vec<_>>(),
            "logs": logs.iter().map(complete).collect::<Vec<_>>(),
            // As recorded, whatever was sent.
            "logAnalyticsDestinationType": null,
        });
        if sent["marketplacePartnerId"].is_string() {
            properties["marketplacePartnerId"] = text("marketplacePartnerId");
        }
        let mut document = json!({
            // The provider writes ids in lower case, but for its own type and the name.
            "id": id.below_lower_case(),
            "type": self.name(),
            "name": id.name(),
            "location": null,
            "kind": null,
            "tags": null,
            "properties": properties,
            "identity": null,
        });
        let answer = Answer::json(200, &document);
        // A GET shows what nobody asked for, too.
        if entries(&document["properties"], "metrics").is_empty() {
            let idle = json!({"category": "AllMetrics", "enabled": false, "retentionPolicy": retention()});
            document["properties"]["metrics"] = json!([idle]);
        }
        document["location"] = "australiaeast".into();
        call.state.put(id, document);
        Ok(answer)
    }

    fn delete(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let existed = call.state.remove(id);
        Ok(Answer::empty(if existed { 200 } else { 204 }))
    }

    fn absent(&self, id: &Id) -> Answer {
        let message = format!("The diagnostic setting '{}' doesn't exist.", id.name());
        Answer::shaped(404, "ResourceNotFound", &message, Shape::Flat)
    }
}

fn entries(properties: &Value, member: &str) -> Vec<Value> {
    properties[member].as_array().cloned().unwrap_or_default()
}

fn retention() -> Value {
    json!({"enabled": false, "days": 0})
}

/// A log or a metric as Azure shows it.
fn complete(entry: &Value) -> Value {
    let mut shown = entry.clone();
    shown["retentionPolicy"] = retention();
    if shown.get("categoryGroup").is_some() {
        shown["category"] = Value::Null;
    }
    shown
}

fn is_sibling(document: &Value, id: &Id) -> bool {
    let scope = |id: &str| id.to_lowercase().rsplit_once("/providers/").map(|(scope, _)| scope.to_owned());
    let own = id.key();
    document["id"].as_str().is_some_and(|other| other.to_lowercase() != own && scope(other) == scope(&own))
}

/// Two settings of a resource must not send one category to one place.
fn refuse_twin(call: &Call<'_>, id: &Id, sent: &Value) -> Result<(), Answer> {
    let categories = |properties: &Value| -> Vec<Value> {
        let enabled = |entry: &Value| entry["enabled"] == true;
        let all = entries(properties, "logs").into_iter().chain(entries(properties, "metrics"));
        all.filter(enabled).map(|entry| json!([entry["category"], entry["categoryGroup"]])).collect()
    };
    let ours = categories(sent);
    for other in call.state.of_type(DiagnosticSetting.name()).filter(|other| is_sibling(&other.document, id)) {
        let properties = &other.document["properties"];
        let shared = SINKS.iter().find(|sink| !sent[**sink].is_null() && sent[**sink] == properties[**sink]);
        let is_twin = categories(properties).iter().any(|category| ours.contains(category));
        if let Some(sink) = shared.filter(|_| is_twin) {
            let message = format!(
                "Data sink '{}' is already used in diagnostic setting '{}'. Data sinks can't be reused in different settings \
                 on the same category for the same resource.",
                sent[*sink].as_str().unwrap_or_default(),
                other.document["name"].as_str().unwrap_or_default()
            );
            return Err(Answer::shaped(409, "Conflict", &message, Shape::Flat));
        }
    }
    Ok(())
}

fn bad(message: impl AsRef<str>) -> Answer {
    Answer::shaped(400, "BadRequest", message.as_ref(), Shape::Flat)
}
