"""The handler protocol: the event, the callback loop, retries, and handlers that fail in every way."""

import time

import pytest
from conftest import Cloud
from toy import hang

TEMPLATE = {"Resources": {"Shelf": {"Type": "Toy::Cloud::Shelf",
                                    "Properties": {"Size": 3, "Password": "open sesame"}}}}


def test_event_has_the_shape_of_production(cloud, toy, stack):
    cloud.deploy(stack, TEMPLATE)
    first, second, read = toy.events
    assert set(first) == {
        "action", "awsAccountId", "bearerToken", "region", "responseEndpoint", "nextToken", "maxResults",
        "resourceType", "resourceTypeVersion", "stackId", "callbackContext", "snapshotRequested", "rollback",
        "driftable", "features", "updatePolicy", "creationPolicy", "requestContext", "requestData"}
    assert set(first["requestData"]) == {
        "callerCredentials", "providerCredentials", "platformCredentials", "providerLogGroupName",
        "logicalResourceId", "resourceProperties", "previousResourceProperties", "typeConfiguration", "systemTags",
        "previousSystemTags", "stackTags", "previousStackTags"}
    assert (first["awsAccountId"], first["region"]) == ("000000000000", "us-east-1")
    assert first["stackId"] == cloud.describe(stack)["StackId"]
    assert first["callbackContext"] is None and first["requestContext"] == {"invocation": 1, "callbackContext": {}}
    assert second["callbackContext"] == {"step": 1} and second["requestContext"]["invocation"] == 2
    assert first["bearerToken"] == second["bearerToken"] != read["bearerToken"]
    # The model of the first answer comes back, write-only values included.
    assert second["requestData"]["resourceProperties"] == {"Id": "/shelves/shelf-1", "Size": "3",
                                                           "Password": "open sesame"}
    assert read["requestData"]["resourceProperties"] == {"Id": "/shelves/shelf-1"}


def test_write_only_value_survives_a_handler_that_leaves_it_out(cloud, toy, stack):
    def forgetful(cloud, event):
        answer = cloud.handle(event)
        del answer["resourceModel"]["Password"]
        return answer

    toy.fault("CREATE", forgetful)
    cloud.deploy(stack, TEMPLATE)
    assert toy.sent("CREATE")[1]["requestData"]["resourceProperties"]["Password"] == "open sesame"


def test_callback_delay_is_waited_for(cloud, toy, stack):
    toy.delay = 1
    began = time.monotonic()
    assert cloud.deploy(stack, TEMPLATE) == "CREATE_COMPLETE"
    assert time.monotonic() - began >= 1


def test_many_callbacks(cloud, toy, stack):
    for step in range(5):
        toy.fault("CREATE", {"status": "IN_PROGRESS", "resourceModel": {"Id": "/shelves/shelf-1", "Size": 3},
                             "callbackContext": {"poll": step}, "callbackDelaySeconds": 0},
                  when=lambda event: event["callbackContext"] is not None)
    assert cloud.deploy(stack, TEMPLATE) == "CREATE_COMPLETE"
    contexts = [event["callbackContext"] for event in toy.sent("CREATE")]
    assert contexts == [None, {"step": 1}] + [{"poll": step} for step in range(5)]


def test_server_answers_while_an_operation_waits(cloud, toy, stack):
    toy.delay = 2
    change_set = cloud.change_set(stack, TEMPLATE)
    cloud.cfn.execute_change_set(ChangeSetName=change_set["ChangeSetId"])
    while not toy.events:
        time.sleep(0.02)
    began = time.monotonic()
    # The physical id is there before the create is done.
    assert cloud.resources(stack) == {"Shelf": "/shelves/shelf-1"}
    assert time.monotonic() - began < 1
    assert cloud.settled(stack) == "CREATE_COMPLETE"


@pytest.mark.parametrize("code", ["Throttling", "ServiceInternalError", "NetworkFailure", "ResourceConflict"])
def test_retriable_failures_are_retried(cloud, toy, stack, code):
    toy.failing("CREATE", code, times=2)
    assert cloud.deploy(stack, TEMPLATE) == "CREATE_COMPLETE"
    assert toy.actions() == ["CREATE"] * 4 + ["READ"]
    assert len({event["bearerToken"] for event in toy.sent("CREATE")}) == 1


def test_retries_are_bounded(cloud, toy, stack):
    toy.failing("CREATE", "Throttling", "slow down", times=99)
    assert cloud.deploy(stack, TEMPLATE) == "ROLLBACK_COMPLETE"
    assert toy.actions() == ["CREATE"] * 3
    assert "slow down" in cloud.reason(stack, "Shelf", "CREATE_FAILED")
    assert "HandlerErrorCode: Throttling)" in cloud.reason(stack, "Shelf", "CREATE_FAILED")


@pytest.mark.parametrize("dead", [None, {"errorType": "Runtime.ExitError", "errorMessage": "signal: killed"}])
@pytest.mark.parametrize("point", ["before the first answer", "after the first answer"])
def test_invocation_that_dies_is_repeated_with_the_same_event(cloud, toy, stack, dead, point):
    toy.fault("CREATE", dead, when=lambda event: (event["callbackContext"] is None) == (point[0] == "b"))
    assert cloud.deploy(stack, TEMPLATE) == "CREATE_COMPLETE"
    sent = toy.sent("CREATE")
    again = 0 if point[0] == "b" else 1
    assert len(sent) == 3 and sent[again] == sent[again + 1]
    assert len(toy.things) == 1


