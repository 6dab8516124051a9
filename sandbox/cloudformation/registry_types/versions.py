"""Versions of objects, where MiniStack's S3 treats them as less than objects: in events and in reads."""

import contextvars
import json

from .engine import hook, service

_version = contextvars.ContextVar("version", default=None)


def install():
    """Hooks the events of buckets, and reads that name a version."""
    s3 = service("s3")

    # S3 tells EventBridge the version of an object in a versioned bucket.
    @hook("_fire_s3_event", s3)
    def _fire_s3_event(original, *args, **kwargs):
        token = _version.set(kwargs.get("version_id"))
        try:
            return original(*args, **kwargs)
        finally:
            _version.reset(token)

    @hook("_dispatch_event", service("eventbridge"))
    def _dispatch_event(original, event, view=None):
        version = _version.get()
        if version and event.get("Source") == "aws.s3":
            detail = json.loads(event["Detail"])
            detail["object"]["version-id"] = version
            event = {**event, "Detail": json.dumps(detail)}
        return original(event, view)

    # MiniStack answers a read of a version with all of it, whatever the range.
    @hook("_get_object", s3)
    def _get_object(original, bucket_name, key, headers, query_params=None):
        status, answer, body = original(bucket_name, key, headers, query_params)
        asked = headers.get("range")
        if status != 200 or not asked:
            return status, answer, body
        found = s3._parse_range(asked, len(body))
        if found is None:
            return (416, {"Content-Type": "application/xml", "Content-Range": f"bytes */{len(body)}"},
                    s3._xml_body(s3._range_error_xml(bucket_name, key)))
        start, end = found
        # A checksum is that of the whole object.
        answer = {name: value for name, value in answer.items() if not name.lower().startswith("x-amz-checksum-")}
        answer.update({"Content-Length": str(end + 1 - start), "Content-Range": f"bytes {start}-{end}/{len(body)}"})
        return 206, answer, body[start:end + 1]

    # A checksum of parts' checksums says how many parts; MiniStack forgets with a version what that makes it.
    @hook("_object_record_from_version", s3)
    def _object_record_from_version(original, v):
        record = original(v)
        if any("-" in str(value) for value in record["checksums"].values()):
            record["checksum_type"] = "COMPOSITE"
        return record
