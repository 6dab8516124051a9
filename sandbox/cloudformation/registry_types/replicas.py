"""Replicas of encrypted objects: MiniStack copies an object with its encryption, whatever the rule says."""

from .engine import hook, service

ALGORITHM = "x-amz-server-side-encryption"
KEY = "x-amz-server-side-encryption-aws-kms-key-id"


def install():
    """Replicates what SSE-KMS encrypted only where the rule asks for it, and under the rule's key."""
    s3 = service("s3")

    @hook("_maybe_replicate", s3)
    def _maybe_replicate(original, bucket_name, key, obj, data, tags=None):
        rule, _ = s3._replication_rule_for(bucket_name, key, tags)
        headers = obj["preserved_headers"]
        if rule is None or not headers.get(ALGORITHM, "").startswith("aws:kms"):
            return original(bucket_name, key, obj, data, tags)
        criteria = rule.get("SourceSelectionCriteria", {}).get("SseKmsEncryptedObjects", {})
        if criteria.get("Status") != "Enabled":
            return None
        # The replica is a copy of the object as it is now.
        replica_key = rule["Destination"]["EncryptionConfiguration"]["ReplicaKmsKeyID"]
        obj["preserved_headers"] = {**headers, KEY: replica_key}
        try:
            return original(bucket_name, key, obj, data, tags)
        finally:
            obj["preserved_headers"] = headers