def test_lambda_that_keeps_dying_fails_the_resource(cloud, toy, stack):
    toy.fault("CREATE", {"errorType": "Runtime.ExitError", "errorMessage": "signal: killed"}, times=99)
    assert cloud.deploy(stack, TEMPLATE) == "ROLLBACK_COMPLETE"
    assert len(toy.events) == 3
    reason = cloud.reason(stack, "Shelf", "CREATE_FAILED")
    assert reason.startswith('Resource handler returned message: "CREATE gave up after 3 attempts: function toy '
                             "answered HTTP 200 with no progress event (Runtime.ExitError: signal: killed)")
    assert reason.endswith("HandlerErrorCode: InternalFailure)")


def test_handler_that_never_ends_is_bounded(cloud, toy, stack):
    toy.fault("CREATE", {"status": "IN_PROGRESS", "resourceModel": {"Id": "/shelves/endless", "Size": 3},
                         "callbackContext": {}, "callbackDelaySeconds": 1}, times=99)
    assert cloud.deploy(stack, TEMPLATE) == "ROLLBACK_COMPLETE"
    assert "was not done within 4 s" in cloud.reason(stack, "Shelf", "CREATE_FAILED")
    assert toy.sent("DELETE")[0]["requestData"]["resourceProperties"]["Id"] == "/shelves/endless"


def test_invocation_that_does_not_answer_is_bounded(cloud, toy, stack):
    toy.fault("CREATE", hang(1.5), times=99)
    assert cloud.deploy(stack, TEMPLATE) == "ROLLBACK_COMPLETE"
    assert "function toy did not answer within 1 s" in cloud.reason(stack, "Shelf", "CREATE_FAILED")


@pytest.mark.parametrize("answer, message", [
    ({"status": "SUCCESS", "resourceModel": {"Size": 3}}, "CREATE answered SUCCESS without Id"),
    ({"status": "DONE"}, "CREATE answered the status DONE, which it may not"),
    ({"status": "FAILED", "errorCode": "InvalidRequest"}, "the handler gave no message"),
])
def test_answers_that_break_the_protocol(cloud, toy, stack, answer, message):
    toy.fault("CREATE", answer)
    assert cloud.deploy(stack, TEMPLATE) == "ROLLBACK_COMPLETE"
    assert message in cloud.reason(stack, "Shelf", "CREATE_FAILED")


def test_read_may_not_be_in_progress(cloud, toy, stack):
    toy.fault("READ", {"status": "IN_PROGRESS", "resourceModel": {"Id": "x"}})
    assert cloud.deploy(stack, TEMPLATE) == "ROLLBACK_COMPLETE"
    assert "READ answered the status IN_PROGRESS" in cloud.reason(stack, "Shelf", "CREATE_FAILED")
    assert toy.things == {}


def test_identifier_may_not_change(cloud, toy, stack):
    toy.fault("CREATE", {"status": "SUCCESS", "resourceModel": {"Id": "/shelves/other", "Size": 3}},
              when=lambda event: event["callbackContext"] is not None)
    assert cloud.deploy(stack, TEMPLATE) == "ROLLBACK_COMPLETE"
    assert ("the primary identifier changed from /shelves/shelf-1 to /shelves/other"
            in cloud.reason(stack, "Shelf", "CREATE_FAILED"))
    assert toy.sent("DELETE")[0]["requestData"]["resourceProperties"]["Id"] == "/shelves/shelf-1"


def test_unresolved_type_configuration_fails_before_the_handler(cloud, toy, stack):
    secrets = cloud.client("secretsmanager")
    secrets.delete_secret(SecretId="toy-key", ForceDeleteWithoutRecovery=True)
    try:
        assert cloud.deploy(stack, TEMPLATE) == "ROLLBACK_COMPLETE"
    finally:
        secrets.create_secret(Name="toy-key", SecretString='{"key": "s3cret"}')
    assert "toy-key" in cloud.reason(stack, "Shelf", "CREATE_FAILED")
    assert toy.events == []


def test_endpoint_that_is_down_gives_a_clear_failure(tmp_path, stack):
    cloud = Cloud(tmp_path, "http://127.0.0.1:1", "--account", "111122223333")
    try:
        assert cloud.deploy(stack, TEMPLATE) == "ROLLBACK_COMPLETE"
        assert ("CREATE gave up after 3 attempts: cannot invoke function toy at http://127.0.0.1:1: "
                in cloud.reason(stack, "Shelf", "CREATE_FAILED"))
        assert ":111122223333:" in cloud.describe(stack)["StackId"]
    finally:
        assert cloud.stop() == 0


def test_an_organisation_may_have_a_function_of_its_own(tmp_path, stack):
    cloud = Cloud(tmp_path, "http://127.0.0.1:1", "--function", "Toy=of-toys")
    try:
        assert cloud.deploy(stack, TEMPLATE) == "ROLLBACK_COMPLETE"
        assert "cannot invoke function of-toys at http://127.0.0.1:1: " in cloud.reason(stack, "Shelf", "CREATE_FAILED")
    finally:
        assert cloud.stop() == 0
