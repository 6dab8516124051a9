"""A stack's life through CloudFormation's own API, with the toy cloud's handlers."""

import copy
import json

import pytest
from botocore.exceptions import ClientError


def shelf(**properties):
    return {"Type": "Toy::Cloud::Shelf", "Properties": {"Size": 3, **properties}}


def library(**properties):
    """A bucket, a shelf, and a book that refers to the shelf."""
    return {
        "Resources": {
            "Bucket": {"Type": "AWS::S3::Bucket"},
            "Shelf": shelf(**properties),
            "Book": {"Type": "Toy::Cloud::Book", "Properties": {"ShelfId": {"Ref": "Shelf"}, "Title": "Emma"}},
        },
        "Outputs": {
            "Shelf": {"Value": {"Ref": "Shelf"}, "Export": {"Name": {"Fn::Sub": "${AWS::StackName}-shelf"}}},
            "Read": {"Value": {"Fn::GetAtt": ["Shelf", "Endpoints.Read"]}},
            "Book": {"Value": {"Ref": "Book"}},
            "Number": {"Value": {"Fn::GetAtt": ["Book", "Number"]}},
        },
    }


def test_two_types_and_a_bucket_deploy_and_delete(cloud, toy, stack):
    assert cloud.deploy(stack, library(Name="oak")) == "CREATE_COMPLETE"
    outputs = cloud.outputs(stack)
    assert outputs == {"Shelf": "/shelves/oak-1", "Read": "https://read/shelves/oak-1", "Book": "/shelves/oak-1|2",
                       "Number": "2"}
    assert f"{stack}-shelf" in [one["Name"] for one in cloud.cfn.list_exports()["Exports"]]
    assert toy.actions() == ["CREATE", "CREATE", "READ", "CREATE", "CREATE", "READ"]
    assert ("Shelf", "CREATE_IN_PROGRESS", "Resource creation Initiated") in cloud.events(stack)
    assert cloud.delete(stack) == "DELETE_COMPLETE"
    assert toy.things == {}
    assert toy.actions()[6:] == ["DELETE"] * 4


def test_unchanged_template_makes_no_change_set(cloud, toy, stack):
    template = library(Open=True)
    cloud.deploy(stack, template)
    before = len(toy.events)
    again = cloud.change_set(stack, template)
    assert again["Status"] == "FAILED" and "didn't contain changes" in again["StatusReason"]
    assert len(toy.events) == before


def test_update_in_place_touches_only_what_changed(cloud, toy, stack):
    cloud.deploy(stack, library(Password="open sesame"))
    before = cloud.resources(stack)
    change_set = cloud.change_set(stack, library(Size=5, Password="open sesame"))
    assert [change["ResourceChange"]["LogicalResourceId"] for change in change_set["Changes"]] == ["Shelf"]
    assert change_set["Changes"][0]["ResourceChange"]["Replacement"] == "False"
    toy.events.clear()
    assert cloud.execute(change_set) == "UPDATE_COMPLETE"
    assert toy.actions() == ["UPDATE", "READ"]
    sent = toy.events[0]["requestData"]
    assert sent["resourceProperties"]["Size"] == "5" and sent["previousResourceProperties"]["Size"] == "3"
    assert sent["resourceProperties"]["Id"] == before["Shelf"]
    assert sent["resourceProperties"]["Password"] == sent["previousResourceProperties"]["Password"] == "open sesame"
    assert cloud.resources(stack) == before


@pytest.mark.parametrize("old, new", [({"Name": "oak"}, {"Name": "elm"}),
                                      ({"Place": {"Room": "a"}}, {"Place": {"Room": "b"}})])
