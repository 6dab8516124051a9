"""The Cloud Control API for registered types."""

import json
import time

import pytest
from botocore.exceptions import ClientError

SHELF = "Toy::Cloud::Shelf"


@pytest.fixture
def control(cloud):
    return cloud.client("cloudcontrol")


def finished(control, answer):
    """The last progress event of a request."""
    token = answer["ProgressEvent"]["RequestToken"]
    while True:
        event = control.get_resource_request_status(RequestToken=token)["ProgressEvent"]
        if event["OperationStatus"] != "IN_PROGRESS":
            return event
        time.sleep(0.02)


def test_a_resource_is_created_read_listed_updated_and_deleted(control, toy):
    made = finished(control, control.create_resource(TypeName=SHELF, DesiredState='{"Size": 3, "Name": "oak"}'))
    assert (made["OperationStatus"], made["Identifier"]) == ("SUCCESS", "/shelves/oak-1")
    found = control.get_resource(TypeName=SHELF, Identifier=made["Identifier"])["ResourceDescription"]
    assert json.loads(found["Properties"])["Endpoints"] == {"Read": "https://read/shelves/oak-1",
                                                            "Write": "https://write/shelves/oak-1"}
    listed = control.list_resources(TypeName=SHELF)["ResourceDescriptions"]
    assert [one["Identifier"] for one in listed] == ["/shelves/oak-1"]
    patch = json.dumps([{"op": "replace", "path": "/Size", "value": 4}])
    updated = finished(control, control.update_resource(TypeName=SHELF, Identifier="/shelves/oak-1",
                                                        PatchDocument=patch))
    assert json.loads(updated["ResourceModel"])["Size"] == 4
    gone = finished(control, control.delete_resource(TypeName=SHELF, Identifier="/shelves/oak-1"))
    assert gone["OperationStatus"] == "SUCCESS" and toy.things == {}


def test_failures(control, toy):
    wrong = finished(control, control.create_resource(TypeName=SHELF, DesiredState='{"Size": 0}'))
    assert (wrong["ErrorCode"], wrong["StatusMessage"]) == (
        "InvalidRequest", "Model validation failed (#/Size: [0] is not greater or equal to 1)")
    assert toy.events == []
    missing = finished(control, control.delete_resource(TypeName=SHELF, Identifier="/shelves/none"))
    assert missing["ErrorCode"] == "NotFound"
    with pytest.raises(control.exceptions.ResourceNotFoundException, match="/shelves/none does not exist"):
        control.get_resource(TypeName=SHELF, Identifier="/shelves/none")
    with pytest.raises(ClientError, match="not valid JSON"):
        control.create_resource(TypeName=SHELF, DesiredState="{")


def test_create_only_property_is_not_updatable(control, toy):
    made = finished(control, control.create_resource(TypeName=SHELF, DesiredState='{"Size": 3, "Name": "oak"}'))
    patch = json.dumps([{"op": "replace", "path": "/Name", "value": "elm"}])
    event = finished(control, control.update_resource(TypeName=SHELF, Identifier=made["Identifier"],
                                                      PatchDocument=patch))
    assert (event["OperationStatus"], event["ErrorCode"]) == ("FAILED", "NotUpdatable")


def test_other_types_stay_with_the_engine(control, toy):
    made = control.create_resource(TypeName="AWS::Some::Thing", DesiredState='{"Name": "a"}')
    assert made["ProgressEvent"]["OperationStatus"] == "SUCCESS"
    assert toy.events == []
