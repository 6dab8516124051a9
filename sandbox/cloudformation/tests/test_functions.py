"""From an object to a function, through events, a queue and a mapping, with a real process at the end."""

import io
import json
import sys
import time
import zipfile

import pytest

# Answers that the messages of poisoned objects failed, and tells of everything that it got.
BOOTSTRAP = f"""#!{sys.executable}
import json, os, urllib.request
import boto3
api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    answer = urllib.request.urlopen(api + "next")
    records = json.load(answer)["Records"]
    for record in records:
        event = json.loads(record["body"])
        print(json.dumps({{"caller": boto3.client("sts").get_caller_identity()["Arn"], "event": event,
                           "mark": os.environ.get("MARK"), "shared": os.environ.get("SHARED"),
                           "strange": os.environ.get("AWS_PROFILE")}}), flush=True)
    bad = [record["messageId"] for record in records if "poison" in record["body"]]
    body = json.dumps({{"batchItemFailures": [{{"itemIdentifier": one}} for one in bad]}}).encode()
    id = answer.headers["Lambda-Runtime-Aws-Request-Id"]
    urllib.request.urlopen(urllib.request.Request(api + id + "/response", body))
"""


def template(stack):
    """A versioned bucket whose events reach a function by EventBridge, and a plain one whose do directly."""
    def statement(service):
        return {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sqs:SendMessage", "Resource": "*"}

    return {
        "Parameters": {"Concurrency": {"Type": "Number", "Default": 2}, "Key": {"Type": "String", "Default": "f.zip"}},
        "Resources": {
            "Dead": {"Type": "AWS::SQS::Queue"},
            "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 1, "RedrivePolicy": {
                "deadLetterTargetArn": {"Fn::GetAtt": ["Dead", "Arn"]}, "maxReceiveCount": 2}}},
            "Policy": {"Type": "AWS::SQS::QueuePolicy", "Properties": {"Queues": [{"Ref": "Queue"}], "PolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [statement("events.amazonaws.com"), statement("s3.amazonaws.com")]}}},
            "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {
                "BucketName": stack, "VersioningConfiguration": {"Status": "Enabled"},
                "NotificationConfiguration": {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}}},
            "Plain": {"Type": "AWS::S3::Bucket", "DependsOn": "Policy", "Properties": {
                "BucketName": f"{stack}-plain",
                "NotificationConfiguration": {"QueueConfigurations": [
                    {"Event": "s3:ObjectCreated:*", "Queue": {"Fn::GetAtt": ["Queue", "Arn"]}}]}}},
            "Rule": {"Type": "AWS::Events::Rule", "Properties": {
                "EventPattern": {"source": ["aws.s3"], "detail": {"bucket": {"name": [{"Ref": "Bucket"}]}}},
                "Targets": [{"Id": "queue", "Arn": {"Fn::GetAtt": ["Queue", "Arn"]}}]}},
            "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"},
                               "Action": "sts:AssumeRole"}]}}},
            "Function": {"Type": "AWS::Lambda::Function", "Properties": {
                "FunctionName": stack, "Runtime": "provided.al2023", "Handler": "bootstrap", "Timeout": 10,
                "Role": {"Fn::GetAtt": ["Role", "Arn"]}, "Code": {"S3Bucket": f"{stack}-code", "S3Key": {"Ref": "Key"}},
                "Environment": {"Variables": {"MARK": "own"}}}},
            "Mapping": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": {
                "EventSourceArn": {"Fn::GetAtt": ["Queue", "Arn"]}, "FunctionName": {"Ref": "Function"},
                "BatchSize": 1, "FunctionResponseTypes": ["ReportBatchItemFailures"],
                "ScalingConfig": {"MaximumConcurrency": {"Ref": "Concurrency"}}}},
        },
        "Outputs": {"Dead": {"Value": {"Ref": "Dead"}}},
    }


def upload(cloud, stack):
    """Puts the function's package where the template says."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        archive.writestr(entry, BOOTSTRAP)
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=f"{stack}-code")
    s3.put_object(Bucket=f"{stack}-code", Key="f.zip", Body=package.getvalue())


def received(cloud, name, accept):
    """What the function told of the first event that ``accept`` takes."""
    logs, deadline = cloud.client("logs"), time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            found = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
        except logs.exceptions.ResourceNotFoundException:
            found = []
        told = [json.loads(one["message"]) for one in found if one["message"].startswith('{"caller"')]
        for one in told:
            if accept(one["event"]):
                return one
        time.sleep(0.05)
    raise AssertionError(f"no such event among {told}")


def test_an_object_reaches_a_function(cloud, stack):
    upload(cloud, stack)
    assert cloud.deploy(stack, template(stack)) == "CREATE_COMPLETE", cloud.events(stack)
    s3, sqs = cloud.client("s3"), cloud.client("sqs")

    version = s3.put_object(Bucket=stack, Key="a b+ü", Body=b"1")["VersionId"]
    told = received(cloud, stack, lambda event: event.get("detail-type") == "Object Created")
    event = told["event"]
    assert (event["detail"]["object"]["key"], event["detail"]["object"]["version-id"]) == ("a b+ü", version)
    role = cloud.resources(stack)["Role"]
    assert told["caller"] == f"arn:aws:sts::000000000000:assumed-role/{role}/{stack}"
    assert (told["mark"], told["shared"], told["strange"]) == ("own", "of all", None)

    marker = s3.delete_object(Bucket=stack, Key="a b+ü")["VersionId"]
    deleted = received(cloud, stack, lambda event: event.get("detail-type") == "Object Deleted")["event"]["detail"]
    assert (deleted["object"]["version-id"], deleted["deletion-type"]) == (marker, "Delete Marker Created")

    s3.put_object(Bucket=f"{stack}-plain", Key="a b+ü", Body=b"1")
    plain = received(cloud, stack, lambda event: "Records" in event)["event"]["Records"][0]
    assert plain["s3"]["object"]["key"] == "a+b%2B%C3%BC"

    s3.put_object(Bucket=stack, Key="poison", Body=b"1")
    dead = sqs.receive_message(QueueUrl=cloud.outputs(stack)["Dead"], WaitTimeSeconds=10)["Messages"]
    assert json.loads(dead[0]["Body"])["detail"]["object"]["key"] == "poison"

    for version in s3.list_object_versions(Bucket=stack).get("Versions", []) + s3.list_object_versions(
            Bucket=stack).get("DeleteMarkers", []):
        s3.delete_object(Bucket=stack, Key=version["Key"], VersionId=version["VersionId"])
    s3.delete_object(Bucket=f"{stack}-plain", Key="a b+ü")
    assert cloud.delete(stack) == "DELETE_COMPLETE", cloud.events(stack)
    assert cloud.client("lambda").list_event_source_mappings()["EventSourceMappings"] == []


def test_a_function_without_its_package_is_refused(cloud, stack):
    assert cloud.deploy(stack, template(stack)) == "ROLLBACK_COMPLETE"
    reason = cloud.reason(stack, "Function", "CREATE_FAILED")
    assert f"there is no object f.zip in a bucket {stack}-code" in reason
    with pytest.raises(Exception, match="not found"):
        cloud.client("lambda").get_function(FunctionName=stack)