def test_create_only_change_creates_the_new_before_it_deletes_the_old(cloud, toy, stack, old, new):
    cloud.deploy(stack, library(**old))
    before = cloud.resources(stack)
    toy.events.clear()
    change_set = cloud.change_set(stack, library(**new))
    change = {one["ResourceChange"]["LogicalResourceId"]: one["ResourceChange"] for one in change_set["Changes"]}
    assert change["Shelf"]["Replacement"] == ("True" if "Name" in new else "Conditional")
    assert cloud.execute(change_set) == "UPDATE_COMPLETE"
    after = cloud.resources(stack)
    assert after["Shelf"] != before["Shelf"] and after["Book"].startswith(after["Shelf"])
    assert toy.actions("Toy::Cloud::Shelf") == ["CREATE", "CREATE", "READ", "DELETE", "DELETE"]
    assert set(toy.of("Toy::Cloud::Shelf")) == {after["Shelf"]}
    # The dependent goes before what it depends on.
    assert [event["resourceType"] for event in toy.sent("DELETE")] == ["Toy::Cloud::Book"] * 2 + [
        "Toy::Cloud::Shelf"] * 2
    assert [event[1] for event in cloud.events(stack) if event[0] == "Shelf"][-2:] == ["DELETE_IN_PROGRESS",
                                                                                      "DELETE_COMPLETE"]


def test_nested_change_beside_a_create_only_one_is_an_update(cloud, toy, stack):
    cloud.deploy(stack, library(Place={"Room": "a", "Wall": "north"}))
    toy.events.clear()
    assert cloud.deploy(stack, library(Place={"Room": "a", "Wall": "south"})) == "UPDATE_COMPLETE"
    assert toy.actions() == ["UPDATE", "READ"]


def test_conditional_create_only_is_replaced_when_the_handler_says_not_updatable(cloud, toy, stack):
    cloud.deploy(stack, library(Grade="basic"))
    before = cloud.resources(stack)["Shelf"]
    toy.failing("UPDATE", "NotUpdatable", "only upwards")
    assert cloud.deploy(stack, library(Grade="fine")) == "UPDATE_COMPLETE"
    assert cloud.resources(stack)["Shelf"] != before
    assert before not in toy.of("Toy::Cloud::Shelf")


def test_replaced_resource_is_kept_when_the_template_says_so(cloud, toy, stack):
    template = library(Name="oak")
    template["Resources"]["Shelf"]["UpdateReplacePolicy"] = "Retain"
    cloud.deploy(stack, template)
    template["Resources"]["Shelf"]["Properties"]["Name"] = "elm"
    assert cloud.deploy(stack, template) == "UPDATE_COMPLETE"
    assert sorted(toy.of("Toy::Cloud::Shelf")) == ["/shelves/elm-3", "/shelves/oak-1"]


@pytest.mark.parametrize("code", ["NotUpdatable", "GeneralServiceException"])
def test_failing_update_rolls_back_with_the_old_properties(cloud, toy, stack, code):
    cloud.deploy(stack, library())
    toy.failing("UPDATE", code, "cannot grow")
    toy.events.clear()
    assert cloud.deploy(stack, library(Size=9)) == "UPDATE_ROLLBACK_COMPLETE"
    first, second = toy.sent("UPDATE")
    assert first["requestData"]["resourceProperties"]["Size"] == "9"
    assert second["requestData"]["resourceProperties"]["Size"] == "3"
    assert second["requestData"]["previousResourceProperties"]["Size"] == "9"
    assert second["bearerToken"] != first["bearerToken"]
    assert cloud.reason(stack, "Shelf", "UPDATE_FAILED") == (
        f'Resource handler returned message: "cannot grow" (RequestToken: {first["bearerToken"]}, '
        f"HandlerErrorCode: {code})")


def test_later_failure_sends_an_update_back(cloud, toy, stack):
    cloud.deploy(stack, library())
    template = library(Size=9)
    template["Resources"]["Book"]["Properties"]["Title"] = "Persuasion"
    toy.failing("UPDATE", "AccessDenied", when=lambda event: event["resourceType"] == "Toy::Cloud::Book")
    assert cloud.deploy(stack, template) == "UPDATE_ROLLBACK_COMPLETE"
    assert [shelf["Size"] for shelf in toy.of("Toy::Cloud::Shelf").values()] == [3]


