//! `Azure::Insights::DiagnosticSetting`.
//!
//! Azure answers the id in lower case, categories that nobody asked for as disabled, a retention policy that it no longer
//! heeds, and null for the type of the workspace's tables whatever was sent: none of these is drift.

use crate::{
    authorization::{own, scope},
    identifier::{ArmResource, Id},
    profile::ProfileName,
    provider::AzureProvider,
    translate::{answered_id, camel, decode, object, pascal},
};
use azure_client::{ApiVersion, ResourceId};
use cfn_provider::{
    Change, Context, Error, Never, Page, Resource, Result, Step,
    schema::{create_only, not_secret, primary_identifier, read_only, unordered, write_only},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Resource Type definition for Azure::Insights::DiagnosticSetting, which sends the logs and metrics of a resource to a storage
/// account, a Log Analytics workspace, an event hub or a partner of Azure's. The resource has five at most, and none sends a
/// category to where another already sends it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct DiagnosticSetting {
    /// The ARM id of the self.
    #[schemars(transform = read_only, transform = primary_identifier)]
    pub id: Option<String>,
    /// The ARM id of the resource: `!Ref` of any Azure resource. A storage account has metrics alone; the logs of its blobs
    /// are those of `!Sub ${Account}/blobServices/default`.
    #[schemars(required, transform = create_only)]
    pub scope: Option<String>,
    /// The name of the self. If you do not give one, a name is derived from the stack and the logical id.
    #[schemars(transform = create_only, length(min = 1, max = 260), regex(pattern = r"^[^*<>%:&\\?+/\x00-\x1f]*[^*<>%:&\\?+/\x00-\x1f. ]$"))]
    pub setting_name: Option<String>,
    /// The ARM id of the storage account that gets a blob for each hour. It must not be the one that is watched.
    #[schemars(regex(pattern = "^/subscriptions/.+/storageAccounts/[^/]+$"))]
    pub storage_account_id: Option<String>,
    /// The ARM id of the Log Analytics workspace.
    #[schemars(regex(pattern = "^/subscriptions/.+/workspaces/[^/]+$"))]
    pub workspace_id: Option<String>,
    /// The ARM id of a rule of an Event Hubs namespace that may send.
    #[schemars(regex(pattern = "^/subscriptions/.+/[aA]uthorization[rR]ules/[^/]+$"))]
    pub event_hub_authorization_rule_id: Option<String>,
    /// The event hub in that namespace; without it, Azure makes one for each category.
    #[schemars(length(min = 1))]
    pub event_hub_name: Option<String>,
    /// The ARM id of a rule of a Service Bus namespace, which older settings have in place of an event hub's.
    #[schemars(regex(pattern = "^/subscriptions/.+/[aA]uthorization[rR]ules/[^/]+$"))]
    pub service_bus_rule_id: Option<String>,
    /// The ARM id of a partner's resource, such as a Datadog monitor.
    #[schemars(regex(pattern = "^/subscriptions/.+/.+$"))]
    pub marketplace_partner_id: Option<String>,
    /// The logs that are sent. What is not here is not sent: there is no Enabled, as in Azure's own templates.
    #[schemars(transform = unordered)]
    pub logs: Option<Vec<Log>>,
    /// The metrics that are sent. What is not here is not sent.
    #[schemars(transform = unordered)]
    pub metrics: Option<Vec<Metric>>,
    /// Whether logs go to tables of their own (Dedicated) or to one for all (AzureDiagnostics, the default), in a workspace.
    /// Azure does not answer it, so that drift in it is not seen.
    #[schemars(transform = write_only, transform = not_secret, extend("enum" = ["Dedicated", "AzureDiagnostics"]))]
    pub log_analytics_destination_type: Option<String>,
    profile: Option<ProfileName>,
}

/// A log, or a group of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Log {
    /// The log, such as StorageRead, StorageWrite or StorageDelete of blobs. Either this or CategoryGroup.
    #[schemars(length(min = 1))]
    pub category: Option<String>,
    /// The group, such as audit or allLogs. Either this or Category.
    #[schemars(length(min = 1))]
    pub category_group: Option<String>,
}

/// A kind of metrics.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Metric {
    /// The kind: Transaction or Capacity of storage, or AllMetrics.
    #[schemars(required, length(min = 1))]
    pub category: Option<String>,
    /// How fine they are, as an ISO 8601 duration: `PT1M`.
    #[schemars(regex(pattern = "^P"))]
    pub time_grain: Option<String>,
}

impl ArmResource for DiagnosticSetting {
    const ARM_TYPE: &'static str = "Microsoft.Insights/diagnosticSettings";
    const API: ApiVersion = ApiVersion::new("2021-05-01-preview");
}

type Cx = Context<AzureProvider>;

