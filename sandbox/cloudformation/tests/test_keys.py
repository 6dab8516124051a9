"""AWS::KMS::Key: what comes from a parameter is a string."""

from datetime import datetime, timedelta, timezone


def test_a_key_takes_its_numbers_and_booleans_from_parameters(cloud, stack):
    kms = cloud.client("kms")
    template = {
        "Parameters": {"Days": {"Type": "Number", "Default": 9}, "Rotate": {"Type": "String", "Default": "true"},
                       "Enabled": {"Type": "String", "Default": "true"}},
        "Resources": {"Key": {"Type": "AWS::KMS::Key", "Properties": {
            "PendingWindowInDays": {"Ref": "Days"}, "EnableKeyRotation": {"Ref": "Rotate"},
            "Enabled": {"Ref": "Enabled"}}}},
    }
    assert cloud.deploy(stack, template) == "CREATE_COMPLETE"
    key = cloud.resources(stack)["Key"]
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]

    off = [{"ParameterKey": name, "ParameterValue": "false"} for name in ("Rotate", "Enabled")]
    assert cloud.deploy(stack, template, Parameters=off) == "UPDATE_COMPLETE"
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"
    assert not kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]

    assert cloud.delete(stack) == "DELETE_COMPLETE", cloud.events(stack)
    gone = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert gone["KeyState"] == "PendingDeletion"
    assert abs(gone["DeletionDate"] - datetime.now(timezone.utc) - timedelta(days=9)) < timedelta(minutes=5)
