"""The registry's actions."""

import json

import pytest
from botocore.exceptions import ClientError
from test_stacks import library
from toy import SHELF

CONFIGURED = [{"Type": "RESOURCE", "TypeName": "Toy::Cloud::Shelf"}]


def test_describe_type_by_name_and_arn(cloud):
    found = cloud.cfn.describe_type(Type="RESOURCE", TypeName="Toy::Cloud::Shelf")
    assert json.loads(found["Schema"]) == SHELF
    assert json.loads(found["ConfigurationSchema"]) == SHELF["typeConfiguration"]
    assert (found["Visibility"], found["ProvisioningType"]) == ("PRIVATE", "FULLY_MUTABLE")
    assert cloud.cfn.describe_type(Arn=found["Arn"])["TypeName"] == "Toy::Cloud::Shelf"
    with pytest.raises(ClientError, match="The type 'Toy::Cloud::Table' cannot be found"):
        cloud.cfn.describe_type(Type="RESOURCE", TypeName="Toy::Cloud::Table")


def test_list_types(cloud):
    def names(**filters):
        return [one["TypeName"] for one in cloud.cfn.list_types(**filters)["TypeSummaries"]]

    assert names() == names(Visibility="PRIVATE", DeprecatedStatus="LIVE") == ["Toy::Cloud::Book", "Toy::Cloud::Shelf"]
    assert names(Filters={"TypeNamePrefix": "Toy::Cloud::S"}) == ["Toy::Cloud::Shelf"]
    assert names(Visibility="PUBLIC") == names(Type="HOOK") == []
    first = cloud.cfn.list_types(MaxResults=1)
    second = cloud.cfn.list_types(MaxResults=1, NextToken=first["NextToken"])
    assert second["TypeSummaries"][0]["TypeName"] == "Toy::Cloud::Shelf" and "NextToken" not in second


def test_type_configuration_is_set_and_used(cloud, toy, stack):
    before = cloud.cfn.batch_describe_type_configurations(TypeConfigurationIdentifiers=CONFIGURED)
    original = before["TypeConfigurations"][0]["Configuration"]
    assert json.loads(original)["Login"] == "toy"
    cloud.cfn.set_type_configuration(Type="RESOURCE", TypeName="Toy::Cloud::Shelf", Configuration='{"Login": "other"}')
    try:
        cloud.deploy(stack, library())
    finally:
        cloud.cfn.set_type_configuration(Type="RESOURCE", TypeName="Toy::Cloud::Shelf", Configuration=original)
    sent = {event["resourceType"]: event["requestData"]["typeConfiguration"] for event in toy.events}
    # The type of books takes none.
    assert sent == {"Toy::Cloud::Shelf": {"Login": "other"}, "Toy::Cloud::Book": None}


@pytest.mark.parametrize("configuration, message", [("{", "not valid JSON"), ("{}", "#: breaks the rule required"),
                                                    ('{"Login": 5}', "#/Login: breaks the rule type")])
def test_type_configuration_that_breaks_its_schema_is_refused(cloud, configuration, message):
    with pytest.raises(ClientError, match=message):
        cloud.cfn.set_type_configuration(Type="RESOURCE", TypeName="Toy::Cloud::Shelf", Configuration=configuration)


def test_configuration_of_an_unknown_type_is_unprocessed(cloud):
    answer = cloud.cfn.batch_describe_type_configurations(
        TypeConfigurationIdentifiers=[{"Type": "RESOURCE", "TypeName": "Toy::Cloud::Table"}])
    assert answer["TypeConfigurations"] == []
    assert answer["UnprocessedTypeConfigurations"][0]["TypeName"] == "Toy::Cloud::Table"