impl DiagnosticSetting {
    fn to_azure(&self) -> Value {
        json!({"properties": camel(json!({
            "StorageAccountId": self.storage_account_id,
            "WorkspaceId": self.workspace_id,
            "EventHubAuthorizationRuleId": self.event_hub_authorization_rule_id,
            "EventHubName": self.event_hub_name,
            "ServiceBusRuleId": self.service_bus_rule_id,
            "MarketplacePartnerId": self.marketplace_partner_id,
            "Logs": enabled(json!(self.logs)),
            "Metrics": enabled(json!(self.metrics)),
            "LogAnalyticsDestinationType": self.log_analytics_destination_type,
        }))})
    }

    fn from_azure(id: &ResourceId, body: &Value) -> Result<Self> {
        let mut members = object(pascal(body["properties"].clone()));
        for list in ["Logs", "Metrics"] {
            if let Some(entries) = members.get_mut(list).and_then(Value::as_array_mut) {
                entries.retain(|entry| entry["Enabled"] == true);
            }
        }
        members.insert("Id".into(), id.to_string().into());
        members.insert("Scope".into(), json!(id.parent().map(|scope| scope.to_string())));
        members.insert("SettingName".into(), id.name().into());
        decode(id, members)
    }
}

/// Entries as Azure wants them, which also knows some that are not sent.
fn enabled(entries: Value) -> Vec<Value> {
    let mut entries = entries.as_array().cloned().unwrap_or_default();
    entries.iter_mut().for_each(|entry| entry["Enabled"] = true.into());
    entries
}

impl Resource for DiagnosticSetting {
    const TYPE_NAME: &'static str = "Azure::Insights::DiagnosticSetting";
    const LIST_BY: &'static [&'static str] = &["Scope"];
    type Provider = AzureProvider;
    type Id = Id<Self>;
    type Wait = Never;

    fn check(&self) -> Result<()> {
        let destinations = [
            &self.storage_account_id,
            &self.workspace_id,
            &self.event_hub_authorization_rule_id,
            &self.service_bus_rule_id,
            &self.marketplace_partner_id,
        ];
        if destinations.iter().all(|destination| destination.is_none()) {
            return Err(Error::invalid_request(
                "/: one of StorageAccountId, WorkspaceId, EventHubAuthorizationRuleId, ServiceBusRuleId and \
                 MarketplacePartnerId must say where to send",
            ));
        }
        if self.event_hub_name.is_some() && self.event_hub_authorization_rule_id.is_none() {
            return Err(Error::invalid_request("/EventHubName: needs EventHubAuthorizationRuleId"));
        }
        let mixed = |log: &Log| log.category.is_some() == log.category_group.is_some();
        match self.logs.iter().flatten().position(mixed) {
            Some(at) => Err(Error::invalid_request(format!("/Logs/{at}: needs either Category or CategoryGroup"))),
            None => Ok(()),
        }
    }

    fn identify(&mut self, cx: &Cx) -> Result<Self::Id> {
        let scope = scope(self.scope.as_deref())?;
        let name = self.setting_name.get_or_insert_with(|| cx.request.derive_name(260, "-"));
        Ok(scope.provider("Microsoft.Insights", "diagnosticSettings", name).into())
    }

    async fn create(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Never>> {
        cx.provider.put(&id.to_string(), Self::API, &self.to_azure()).await?;
        Ok(Step::Done)
    }

    async fn read(id: &Self::Id, cx: &Cx) -> Result<Self> {
        Self::from_azure(id, &cx.provider.get(&id.to_string(), Self::API).await?)
    }

    async fn update(&self, id: &Self::Id, change: Change<Self>, cx: &Cx) -> Result<Step<Never>> {
        let retyped = self.log_analytics_destination_type != change.previous.log_analytics_destination_type;
        let visible = Self { log_analytics_destination_type: None, ..self.clone() };
        if retyped || visible.to_azure() != change.current.to_azure() {
            // A PUT replaces all: what it leaves out is gone.
            cx.provider.put(&id.to_string(), Self::API, &self.to_azure()).await?;
        }
        Ok(Step::Done)
    }

    async fn delete(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Never>> {
        cx.provider.delete(&id.to_string(), Self::API).await?;
        Ok(Step::Done)
    }

    async fn list(&self, page: Option<&str>, cx: &Cx) -> Result<Page<Self>> {
        let scope = scope(self.scope.as_deref())?;
        let path = format!("{scope}/providers/Microsoft.Insights/diagnosticSettings");
        let settings = cx.provider.list(&path, Self::API, page).await?;
        let read = |body: &Value| {
            let name = answered_id(body)?;
            Self::from_azure(&scope.provider("Microsoft.Insights", "diagnosticSettings", name.name()), body)
        };
        Ok(Page { models: own(&settings.items, &scope).map(read).collect::<Result<_>>()?, next: settings.next })
    }

    async fn resume(wait: Never, _: &Self::Id, _: &Cx) -> Result<Step<Never>> {
        match wait {}
    }
}
