"""Lambda-backed custom resources: the function's answers, and what becomes of the stack."""

import io
import json
import sys
import zipfile

import pytest

# Keeps things in S3, one object each. A thing that is to fail is made before the failure is answered.
BOOTSTRAP = f"""#!{sys.executable}
import json, os, urllib.request
import boto3
api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
s3 = boto3.client("s3")
while True:
    answer = urllib.request.urlopen(api + "next")
    event = json.load(answer)
    asked = event["ResourceProperties"]
    bucket, name = asked["Store"], asked["Name"]
    reply = {{key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")}}
    reply["Status"], reply["PhysicalResourceId"] = "SUCCESS", name
    reply["Data"] = {{"Parts.Size": len(name), "Asked": json.dumps(asked, sort_keys=True)}}
    if event["RequestType"] == "Delete":
        if s3.get_object(Bucket=bucket, Key=event["PhysicalResourceId"])["Body"].read() == b"stuck":
            reply.update(Status="FAILED", Reason="it is stuck")
        else:
            s3.delete_object(Bucket=bucket, Key=event["PhysicalResourceId"])
    else:
        s3.put_object(Bucket=bucket, Key=name, Body=event["RequestType"].encode())
        if asked["Fails"] == "true":
            reply.update(Status="FAILED", Reason="as it was told")
    body = json.dumps(reply).encode()
    urllib.request.urlopen(urllib.request.Request(event["ResponseURL"], body, {{"Content-Type": ""}}, method="PUT"))
    id = answer.headers["Lambda-Runtime-Aws-Request-Id"]
    urllib.request.urlopen(urllib.request.Request(api + id + "/response", b"null"))
"""


def template(store, name="one", fails=False):
    """A custom resource and its function."""
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    return {
        "Resources": {
            "Role": {"Type": "AWS::IAM::Role", "Properties": {
                "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]}}},
            "Function": {"Type": "AWS::Lambda::Function", "Properties": {
                "Runtime": "provided.al2023", "Handler": "bootstrap", "Timeout": 10,
                "Role": {"Fn::GetAtt": ["Role", "Arn"]}, "Code": {"S3Bucket": store, "S3Key": "f.zip"}}},
            "Thing": {"Type": "Custom::Toy-Thing", "Properties": {
                "ServiceToken": {"Fn::GetAtt": ["Function", "Arn"]}, "Store": store, "Name": name, "Fails": fails,
                "Number": 5}},
        },
        "Outputs": {"Size": {"Value": {"Fn::GetAtt": ["Thing", "Parts.Size"]}},
                    "Asked": {"Value": {"Fn::GetAtt": ["Thing", "Asked"]}}},
    }


@pytest.fixture
def store(cloud, stack):
    """A bucket with the function's package. Gives its name."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        archive.writestr(entry, BOOTSTRAP)
    cloud.client("s3").create_bucket(Bucket=stack)
    cloud.client("s3").put_object(Bucket=stack, Key="f.zip", Body=package.getvalue())
    return stack


def things(cloud, store):
    found = cloud.client("s3").list_objects_v2(Bucket=store).get("Contents", [])
    return [one["Key"] for one in found if one["Key"] != "f.zip"]


def test_a_custom_resource_is_made_replaced_and_deleted(cloud, stack, store):
    assert cloud.deploy(stack, template(store)) == "CREATE_COMPLETE", cloud.events(stack)
    outputs = cloud.outputs(stack)
    asked = json.loads(outputs["Asked"])
    assert (outputs["Size"], asked["Number"], asked["Fails"]) == ("3", "5", "false"), "properties come as strings"
    assert cloud.deploy(stack, template(store, "another")) == "UPDATE_COMPLETE", cloud.events(stack)
    assert (cloud.resources(stack)["Thing"], things(cloud, store)) == ("another", ["another"])
    assert cloud.delete(stack) == "DELETE_COMPLETE", cloud.events(stack)
    assert things(cloud, store) == []


def test_what_a_failed_create_answered_is_deleted(cloud, stack, store):
    assert cloud.deploy(stack, template(store, fails=True)) == "ROLLBACK_COMPLETE"
    assert cloud.reason(stack, "Thing", "CREATE_FAILED") == "as it was told"
    assert things(cloud, store) == []


def test_a_failed_update_goes_back(cloud, stack, store):
    cloud.deploy(stack, template(store))
    assert cloud.deploy(stack, template(store, fails=True)) == "UPDATE_ROLLBACK_COMPLETE"
    assert cloud.resources(stack)["Thing"] == "one"
    assert cloud.delete(stack) == "DELETE_COMPLETE"


def test_what_cannot_be_deleted_keeps_what_it_depends_on(cloud, stack, store):
    s3 = cloud.client("s3")
    cloud.deploy(stack, template(store))
    s3.put_object(Bucket=store, Key="one", Body=b"stuck")
    assert cloud.delete(stack) == "DELETE_FAILED"
    assert cloud.reason(stack, "Thing", "DELETE_FAILED") == "it is stuck"
    assert set(cloud.resources(stack)) == {"Thing", "Function", "Role"}

    s3.put_object(Bucket=store, Key="one", Body=b"free")
    assert cloud.delete(stack) == "DELETE_COMPLETE", cloud.events(stack)
