//! What a recording takes for granted, put in place; and what it must not find, taken away.

use serde_json::{Value, json};

use super::{ACCOUNT, Answer, GROUP, LOCAL_USER, PACE, Replay, SUBSCRIPTION, kind, text};

impl Replay<'_> {
    /// Puts in place what the recording takes for granted, and away what it must not find.
    pub(super) async fn arrange(&self, interaction: &Value) {
        let path = text(interaction, "path");
        let code = interaction["response_body"]["error"]["code"].as_str().unwrap_or_default();
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        let Some(group) = segments.get(3).filter(|_| segments[2].eq_ignore_ascii_case("resourceGroups")) else {
            return;
        };
        let status = interaction["status"].as_u64().unwrap();
        let method = text(interaction, "method");
        let is_gone = status == 404;
        let is_new = method == "PUT" && matches!(status, 201 | 202);
        let group = format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}");
        if segments.len() == 4 {
            return self.want(&group, !is_gone && !is_new, is_gone || is_new).await;
        }
        if code == "ResourceGroupNotFound" {
            return self.want(&group, false, true).await;
        }
        self.want(&group, true, false).await;
        let Some(account) = segments.get(7) else { return };
        let account = format!("{group}/providers/Microsoft.Storage/storageAccounts/{account}");
        let is_account = segments.len() == 8;
        if matches!(code, "ResourceNotFound" | "ParentResourceNotFound") || (is_account && is_new) {
            // What is being created is left alone, so that a repeated PUT is one.
            return self.want(&account, false, !is_account || !is_new).await;
        }
        if is_account && status == 400 && method == "PUT" {
            return;
        }
        // An account that is on its way was created by the recording itself.
        let is_unready = code == "StorageAccountIsNotProvisioned" || (is_account && method == "GET");
        if !is_unready {
            self.settle(&account).await;
        }
        if !self.is_on_its_way(&account).await {
            self.want(&account, true, false).await;
        }
        // What is in an account is below a service, or directly in it.
        let held = match segments.get(8) {
            // The ids of these are Azure's own, and every recorded one was made in its recording.
            Some(&"objectReplicationPolicies") => None,
            Some(word) if word.ends_with("Services") && segments.len() >= 12 => Some(&segments[8..12]),
            Some(word) if !word.ends_with("Services") && segments.len() >= 10 => Some(&segments[8..10]),
            _ => None,
        };
        if let Some(held) = held {
            let held = format!("{account}/{}", held.join("/"));
            self.want(&held, !is_gone && !is_new, is_gone || is_new).await;
        }
    }

    /// The same for what is no storage; an error where the recording shows what nothing recorded has made.
    pub(super) async fn arrange_neighbour(&self, interaction: &Value) -> Result<(), String> {
        let path = text(interaction, "path").trim_end_matches('/');
        let code = interaction["response_body"]["error"]["code"].as_str().unwrap_or_default();
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        let is_list = !segments.len().is_multiple_of(2);
        let provider = segments.iter().rposition(|word| *word == "providers").unwrap_or_default();
        if !interaction["request_body"]["properties"]["marketplacePartnerId"].is_null() {
            return Err("a partner's resource".into());
        }
        // The first type below a provider hangs on what is before it, any further one on the type before it.
        let above = if segments.len() <= provider + 4 { provider } else { segments.len() - 2 };
        let parent = format!("/{}", segments[..above].join("/"));
        if let Some(group) = segments.get(3).filter(|_| segments[2].eq_ignore_ascii_case("resourceGroups")) {
            let group = format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}");
            let is_gone = code == "ResourceGroupNotFound";
            self.want(&group, !is_gone, is_gone).await;
            if is_gone {
                return Ok(());
            }
        }
        if code == "ParentResourceNotFound" {
            self.emulator.remove(&parent);
            return Ok(());
        }
        self.settle(&parent).await;
        // What is locked may be of any type.
        for end in (8..=above).step_by(2) {
            let ancestor = format!("/{}", segments[..end].join("/"));
            if self.emulator.get(&ancestor).is_none() {
                self.emulator.set(&ancestor, json!({"id": ancestor, "type": kind(&ancestor)}));
            }
        }
        let exists = is_list || self.emulator.get(path).is_some();
        match (text(interaction, "method"), interaction["status"].as_u64().unwrap()) {
            ("PUT", 201) | (_, 404) => _ = self.emulator.remove(path),
            ("PUT", 200) if !exists => {
                let url = format!("{}{path}?api-version={}", self.emulator.url(), text(interaction, "api_version"));
                self.send("PUT", &url, &interaction["request_body"]).await;
            }
            ("GET" | "DELETE", 200) if !exists => return Err("shown or deleted, but made before the recording".into()),
            _ => {}
        }
        Ok(())
    }

    /// The same for a vault, which may be in place, or deleted and kept.
    pub(super) async fn arrange_vault(&self, interaction: &Value) -> Result<(), String> {
        let found = &interaction["response_body"];
        let path = found["properties"]["vaultId"].as_str().unwrap_or_else(|| text(interaction, "path"));
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        let is_gone = found["error"]["code"] == "ResourceGroupNotFound";
        if segments[2] == "resourceGroups" {
            let group = format!("/{}", segments[..4].join("/"));
            self.want(&group, !is_gone, is_gone).await;
        }
        let recovers = interaction["request_body"]["properties"]["createMode"] == "recover";
        let is_kept = found["type"] == "Microsoft.KeyVault/deletedVaults";
        let is_here = self.emulator.get(path).is_some();
        if (is_kept || recovers) && !is_here {
            let url = format!("{}{path}?api-version=2023-07-01", self.emulator.url());
            let location = found["location"].as_str().or(found["properties"]["location"].as_str());
            let body = json!({"location": location, "properties": {
                "tenantId": SUBSCRIPTION, "accessPolicies": [], "sku": {"family": "A", "name": "standard"}
            }});
            self.send("PUT", &url, &body).await;
            self.send("DELETE", &url, &Value::Null).await;
        }
        match (text(interaction, "method"), interaction["status"].as_u64().unwrap()) {
            ("DELETE", 200) if self.group_poll.is_some() => Err("deleted while its group was".into()),
            ("GET" | "DELETE", 200) if !is_here && !is_kept => {
                Err("shown or deleted, but made before the recording".into())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn has_share_history(&self) -> bool {
        self.interactions.iter().any(|i| {
            let settings = &i["request_body"]["properties"]["shareDeleteRetentionPolicy"];
            settings.is_object() || i["query"]["$expand"].as_str().is_some_and(|what| what.contains("snapshots"))
        })
    }

    async fn is_on_its_way(&self, account: &str) -> bool {
        self.account_poll.is_some() && {
            let name = account.rsplit('/').next().unwrap();
            let (answer, _) = self.check_name(name).await;
            answer.body["nameAvailable"] == false
        }
    }

    async fn check_name(&self, name: &str) -> (Answer, Option<String>) {
        let url = format!(
            "{}/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Storage/checkNameAvailability?api-version=2023-05-01",
            self.emulator.url()
        );
        self.send("POST", &url, &json!({"name": name})).await
    }

    /// Waits until an account that exists is ready.
    async fn settle(&self, account: &str) {
        for _ in 0..12 {
            let is_ready =
                self.emulator.get(account).is_some_and(|found| found["properties"]["provisioningState"] == "Succeeded");
            if is_ready || !self.is_on_its_way(account).await {
                return;
            }
            tokio::time::sleep(PACE).await;
        }
    }

    async fn want(&self, id: &str, present: bool, absent: bool) {
        let exists = self.emulator.get(id).is_some();
        if absent && exists {
            self.emulator.remove(id);
        }
        if present && !exists {
            let body = self.creation_of(id);
            let url = format!("{}{id}?api-version=2023-05-01", self.emulator.url());
            let (answer, _) = self.send("PUT", &url, &body).await;
            assert!(answer.status < 300, "creating {id}: {} {}", answer.status, answer.body);
            if kind(id) == ACCOUNT {
                for _ in 0..12 {
                    tokio::time::sleep(PACE).await;
                    let found = self.emulator.get(id).unwrap_or_default();
                    if found["properties"]["provisioningState"] == "Succeeded" {
                        return;
                    }
                }
            }
        }
    }

    /// The request that must have made a resource which the recording shows and did not create.
    fn creation_of(&self, id: &str) -> Value {
        let is_it = |i: &&Value| {
            let found = &i["response_body"];
            found["id"].as_str().is_some_and(|own| own.eq_ignore_ascii_case(id)) && found["properties"].is_object()
        };
        let seen = self.interactions.iter().find(is_it).map_or(Value::Null, |i| i["response_body"].clone());
        let mut body = json!({"location": seen["location"].as_str().unwrap_or("westus")});
        for member in ["tags", "managedBy", "kind"] {
            if !seen[member].is_null() {
                body[member] = seen[member].clone();
            }
        }
        match kind(id).as_str() {
            GROUP => {}
            ACCOUNT => {
                body["sku"] = json!({"name": seen["sku"]["name"].as_str().unwrap_or("Standard_LRS")});
                body["kind"] = seen["kind"].as_str().unwrap_or("StorageV2").into();
                body["properties"] = json!({"allowBlobPublicAccess": true});
                // Users of blobs are in such an account only.
                if self.interactions.iter().any(|i| kind(text(i, "path")) == LOCAL_USER) {
                    body["properties"]["isHnsEnabled"] = true.into();
                }
                for member in ["accessTier", "isHnsEnabled", "isNfsV3Enabled", "largeFileSharesState"] {
                    if !seen["properties"][member].is_null() {
                        body["properties"][member] = seen["properties"][member].clone();
                    }
                }
            }
            // A policy is nothing without rules.
            _ if seen["properties"]["policy"].is_object() => {
                body = json!({"properties": {"policy": seen["properties"]["policy"]}});
            }
            _ => body = json!({"properties": {}}),
        }
        if !seen["properties"]["metadata"].is_null() {
            body["properties"]["metadata"] = seen["properties"]["metadata"].clone();
        }
        body
    }
}
