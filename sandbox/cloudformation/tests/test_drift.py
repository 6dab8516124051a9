"""Drift detection through READ."""

import json

import pytest
from test_stacks import library

PROPERTIES = {
    "Size": 3, "Open": "true", "Password": "open sesame", "Place": {"Wall": "north"}, "Order": ["a", "b"],
    "Rules": [{"Action": "allow"}, {"Action": "deny", "Priority": 2}], "Labels": {"a": "1"},
    "Tags": [{"Key": "own", "Value": "1"}],
}


def detect(cloud, stack):
    """Runs a detection; returns its status and each resource's drift."""
    begun = cloud.cfn.detect_stack_drift(StackName=stack)["StackDriftDetectionId"]
    status = cloud.cfn.describe_stack_drift_detection_status(StackDriftDetectionId=begun)
    drifts = cloud.cfn.describe_stack_resource_drifts(StackName=stack)["StackResourceDrifts"]
    return status, {drift["LogicalResourceId"]: drift for drift in drifts}


def test_fresh_stack_is_in_sync(cloud, toy, stack):
    cloud.deploy(stack, library(**PROPERTIES), Tags=[{"Key": "team", "Value": "red"}])
    status, drifts = detect(cloud, stack)
    assert (status["StackDriftStatus"], status["DetectionStatus"]) == ("IN_SYNC", "DETECTION_COMPLETE")
    assert {drift["StackResourceDriftStatus"] for drift in drifts.values()} == {"IN_SYNC"}
    expected = json.loads(drifts["Shelf"]["ExpectedProperties"])
    assert "Password" not in expected
    assert expected["Tags"] == [{"Key": "own", "Value": "1"}, {"Key": "team", "Value": "red"}]


@pytest.mark.parametrize("change, differences", [
    ({"Size": 4}, [("/Size", "3", "4", "NOT_EQUAL")]),
    ({"Open": False}, [("/Open", "true", "false", "NOT_EQUAL")]),
    ({"Place": {"Wall": "south"}}, [("/Place/Wall", "north", "south", "NOT_EQUAL")]),
    ({"Place": {"Wall": "north", "Room": "a"}}, []),
    ({"Place": {}}, [("/Place/Wall", "north", "null", "REMOVE")]),
    ({"Grade": "fine"}, []),
    ({"Order": ["b", "a"]}, [("/Order/0", "a", "b", "NOT_EQUAL"), ("/Order/1", "b", "a", "NOT_EQUAL")]),
    ({"Order": ["a"]}, [("/Order/1", "b", "null", "REMOVE")]),
    ({"Rules": [{"Action": "deny", "Priority": 2}, {"Action": "allow", "Priority": 0}]}, []),
    ({"Rules": [{"Action": "allow"}]},
     [("/Rules/1", '{"Action": "deny", "Priority": 2}', "null", "REMOVE")]),
    ({"Labels": {"a": "1", "b": "2"}}, [("/Labels/b", "null", "2", "ADD")]),
    ({"Tags": {"own": "2", "team": "red"}}, [("/Tags/0/Value", "1", "2", "NOT_EQUAL")]),
    ({"Tags": {"own": "1"}}, [("/Tags/1", '{"Key": "team", "Value": "red"}', "null", "REMOVE")]),
    ({"Tags": {"own": "1", "team": "red", "aws:cloudformation:stack-name": "s"}}, []),
])
def test_change_behind_the_stack(cloud, toy, stack, change, differences):
    cloud.deploy(stack, library(**PROPERTIES), Tags=[{"Key": "team", "Value": "red"}])
    next(iter(toy.of("Toy::Cloud::Shelf").values())).update(change)
    status, drifts = detect(cloud, stack)
    found = [(one["PropertyPath"], one["ExpectedValue"], one["ActualValue"], one["DifferenceType"])
             for one in drifts["Shelf"].get("PropertyDifferences", [])]
    assert found == differences
    assert drifts["Shelf"]["StackResourceDriftStatus"] == ("MODIFIED" if differences else "IN_SYNC")
    assert status["StackDriftStatus"] == ("DRIFTED" if differences else "IN_SYNC")


def test_deleted_and_unreadable_resources(cloud, toy, stack):
    cloud.deploy(stack, library())
    toy.things.pop(("Toy::Cloud::Book", cloud.resources(stack)["Book"]))
    toy.failing("READ", "AccessDenied", "not yours", when=lambda event: event["resourceType"] == "Toy::Cloud::Shelf")
    status, drifts = detect(cloud, stack)
    assert status["DetectionStatus"] == "DETECTION_FAILED"
    assert drifts["Book"]["StackResourceDriftStatus"] == "DELETED"
    assert drifts["Shelf"]["StackResourceDriftStatus"] == "UNKNOWN"
    one = cloud.cfn.detect_stack_resource_drift(StackName=stack, LogicalResourceId="Shelf")["StackResourceDrift"]
    assert one["StackResourceDriftStatus"] == "IN_SYNC"
