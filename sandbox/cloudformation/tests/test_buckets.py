"""AWS::S3::Bucket: what a template says is what the S3 API answers."""

import json

import pytest
from botocore.exceptions import ClientError

FULL = {
    "VersioningConfiguration": {"Status": "Enabled"},
    "BucketEncryption": {"ServerSideEncryptionConfiguration": [
        {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}, "BucketKeyEnabled": True}]},
    "LifecycleConfiguration": {"Rules": [
        {"Id": "old", "Status": "Enabled", "ExpirationInDays": 30, "Prefix": "logs/",
         "Transitions": [{"TransitionInDays": 10, "StorageClass": "GLACIER"}],
         "NoncurrentVersionExpiration": {"NoncurrentDays": 7},
         "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2}},
        {"Id": "tagged", "Status": "Disabled", "ExpirationInDays": 1, "TagFilters": [{"Key": "a", "Value": "b"}]}]},
    "PublicAccessBlockConfiguration": {"BlockPublicAcls": True, "BlockPublicPolicy": True, "IgnorePublicAcls": True,
                                       "RestrictPublicBuckets": True},
    "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]},
    "LoggingConfiguration": {"DestinationBucketName": "logs", "LogFilePrefix": "a/"},
    "NotificationConfiguration": {"EventBridgeConfiguration": {"EventBridgeEnabled": True}},
    "Tags": [{"Key": "own", "Value": "1"}],
}


def bucket(name, **properties):
    return {"Resources": {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name, **properties}}}}


def test_properties_reach_the_bucket_and_leave_it(cloud, stack):
    s3 = cloud.client("s3")
    cloud.deploy(stack, bucket(stack, **FULL), Tags=[{"Key": "team", "Value": "red"}])
    assert s3.get_bucket_versioning(Bucket=stack)["Status"] == "Enabled"
    rule = s3.get_bucket_encryption(Bucket=stack)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule == {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms",
                                                           "KMSMasterKeyID": "alias/aws/s3"}, "BucketKeyEnabled": True}
    old, tagged = s3.get_bucket_lifecycle_configuration(Bucket=stack)["Rules"]
    assert (old["Expiration"], old["Filter"]) == ({"Days": 30}, {"Prefix": "logs/"})
    assert old["Transitions"] == [{"Days": 10, "StorageClass": "GLACIER"}]
    assert old["NoncurrentVersionExpiration"]["NoncurrentDays"] == 7
    assert old["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 2}
    assert tagged["Filter"] == {"Tag": {"Key": "a", "Value": "b"}}
    assert all(s3.get_public_access_block(Bucket=stack)["PublicAccessBlockConfiguration"].values())
    assert s3.get_bucket_ownership_controls(Bucket=stack)["OwnershipControls"]["Rules"] == [
        {"ObjectOwnership": "BucketOwnerPreferred"}]
    assert s3.get_bucket_logging(Bucket=stack)["LoggingEnabled"] == {"TargetBucket": "logs", "TargetPrefix": "a/"}
    assert "EventBridgeConfiguration" in s3.get_bucket_notification_configuration(Bucket=stack)
    tags = {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket=stack)["TagSet"]}
    assert (tags["own"], tags["team"], tags["aws:cloudformation:logical-id"]) == ("1", "red", "Bucket")
    answer = s3.put_object(Bucket=stack, Key="a", Body=b"b")
    assert (answer["ServerSideEncryption"], answer["SSEKMSKeyId"]) == ("aws:kms", "alias/aws/s3")

    assert cloud.deploy(stack, bucket(stack)) == "UPDATE_COMPLETE"
    assert s3.get_bucket_versioning(Bucket=stack)["Status"] == "Suspended"
    rule = s3.get_bucket_encryption(Bucket=stack)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=stack)
    with pytest.raises(ClientError, match="NoSuchLifecycleConfiguration"):
        s3.get_bucket_lifecycle_configuration(Bucket=stack)


def test_replication_copies_objects(cloud, stack):
    s3 = cloud.client("s3")
    on = {"Status": "Enabled"}
    template = bucket(f"{stack}-a", VersioningConfiguration=on, ReplicationConfiguration={
        "Role": "arn:aws:iam::000000000000:role/copy",
        "Rules": [{"Id": "all", "Status": "Enabled", "Priority": 1, "Filter": {"Prefix": "keep/"},
                   "DeleteMarkerReplication": {"Status": "Disabled"},
                   "Destination": {"Bucket": {"Fn::GetAtt": ["Copy", "Arn"]}}}]})
    template["Resources"]["Copy"] = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": f"{stack}-b",
                                                                               "VersioningConfiguration": on}}
    assert cloud.deploy(stack, template) == "CREATE_COMPLETE"
    (rule,) = s3.get_bucket_replication(Bucket=f"{stack}-a")["ReplicationConfiguration"]["Rules"]
    assert (rule["ID"], rule["Filter"]) == ("all", {"Prefix": "keep/"})
    s3.put_object(Bucket=f"{stack}-a", Key="keep/a", Body=b"b")
    assert s3.get_object(Bucket=f"{stack}-b", Key="keep/a")["Body"].read() == b"b"