def test_later_failure_sends_stack_tags_back(cloud, toy, stack):
    template = library()
    cloud.deploy(stack, template, Tags=[{"Key": "team", "Value": "red"}])
    template["Resources"]["Book"]["Properties"]["Title"] = "Persuasion"
    toy.failing("UPDATE", "AccessDenied", when=lambda event: event["resourceType"] == "Toy::Cloud::Book")
    assert cloud.deploy(stack, template, Tags=[{"Key": "team", "Value": "blue"}]) == "UPDATE_ROLLBACK_COMPLETE"
    assert [shelf["Tags"] for shelf in toy.of("Toy::Cloud::Shelf").values()] == [{"team": "red"}]


def test_rollback_that_fails_can_be_continued(cloud, toy, stack):
    cloud.deploy(stack, library())
    toy.failing("UPDATE", "AccessDenied", times=2)
    assert cloud.deploy(stack, library(Size=9)) == "UPDATE_ROLLBACK_FAILED"
    cloud.cfn.continue_update_rollback(StackName=stack)
    assert cloud.settled(stack) == "UPDATE_ROLLBACK_COMPLETE"
    assert [event["requestData"]["resourceProperties"]["Size"] for event in toy.sent("UPDATE")] == ["9", "3", "3"]


def test_nested_read_only_value_does_not_bring_its_object_back(cloud, toy, stack):
    cloud.deploy(stack, library(Place={"Wall": "north"}))
    assert cloud.deploy(stack, library()) == "UPDATE_COMPLETE"
    assert "Place" not in toy.sent("UPDATE")[0]["requestData"]["resourceProperties"]


def test_failing_replacement_keeps_the_old_resource(cloud, toy, stack):
    cloud.deploy(stack, library(Name="oak"))
    before = cloud.resources(stack)
    toy.failing("CREATE", "ServiceLimitExceeded", when=lambda event: event["callbackContext"] is not None)
    assert cloud.deploy(stack, library(Name="elm")) == "UPDATE_ROLLBACK_COMPLETE"
    assert cloud.resources(stack) == before
    assert set(toy.of("Toy::Cloud::Shelf")) == {before["Shelf"]}
    # What the failed create had begun was asked to go.
    assert toy.sent("DELETE")[0]["requestData"]["resourceProperties"]["Id"] == "/shelves/elm-3"


def test_failed_create_is_deleted_by_the_id_of_its_first_progress(cloud, toy, stack):
    def half_done(cloud, event):
        cloud.handle(event)
        return {"status": "FAILED", "errorCode": "NotStabilized", "message": "stuck"}

    toy.fault("CREATE", half_done, when=lambda event: event["callbackContext"] is not None)
    assert cloud.deploy(stack, library(Name="oak", Password="open sesame")) == "ROLLBACK_COMPLETE"
    assert toy.things == {}
    deleted = toy.sent("DELETE")[0]["requestData"]["resourceProperties"]
    assert deleted["Id"] == "/shelves/oak-1" and deleted["Password"] == "open sesame" and deleted["Size"] == "3"
    assert ("Shelf", "DELETE_COMPLETE", "") in cloud.events(stack)
    assert "Book" not in [event[0] for event in cloud.events(stack)]
    assert cloud.delete(stack) == "DELETE_COMPLETE"


def test_failed_create_without_rollback_stays_and_is_deleted_with_the_stack(cloud, toy, stack):
    toy.failing("CREATE", "NotStabilized", when=lambda event: event["callbackContext"] is not None)
    change_set = cloud.change_set(stack, library())
    assert cloud.execute(change_set, DisableRollback=True) == "CREATE_FAILED"
    assert cloud.resources(stack)["Shelf"] == "/shelves/shelf-1"
    assert cloud.delete(stack) == "DELETE_COMPLETE"
    assert "DELETE" in toy.actions()


def test_create_that_fails_before_an_id_has_nothing_to_delete(cloud, toy, stack):
    toy.failing("CREATE", "InvalidRequest", "no such place")
    assert cloud.deploy(stack, library()) == "ROLLBACK_COMPLETE"
    assert toy.actions() == ["CREATE"]


def test_later_resource_that_fails_rolls_ours_back(cloud, toy, stack):
    template = library()
    template["Resources"]["Queue"] = {"Type": "AWS::SQS::Queue", "DependsOn": "Book",
                                      "Properties": {"QueueName": "a.fifo"}}
    assert cloud.deploy(stack, template) == "ROLLBACK_COMPLETE"
    assert toy.things == {}


