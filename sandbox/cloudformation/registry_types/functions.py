"""Functions and what invokes them: what MiniStack's Lambda leaves out.

MiniStack carries a bucket's events to EventBridge, rules send them to queues, event source mappings poll the queues,
and a function of a runtime ``provided.*`` runs as a process behind the Runtime API. The gaps that are closed here are
those that a template or a function would notice.
"""

import hashlib

from .engine import hook, module, service


class CodeMissing(Exception):
    """A function's package is not where its template says."""


def install():
    """Hooks functions and event source mappings."""
    _roles_of_functions()
    entries = module("provisioners")._RESOURCE_HANDLERS
    function, mapping = entries["AWS::Lambda::Function"], entries["AWS::Lambda::EventSourceMapping"]
    create_function, delete_function = function["create"], function["delete"]
    create_mapping, update_mapping = mapping["create"], mapping["update"]

    # Without a package MiniStack would answer every event with a success of its own, and the queue would drop them.
    def create(logical_id, props, stack_name):
        _require_package(props.get("Code") or {})
        return create_function(logical_id, props, stack_name)

    # MiniStack lets the processes of a deleted function wait for events that cannot come.
    def delete(physical_id, props):
        delete_function(physical_id, props)
        responses = service("core.responses")
        service("lambda_svc").invalidate_worker(physical_id, account=responses.get_account_id(),
                                                region=responses.get_region())

    function.update(create=create, delete=delete)
    # The poller compares these numbers; from a parameter they come as strings.
    mapping.update(
        create=lambda logical_id, props, stack_name: create_mapping(logical_id, _numbers(props), stack_name),
        update=lambda physical_id, old, new, stack_name: update_mapping(physical_id, old, _numbers(new), stack_name))


def _require_package(code):
    bucket, key, version = code.get("S3Bucket"), code.get("S3Key"), code.get("S3ObjectVersion")
    if bucket and service("lambda_svc")._fetch_code_from_s3(bucket, key, version_id=version) is None:
        raise CodeMissing(f"Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: there is no "
                          f"object {key} in a bucket {bucket} (Service: Lambda, Status Code: 400)")


def _numbers(props):
    """The properties of an event source mapping, its numbers as numbers and its booleans as booleans."""
    numbers = {name: int(props[name]) for name in ("BatchSize", "MaximumBatchingWindowInSeconds") if name in props}
    scaling = props.get("ScalingConfig") or {}
    if "MaximumConcurrency" in scaling:
        numbers["ScalingConfig"] = {"MaximumConcurrency": int(scaling["MaximumConcurrency"])}
    if "Enabled" in props:
        numbers["Enabled"] = str(props["Enabled"]).lower() == "true"
    return {**props, **numbers}


def _roles_of_functions():
    """A function is its role, not the account: what it asks STS is answered for the role."""

    @hook("execution_credentials", service("core.lambda_runtime"), service("lambda_svc"))
    def execution_credentials(original, config):
        role, name = config.get("Role", ""), config.get("FunctionName", "")
        account, role_name = role.split(":")[4], role.rpartition("/")[2]
        digest = hashlib.sha256(f"{config.get('FunctionArn')} {role}".encode()).hexdigest()
        key = f"ASIA{digest[:16].upper()}"
        session = {"Arn": f"arn:aws:sts::{account}:assumed-role/{role_name}/{name}", "UserId": f"{role_name}:{name}",
                   "SecretAccessKey": digest, "SessionToken": digest}
        service("sts").register_session(key, session)
        return {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": digest, "AWS_SESSION_TOKEN": digest}