def test_replicas_are_under_the_key_of_their_rule(cloud, stack):
    s3, kms = cloud.client("s3"), cloud.client("kms")
    here, there = (kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
    on = {"Status": "Enabled"}

    def template(**rule):
        under = {"ServerSideEncryptionConfiguration": [
            {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": here}}]}
        rule.setdefault("Destination", {})["Bucket"] = {"Fn::GetAtt": ["Copy", "Arn"]}
        whole = bucket(f"{stack}-a", VersioningConfiguration=on, BucketEncryption=under, ReplicationConfiguration={
            "Role": "arn:aws:iam::000000000000:role/copy",
            "Rules": [{"Status": "Enabled", "Priority": 1, "Filter": {"Prefix": ""},
                       "DeleteMarkerReplication": {"Status": "Disabled"}, **rule}]})
        whole["Resources"]["Copy"] = {"Type": "AWS::S3::Bucket", "Properties": {
            "BucketName": f"{stack}-b", "VersioningConfiguration": on}}
        return whole

    assert cloud.deploy(stack, template()) == "CREATE_COMPLETE", cloud.events(stack)
    s3.put_object(Bucket=f"{stack}-a", Key="left", Body=b"b")
    with pytest.raises(ClientError, match="404"):
        s3.head_object(Bucket=f"{stack}-b", Key="left")

    encrypted = template(SourceSelectionCriteria={"SseKmsEncryptedObjects": on},
                         Destination={"EncryptionConfiguration": {"ReplicaKmsKeyID": there}})
    assert cloud.deploy(stack, encrypted) == "UPDATE_COMPLETE", cloud.events(stack)
    s3.put_object(Bucket=f"{stack}-a", Key="taken", Body=b"b")
    keys = [s3.head_object(Bucket=f"{stack}-{one}", Key="taken")["SSEKMSKeyId"] for one in "ab"]
    assert keys == [here, there]
    s3.put_object(Bucket=f"{stack}-a", Key="plain", Body=b"b", ServerSideEncryption="AES256")
    assert s3.head_object(Bucket=f"{stack}-b", Key="plain")["ServerSideEncryption"] == "AES256"


def test_refused_property_leaves_no_bucket(cloud, stack):
    template = bucket(stack, BucketEncryption={"ServerSideEncryptionConfiguration": [
        {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "ROT13"}}]})
    assert cloud.deploy(stack, template) == "ROLLBACK_COMPLETE"
    assert f"setting BucketEncryption of bucket {stack}: " in cloud.reason(stack, "Bucket", "CREATE_FAILED")
    assert stack not in [one["Name"] for one in cloud.client("s3").list_buckets()["Buckets"]]


def test_bucket_with_objects_is_not_deleted(cloud, stack):
    s3 = cloud.client("s3")
    cloud.deploy(stack, bucket(stack))
    s3.put_object(Bucket=stack, Key="a", Body=b"b")
    assert cloud.delete(stack) == "DELETE_FAILED"
    assert "not empty" in cloud.reason(stack, "Bucket", "DELETE_FAILED")
    s3.delete_object(Bucket=stack, Key="a")
    assert cloud.delete(stack) == "DELETE_COMPLETE"


def test_bucket_policy(cloud, stack):
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:*",
                                                      "Resource": {"Fn::Sub": "${Bucket.Arn}/*"}}]}
    template = bucket(stack)
    template["Resources"]["Policy"] = {"Type": "AWS::S3::BucketPolicy",
                                       "Properties": {"Bucket": {"Ref": "Bucket"}, "PolicyDocument": policy}}
    cloud.deploy(stack, template)
    stored = json.loads(cloud.client("s3").get_bucket_policy(Bucket=stack)["Policy"])
    assert stored["Statement"][0]["Resource"] == f"arn:aws:s3:::{stack}/*"


def test_a_version_is_read_in_ranges(cloud, stack):
    s3 = cloud.client("s3")
    cloud.deploy(stack, bucket(stack, VersioningConfiguration={"Status": "Enabled"}))
    version = s3.put_object(Bucket=stack, Key="a", Body=b"0123456789", ChecksumAlgorithm="CRC32")["VersionId"]
    s3.put_object(Bucket=stack, Key="a", Body=b"newer")

    def read(wanted):
        return s3.get_object(Bucket=stack, Key="a", VersionId=version, Range=wanted)

    for wanted, found in (("bytes=2-4", b"234"), ("bytes=8-20", b"89"), ("bytes=-3", b"789")):
        answer = read(wanted)
        assert (answer["Body"].read(), answer["ResponseMetadata"]["HTTPStatusCode"]) == (found, 206)
    assert read("bytes=2-4")["ContentRange"] == "bytes 2-4/10"
    with pytest.raises(ClientError, match="InvalidRange"):
        read("bytes=10-")
    assert s3.get_object(Bucket=stack, Key="a", VersionId=version)["Body"].read() == b"0123456789"


def test_a_checksum_of_parts_stays_one(cloud, stack):
    s3 = cloud.client("s3")
    cloud.deploy(stack, bucket(stack, VersioningConfiguration={"Status": "Enabled"}))
    upload = s3.create_multipart_upload(Bucket=stack, Key="a", ChecksumAlgorithm="CRC32")["UploadId"]
    parts = []
    for number, body in ((1, b"a" * (5 << 20)), (2, b"b")):
        part = s3.upload_part(Bucket=stack, Key="a", UploadId=upload, PartNumber=number, Body=body,
                              ChecksumAlgorithm="CRC32")
        parts.append({"PartNumber": number, "ETag": part["ETag"], "ChecksumCRC32": part["ChecksumCRC32"]})
    made = s3.complete_multipart_upload(Bucket=stack, Key="a", UploadId=upload, MultipartUpload={"Parts": parts})
    for version in ({}, {"VersionId": made["VersionId"]}):
        assert s3.head_object(Bucket=stack, Key="a", ChecksumMode="ENABLED", **version)["ChecksumType"] == "COMPOSITE"
