"""The properties of AWS::S3::Bucket that MiniStack's S3 knows and its CloudFormation leaves out.

Each goes through the S3 call that would set it, with the body written by botocore's own serializer, so that a template
and ``aws s3api`` cannot disagree.
"""

import botocore.serialize
import botocore.session

from .engine import module


class BucketRefused(Exception):
    """S3 refused a bucket property, or a bucket's delete."""


def install():
    """Adds the properties to MiniStack's table, and makes a bucket's create and delete as strict as S3's own."""
    provisioners = module("provisioners")
    s3 = provisioners._s3
    model = botocore.session.Session().get_service_model("s3")
    serializer = botocore.serialize.create_serializer("rest-xml", include_validation=False)

    def body(operation, member, value):
        request = serializer.serialize_to_request({"Bucket": "b", member: value}, model.operation_model(operation))
        return request["body"]

    def row(name, operation, member, convert, put, delete):
        def apply(bucket, xml):
            status, _, answer = put(bucket, xml)[:3]
            if status >= 400:
                raise BucketRefused(f"setting {name} of bucket {bucket}: {_text(answer)}")

        return name, lambda value: body(operation, member, convert(value)), apply, delete

    def suspend(bucket):
        s3._put_bucket_versioning(bucket, body("PutBucketVersioning", "VersioningConfiguration",
                                               {"Status": "Suspended"}))

    # MiniStack applies every row of this table on create and on update, and deletes what an update dropped.
    provisioners._S3_BUCKET_CONFIGURATIONS += (
        row("VersioningConfiguration", "PutBucketVersioning", "VersioningConfiguration", lambda value: value,
            s3._put_bucket_versioning, suspend),
        row("OwnershipControls", "PutBucketOwnershipControls", "OwnershipControls", lambda value: value,
            s3._put_bucket_ownership_controls, s3._delete_bucket_ownership_controls),
        row("BucketEncryption", "PutBucketEncryption", "ServerSideEncryptionConfiguration", encryption,
            s3._put_bucket_encryption, s3._delete_bucket_encryption),
        row("LifecycleConfiguration", "PutBucketLifecycleConfiguration", "LifecycleConfiguration", lifecycle,
            s3._put_bucket_lifecycle, s3._delete_bucket_lifecycle),
        # After versioning, which replication demands of both buckets.
        row("ReplicationConfiguration", "PutBucketReplication", "ReplicationConfiguration", replication,
            s3._put_bucket_replication, s3._delete_bucket_replication),
        row("LoggingConfiguration", "PutBucketLogging", "BucketLoggingStatus", logging, s3._put_bucket_logging,
            lambda bucket: s3._put_bucket_logging(bucket, body("PutBucketLogging", "BucketLoggingStatus", {}))),
        row("Tags", "PutBucketTagging", "Tagging", lambda value: {"TagSet": value},
            s3._put_bucket_tagging, s3._delete_bucket_tagging),
    )
    # Stack tags reach a bucket's tags only when its type is in this table.
    provisioners._STACK_TAG_PROPERTY.setdefault("AWS::S3::Bucket", ("Tags", "list"))

    entry = provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]
    create = entry["create"]

    def create_whole(logical_id, props, stack_name):
        """A bucket whose properties are refused is not left behind: no stack would know it."""
        before = set(s3._buckets)
        try:
            return create(logical_id, props, stack_name)
        except Exception:
            for name in set(s3._buckets) - before:
                s3._delete_bucket(name)
            raise

    def delete_empty(physical_id, props):
        """S3 refuses to delete a bucket that holds objects; MiniStack's CloudFormation would drop them."""
        status, _, answer = s3._delete_bucket(physical_id)[:3]
        if status >= 400 and status != 404:
            raise BucketRefused(f"deleting bucket {physical_id}: {_text(answer)} (Service: S3, Status Code: {status})")

    entry["create"], entry["delete"] = create_whole, delete_empty