def test_failing_delete_keeps_the_resource_and_can_be_repeated(cloud, toy, stack):
    cloud.deploy(stack, library())
    toy.failing("DELETE", "AccessDenied", "holds blobs",
                when=lambda event: event["resourceType"] == "Toy::Cloud::Shelf")
    assert cloud.delete(stack) == "DELETE_FAILED"
    assert "holds blobs" in cloud.reason(stack, "Shelf", "DELETE_FAILED")
    assert list(cloud.resources(stack)) == ["Shelf"]
    assert cloud.delete(stack) == "DELETE_COMPLETE"
    assert toy.things == {}


def test_resource_deleted_elsewhere_counts_as_deleted(cloud, toy, stack):
    cloud.deploy(stack, library())
    toy.things.clear()
    assert cloud.delete(stack) == "DELETE_COMPLETE"


@pytest.mark.parametrize("policy, kept", [("Retain", 1), ("RetainExceptOnCreate", 1), ("Delete", 0)])
def test_deletion_policy(cloud, toy, stack, policy, kept):
    template = {"Resources": {"Shelf": {**shelf(), "DeletionPolicy": policy}}}
    cloud.deploy(stack, template)
    assert cloud.delete(stack) == "DELETE_COMPLETE"
    assert len(toy.things) == kept


def test_retain_except_on_create_deletes_on_a_failing_create(cloud, toy, stack):
    template = library()
    template["Resources"]["Shelf"]["DeletionPolicy"] = "RetainExceptOnCreate"
    toy.failing("CREATE", "AccessDenied", when=lambda event: event["resourceType"] == "Toy::Cloud::Book")
    assert cloud.deploy(stack, template) == "ROLLBACK_COMPLETE"
    assert toy.things == {}


def test_resource_that_leaves_the_template_is_deleted(cloud, toy, stack):
    template = library()
    cloud.deploy(stack, template)
    del template["Resources"]["Book"], template["Outputs"]["Book"], template["Outputs"]["Number"]
    assert cloud.deploy(stack, template) == "UPDATE_COMPLETE"
    assert toy.of("Toy::Cloud::Book") == {}


def test_stack_tags_travel_apart_from_the_properties(cloud, toy, stack):
    template = library(Tags=[{"Key": "own", "Value": "1"}])
    cloud.deploy(stack, template, Tags=[{"Key": "team", "Value": "red"}])
    sent = toy.events[0]["requestData"]
    assert sent["stackTags"] == {"team": "red"} and sent["previousStackTags"] is None
    assert sent["resourceProperties"]["Tags"] == [{"Key": "own", "Value": "1"}]
    assert sent["systemTags"]["aws:cloudformation:logical-id"] == "Shelf"
    toy.events.clear()
    change_set = cloud.change_set(stack, template, Tags=[{"Key": "team", "Value": "blue"}])
    # A book has no tags, so nothing about it changes.
    assert [change["ResourceChange"]["LogicalResourceId"] for change in change_set["Changes"]] == ["Bucket", "Shelf"]
    assert cloud.execute(change_set) == "UPDATE_COMPLETE"
    assert [(event["action"], event["resourceType"]) for event in toy.events] == [
        ("UPDATE", "Toy::Cloud::Shelf"), ("READ", "Toy::Cloud::Shelf")]
    sent = toy.events[0]["requestData"]
    assert (sent["stackTags"], sent["previousStackTags"]) == ({"team": "blue"}, {"team": "red"})


