"""The official Azure clients against the emulator: a group, an account and a container, from creation to deletion.

The type configuration of the emulator comes as JSON in EMULATOR; REQUESTS_CA_BUNDLE names its certificate authority.
"""

import json
import os

from azure.core import MatchConditions
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.mgmt.storage import StorageManagementClient

configuration = json.loads(os.environ["EMULATOR"])
arm = configuration["Endpoints"]["ResourceManager"]
subscription = configuration["SubscriptionId"]


def credential(secret=configuration["ClientSecret"]):
    return ClientSecretCredential(
        configuration["TenantId"],
        configuration["ClientId"],
        secret,
        authority=configuration["Endpoints"]["Authority"],
        # Microsoft's own discovery is not reachable from a laptop without the internet.
        disable_instance_discovery=True,
    )


def client(of, api_version, **options):
    # The client looks no more often than every second, which is long for an emulator.
    return of(credential(), subscription, base_url=arm, api_version=api_version, polling_interval=0.05, **options)


def refused(error, code, call):
    try:
        call()
    except error as failure:
        assert code in str(failure), f"{code} not in {failure}"
        return
    raise AssertionError(f"expected {code}")


groups = client(ResourceManagementClient, "2021-04-01").resource_groups
storage = client(StorageManagementClient, "2023-05-01")
accounts, containers = storage.storage_accounts, storage.blob_containers

# Groups: created, listed in pages, updated.
for name in ["first", "second", "third"]:
    assert groups.create_or_update(name, {"location": "westeurope", "tags": {"a": "b"}}).location == "westeurope"
assert [group.name for group in groups.list(top=2)] == ["first", "second", "third"]
assert groups.check_existence("first") and not groups.check_existence("fourth")
assert groups.update("first", {"tags": {"c": "d"}}).tags == {"c": "d"}
refused(ResourceNotFoundError, "ResourceGroupNotFound", lambda: groups.get("fourth"))