def encryption(value):
    """A BucketEncryption as the S3 API has it. Without a key id SSE-KMS takes the account's ``aws/s3`` key."""
    rules = []
    for rule in value.get("ServerSideEncryptionConfiguration") or []:
        default = dict(rule.get("ServerSideEncryptionByDefault") or {})
        if default.get("SSEAlgorithm", "").startswith("aws:kms"):
            default.setdefault("KMSMasterKeyID", "alias/aws/s3")
        rules.append({"ApplyServerSideEncryptionByDefault": default,
                      "BucketKeyEnabled": _boolean(rule.get("BucketKeyEnabled"))})
    return {"Rules": rules}


def lifecycle(value):
    """A LifecycleConfiguration as the S3 API has it, with CloudFormation's shorthands spelled out."""
    return {"Rules": [_rule(rule) for rule in value.get("Rules") or []]}


def _rule(rule):
    written = {"ID": rule.get("Id"), "Status": rule.get("Status", "Enabled"), "Filter": _filter(rule)}
    expiration = {"Days": _integer(rule.get("ExpirationInDays")), "Date": rule.get("ExpirationDate"),
                  "ExpiredObjectDeleteMarker": _boolean(rule.get("ExpiredObjectDeleteMarker"))}
    if any(value is not None for value in expiration.values()):
        written["Expiration"] = _given(expiration)
    transitions = rule.get("Transitions") or ([rule["Transition"]] if "Transition" in rule else [])
    written["Transitions"] = [_given({"Days": _integer(one.get("TransitionInDays")), "Date": one.get("TransitionDate"),
                                      "StorageClass": one.get("StorageClass")}) for one in transitions] or None
    noncurrent = rule.get("NoncurrentVersionTransitions") or (
        [rule["NoncurrentVersionTransition"]] if "NoncurrentVersionTransition" in rule else [])
    written["NoncurrentVersionTransitions"] = [
        _given({"NoncurrentDays": _integer(one.get("TransitionInDays")), "StorageClass": one.get("StorageClass"),
                "NewerNoncurrentVersions": _integer(one.get("NewerNoncurrentVersions"))})
        for one in noncurrent] or None
    old = rule.get("NoncurrentVersionExpiration") or {}
    days = _integer(old.get("NoncurrentDays", rule.get("NoncurrentVersionExpirationInDays")))
    if days is not None:
        written["NoncurrentVersionExpiration"] = _given({
            "NoncurrentDays": days, "NewerNoncurrentVersions": _integer(old.get("NewerNoncurrentVersions"))})
    if "AbortIncompleteMultipartUpload" in rule:
        written["AbortIncompleteMultipartUpload"] = {
            "DaysAfterInitiation": _integer(rule["AbortIncompleteMultipartUpload"].get("DaysAfterInitiation"))}
    return _given(written)


def _filter(rule):
    tests = _given({"Prefix": rule.get("Prefix"), "ObjectSizeGreaterThan": _integer(rule.get("ObjectSizeGreaterThan")),
                    "ObjectSizeLessThan": _integer(rule.get("ObjectSizeLessThan"))})
    tags = rule.get("TagFilters") or []
    if len(tests) + len(tags) > 1:
        return {"And": {**tests, "Tags": tags} if tags else tests}
    return {**tests, **({"Tag": tags[0]} if tags else {})} or {"Prefix": ""}


def replication(value):
    """A ReplicationConfiguration as the S3 API has it: the same members, three of them under other names."""
    names = {"Id": "ID", "TagFilter": "Tag", "TagFilters": "Tags"}

    def renamed(node):
        if isinstance(node, dict):
            return {names.get(key, key): renamed(sub) for key, sub in node.items()}
        return [renamed(sub) for sub in node] if isinstance(node, list) else node

    return renamed(value)


def logging(value):
    """A LoggingConfiguration as the S3 API has it."""
    return {"LoggingEnabled": _given({"TargetBucket": value.get("DestinationBucketName"),
                                      "TargetPrefix": value.get("LogFilePrefix", ""),
                                      "TargetObjectKeyFormat": value.get("TargetObjectKeyFormat")})}


def _given(values):
    return {key: value for key, value in values.items() if value is not None}


def _integer(value):
    return None if value is None else int(value)


def _boolean(value):
    return None if value is None else str(value).lower() == "true"


def _text(answer):
    """The message of an S3 error body."""
    text = answer.decode() if isinstance(answer, bytes) else str(answer)
    return text.split("<Message>")[-1].split("</Message>")[0]