def test_conditions_and_parameters(cloud, toy, stack):
    template = library(Size={"Ref": "Size"}, Name={"Fn::If": ["Named", "oak", {"Ref": "AWS::NoValue"}]},
                       Place={"Room": "a", "Wall": {"Ref": "AWS::NoValue"}})
    template["Parameters"] = {"Size": {"Type": "Number", "Default": 4}, "Books": {"Type": "String", "Default": "no"}}
    template["Conditions"] = {"Named": {"Fn::Equals": [{"Ref": "Books"}, "yes"]}}
    template["Resources"]["Book"]["Condition"] = "Named"
    del template["Outputs"]["Book"], template["Outputs"]["Number"]
    assert cloud.deploy(stack, template) == "CREATE_COMPLETE"
    properties = toy.events[0]["requestData"]["resourceProperties"]
    assert properties == {"Size": "4", "Place": {"Room": "a"}}
    assert toy.of("Toy::Cloud::Book") == {}


def test_no_echo_value_is_not_shown(cloud, toy, stack):
    template = library(Password={"Ref": "Password"})
    template["Parameters"] = {"Password": {"Type": "String", "NoEcho": True}}
    cloud.deploy(stack, template, Parameters=[{"ParameterKey": "Password", "ParameterValue": "open sesame"}])
    assert toy.events[0]["requestData"]["resourceProperties"]["Password"] == "open sesame"
    shown = json.dumps([cloud.describe(stack), cloud.cfn.describe_stack_events(StackName=stack),
                        cloud.cfn.describe_stack_resource(StackName=stack, LogicalResourceId="Shelf")], default=str)
    assert "open sesame" not in shown


def test_dynamic_references_reach_the_handler_resolved(cloud, toy, stack):
    cloud.client("ssm").put_parameter(Name="wall", Value="north", Type="String", Overwrite=True)
    cloud.deploy(stack, library(Password="{{resolve:secretsmanager:toy-key:SecretString:key}}",
                                Place={"Wall": "{{resolve:ssm:wall}}"}))
    data = toy.events[0]["requestData"]
    assert data["resourceProperties"]["Password"] == "s3cret"
    assert data["resourceProperties"]["Place"] == {"Wall": "north"}
    assert data["typeConfiguration"] == {"Login": "toy", "Key": "s3cret"}


def test_unknown_type_is_refused(cloud, stack):
    template = {"Resources": {"A": {"Type": "Toy::Cloud::Table"}}}
    for call in (lambda: cloud.cfn.validate_template(TemplateBody=json.dumps(template)),
                 lambda: cloud.change_set(stack, template, "CREATE")):
        with pytest.raises(ClientError, match=r"Unrecognized resource types: \[Toy::Cloud::Table\]"):
            call()
    known = cloud.cfn.validate_template(TemplateBody=json.dumps(library()))
    assert known["ResponseMetadata"]["HTTPStatusCode"] == 200


@pytest.mark.parametrize("properties, message", [
    ({"Colour": "red"}, "#: extraneous key [Colour] is not permitted"),
    ({"Size": "many"}, "#/Size: expected type: Integer, found: String"),
    ({"Size": 0}, "#/Size: [0] is not greater or equal to 1"),
    ({"Size": {"Ref": "AWS::NoValue"}}, "#: required key [Size] not found"),
    ({"Id": "/shelves/mine"}, "#/Id: readOnlyProperties [/properties/Id] cannot be specified"),
    ({"Tags": [{"Key": "a"}]}, "#/Tags/0: required key [Value] not found"),
    ({"Place": {"Roof": "a"}}, "#/Place: extraneous key [Roof] is not permitted"),
    ({"Grade": "poor"}, "#/Grade: [poor] is not a valid enum value; valid are basic, fine"),
    ({"Name": "Oak"}, "#/Name: string [Oak] does not match pattern ^[a-z][a-z0-9-]*$"),
    ({"Password": "abc"}, "#/Password: expected minLength: 4, actual: 3"),
])
def test_properties_that_break_the_schema_never_reach_a_handler(cloud, toy, stack, properties, message):
    assert cloud.deploy(stack, library(**properties)) == "ROLLBACK_COMPLETE"
    assert cloud.reason(stack, "Shelf", "CREATE_FAILED") == (
        f"Properties validation failed for resource Shelf with message:\n{message}")
    assert toy.events == []


def test_update_that_breaks_the_schema_changes_nothing(cloud, toy, stack):
    cloud.deploy(stack, library())
    toy.events.clear()
    assert cloud.deploy(stack, library(Size=0)) == "UPDATE_ROLLBACK_COMPLETE"
    assert toy.events == []