# Accounts: the poller follows Location until the account is there.
parameters = {"location": "westeurope", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
assert accounts.check_name_availability({"name": "officialone", "type": "Microsoft.Storage/storageAccounts"}).name_available
for name in ["officialone", "officialtwo"]:
    account = accounts.begin_create("first", name, parameters).result()
    assert account.provisioning_state == "Succeeded" and account.sku.tier == "Standard", account
assert not accounts.check_name_availability(
    {"name": "officialone", "type": "Microsoft.Storage/storageAccounts"}
).name_available
refused(ResourceExistsError, "StorageAccountInAnotherResourceGroup", lambda: accounts.begin_create("second", "officialone", parameters))
refused(HttpResponseError, "AccountNameInvalid", lambda: accounts.begin_create("first", "Not-Valid", parameters))
account = accounts.get_properties("first", "officialone")
assert account.allow_blob_public_access is False and account.access_tier == "Hot", account
account = accounts.update(
    "first", "officialone", {"tags": {"x": "y"}, "properties": {"minimumTlsVersion": "TLS1_2", "allowBlobPublicAccess": True}}
)
assert account.tags == {"x": "y"} and account.minimum_tls_version == "TLS1_2", account
assert [account.name for account in accounts.list()] == ["officialone", "officialtwo"]
assert [account.name for account in accounts.list_by_resource_group("first")] == ["officialone", "officialtwo"]
assert len(accounts.list_keys("first", "officialone").keys_property) == 2

# Containers.
for name in ["one", "two", "three"]:
    containers.create("first", "officialone", f"container-{name}", {"properties": {"metadata": {"key": name}}})
container = containers.get("first", "officialone", "container-one")
assert container.metadata == {"key": "one"} and container.public_access == "None", container
listed = list(containers.list("first", "officialone", maxpagesize="2"))
assert [item.name for item in listed] == ["container-one", "container-three", "container-two"]
assert all(item.metadata is None for item in listed)
containers.update("first", "officialone", "container-one", {"properties": {"publicAccess": "Blob"}})
assert containers.get("first", "officialone", "container-one").public_access == "Blob"
hold = containers.set_legal_hold("first", "officialone", "container-one", {"tags": ["tag1"]})
assert hold.has_legal_hold
refused(ResourceExistsError, "ContainerProtectedFromDeletion", lambda: containers.delete("first", "officialone", "container-one"))
containers.clear_legal_hold("first", "officialone", "container-one", {"tags": ["tag1"]})
containers.delete("first", "officialone", "container-one")
refused(ResourceNotFoundError, "ContainerNotFound", lambda: containers.get("first", "officialone", "container-one"))

# Immutability: nothing without the entity tag, and nothing but extension once locked.
held = ("first", "officialone", "container-two")
day = {"properties": {"immutabilityPeriodSinceCreationInDays": 1}}
policy = containers.create_or_update_immutability_policy(*held, parameters=day)
assert policy.state == "Unlocked" and containers.get(*held).has_immutability_policy, policy
match = {"match_condition": MatchConditions.IfNotModified}
refused(HttpResponseError, "ConditionNotMet", lambda: containers.lock_immutability_policy(*held, etag='"other"', **match))
policy = containers.delete_immutability_policy(*held, etag=policy.etag, **match)
assert policy.state == "Deleted" and containers.get_immutability_policy(*held).state == "Deleted"
policy = containers.create_or_update_immutability_policy(*held, parameters=day)
policy = containers.lock_immutability_policy(*held, etag=policy.etag, **match)
longer = {"properties": {"immutabilityPeriodSinceCreationInDays": 2}}
policy = containers.extend_immutability_policy(*held, parameters=longer, etag=policy.etag, **match)
assert (policy.state, policy.immutability_period_since_creation_in_days) == ("Locked", 2), policy
locked = "ContainerImmutabilityPolicyFailure"
refused(HttpResponseError, locked, lambda: containers.delete_immutability_policy(*held, etag=policy.etag, **match))

# The blob service: written whole, and set back.
services = client(StorageManagementClient, "2025-08-01").blob_services
assert services.get_service_properties("first", "officialone").name == "default"
settings = {
    "isVersioningEnabled": True,
    "changeFeed": {"enabled": True, "retentionInDays": 30},
    "deleteRetentionPolicy": {"enabled": True, "days": 8},
    "staticWebsite": {"enabled": True, "indexDocument": "index.html"},
}
services.set_service_properties("first", "officialone", {"properties": settings})
service = services.get_service_properties("first", "officialone")
assert service.is_versioning_enabled and service.change_feed.retention_in_days == 30, service
assert service.static_website.index_document == "index.html" and service.cors.cors_rules == [], service
unmet = {"properties": {"restorePolicy": {"enabled": True, "days": 7}}}
refused(HttpResponseError, "restorePolicy", lambda: services.set_service_properties("first", "officialone", unmet))
services.set_service_properties("first", "officialone", {"properties": {"isVersioningEnabled": False}})
service = services.get_service_properties("first", "officialone")
assert service.is_versioning_enabled is False and service.change_feed is None, service

# Object replication: the destination first, then the source under the same ids.
replications = client(StorageManagementClient, "2025-08-01").object_replication_policies
ends = {
    "sourceAccount": accounts.get_properties("first", "officialone").id,
    "destinationAccount": accounts.get_properties("first", "officialtwo").id,
}
rules = [{"sourceContainer": "one", "destinationContainer": "two"}]
replication = {"properties": {**ends, "rules": rules, "metrics": {"enabled": True}}}
destination, source = ("first", "officialtwo"), ("first", "officialone")
unprepared = lambda: replications.create_or_update(*destination, "default", replication)
refused(HttpResponseError, "FeatureNotSupportedForAccount", unprepared)
for end in [destination, source]:
    prepared = {"isVersioningEnabled": True, "changeFeed": {"enabled": True}}
    services.set_service_properties(*end, {"properties": prepared})
policy = replications.create_or_update(*destination, "default", replication)
refused(HttpResponseError, "'default' is not allowed", lambda: replications.create_or_update(*source, "default", replication))
followed = replications.create_or_update(*source, policy.policy_id, policy)
assert followed.enabled_time and followed.rules[0].rule_id == policy.rules[0].rule_id, followed
assert [found.name for found in replications.list(*destination)] == [policy.policy_id]
for end in [source, destination]:
    replications.delete(*end, policy.policy_id)
    assert list(replications.list(*end)) == []

# Deletion.
accounts.delete("first", "officialone")
refused(ResourceNotFoundError, "ResourceNotFound", lambda: accounts.get_properties("first", "officialone"))
groups.begin_delete("first").result()
refused(ResourceNotFoundError, "ResourceGroupNotFound", lambda: groups.get("first"))
assert list(accounts.list()) == []

# Credentials.
refused(ClientAuthenticationError, "AADSTS7000215", lambda: credential("wrong").get_token("https://management.azure.com/.default"))
print("done")