def test_values_are_recast_to_strings(cloud, toy, stack):
    cloud.deploy(stack, library(Size="7", Open="true", Rules=[{"Action": "a", "Priority": 1}]))
    properties = toy.events[0]["requestData"]["resourceProperties"]
    assert properties == {"Size": "7", "Open": "true", "Rules": [{"Action": "a", "Priority": "1"}]}


def test_nested_stack_deploys_and_deletes(cloud, toy, stack):
    url = _upload(cloud, stack, library())
    parent = {"Resources": {"Child": {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": url}}},
              "Outputs": {"Shelf": {"Value": {"Fn::GetAtt": ["Child", "Outputs.Shelf"]}}}}
    assert cloud.deploy(stack, parent) == "CREATE_COMPLETE"
    assert cloud.outputs(stack) == {"Shelf": "/shelves/shelf-1"}
    assert cloud.delete(stack) == "DELETE_COMPLETE"
    assert toy.things == {}


def test_failing_nested_stack_leaves_nothing(cloud, toy, stack):
    url = _upload(cloud, stack, library())
    toy.failing("CREATE", "AccessDenied", when=lambda event: event["resourceType"] == "Toy::Cloud::Book"
                and event["callbackContext"] is not None)
    parent = {"Resources": {"Child": {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": url}}}}
    assert cloud.deploy(stack, parent) == "ROLLBACK_COMPLETE"
    assert toy.things == {}


def _upload(cloud, name, template):
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="child.json", Body=json.dumps(template))
    return f"{cloud.url}/{name}/child.json"


def test_import_adopts_a_resource_and_leaves_the_others_alone(cloud, toy, stack):
    old = {"Resources": {"Shelf": shelf()}}
    cloud.deploy(stack, old)
    toy.things["Toy::Cloud::Shelf", "/shelves/found"] = {"Id": "/shelves/found", "Size": 8, "Tags": {}}
    toy.events.clear()
    template = copy.deepcopy(old)
    template["Resources"]["Found"] = {**shelf(Size=8, Password="open sesame"), "DeletionPolicy": "Retain"}
    change_set = cloud.change_set(stack, template, "IMPORT", ResourcesToImport=[
        {"ResourceType": "Toy::Cloud::Shelf", "LogicalResourceId": "Found",
         "ResourceIdentifier": {"Id": "/shelves/found"}}])
    assert change_set["Changes"][0]["ResourceChange"]["Action"] == "Import"
    assert cloud.execute(change_set) == "IMPORT_COMPLETE"
    assert set(toy.actions()) == {"READ"}
    assert cloud.resources(stack)["Found"] == "/shelves/found"
    one = cloud.cfn.detect_stack_resource_drift(StackName=stack, LogicalResourceId="Found")["StackResourceDrift"]
    assert one["StackResourceDriftStatus"] == "IN_SYNC"
    template["Resources"]["Found"]["Properties"]["Size"] = 9
    template["Outputs"] = {"Read": {"Value": {"Fn::GetAtt": ["Found", "Endpoints.Read"]}}}
    toy.events.clear()
    assert cloud.deploy(stack, template) == "UPDATE_COMPLETE"
    assert toy.actions() == ["UPDATE", "READ"]
    assert toy.events[0]["requestData"]["systemTags"]["aws:cloudformation:logical-id"] == "Found"
    assert cloud.outputs(stack) == {"Read": "https://read/shelves/found"}


def test_import_of_nothing_fails_the_change_set(cloud, toy, stack):
    template = {"Resources": {"Found": {**shelf(), "DeletionPolicy": "Retain"}}}
    change_set = cloud.change_set(stack, template, "IMPORT", ResourcesToImport=[
        {"ResourceType": "Toy::Cloud::Shelf", "LogicalResourceId": "Found",
         "ResourceIdentifier": {"Id": "/shelves/lost"}}])
    assert change_set["Status"] == "FAILED"
    assert change_set["StatusReason"] == (
        "Resource of type 'Toy::Cloud::Shelf' with identifier '/shelves/lost' was not found.")
