"""Every place where this package reaches into MiniStack's CloudFormation, and why.

MiniStack owns templates, change sets, ordering, events, rollback and cleanup. It calls a resource's provisioner by
type; ours call handlers. What it lacks for registered types is hooked in ``install``, one hook per reason.
"""

import asyncio
import contextlib
import importlib
import importlib.metadata
import inspect
import json

from .handlers import HandlerFailure
from .resources import Scope, Tagged

VERSION = "1.5.33"
PACKAGE = "ministack.services.cloudformation"

# What is hooked or called, by module, with the parameters it must have; None for data.
NEEDED = {
    PACKAGE: {"handle_request": "method path headers body query_params", "_stacks": None, "_ACTION_HANDLERS": None},
    f"{PACKAGE}.provisioners": {
        "_RESOURCE_HANDLERS": None, "_REPLACING_PROPERTIES": None, "_CONDITIONALLY_REPLACING_PROPERTIES": None,
        "_STACK_TAG_PROPERTY": None, "_S3_BUCKET_CONFIGURATIONS": None, "_tag_map": "tags",
        "_replacing_change": "resource_type old_props new_props",
        "_with_stack_tags": "resource_type props stack_tags stack_name stack_id logical_id"},
    f"{PACKAGE}.stacks": {
        "_replacing_change": "resource_type old_props new_props",
        "_with_stack_tags": "resource_type props stack_tags stack_name stack_id logical_id",
        "_UNTAGGED_TYPES": None, "_runs_on_worker_thread": "resource_type",
        "_sends_back_failed_update": "resource_type",
        "_roll_back_operation": "stack_name stack_id stack operation reason_override",
        "_delete_stack_async": "stack_name stack_id retain_resources force",
        "_with_dependencies": "logical_ids res_defs remaining",
        "_add_event": "stack_id stack_name logical_id resource_type status reason physical_id detailed_status"},
    f"{PACKAGE}.handlers": {"_roll_back_operation": "stack_name stack_id stack operation reason_override",
                            "_delete_stack_async": "stack_name stack_id retain_resources force"},
    f"{PACKAGE}.custom_resource": {
        "deliver_response": "token response",
        "invoke_custom_resource": "request_type logical_id props stack_name stack_id resource_type physical_id "
                                  "old_props"},
    f"{PACKAGE}.changesets": {"_IMPORT_LOOKUPS": None, "_IMPORT_NOT_FOUND": None,
                              "_import_resources_async": "cs stack new_stack"},
    f"{PACKAGE}.drift": {"DRIFT_DETECTABLE_STATUSES": None, "supports_drift": "resource_type",
                         "detect_resource_drift": "stack logical_id record timestamp"},
    f"{PACKAGE}.engine": {"_resolve_dynamic_references": "value previous reuse_ssm reuse_secrets"},
    f"{PACKAGE}.helpers": {"_xml": "status root_tag inner", "_error": "code message status",
                           "_p": "params key default", "_page": "items params action page_size"},
    "ministack.services.s3": {
        "_buckets": None, "_delete_bucket": "name", "_put_bucket_logging": "name body",
        "_fire_s3_event": "bucket_name key event_name size etag deletion_type restore_event_data version_id sequencer "
                          "object_extra record_extra",
        "_get_object": "bucket_name key headers query_params", "_object_record_from_version": "v",
        "_maybe_replicate": "bucket_name key obj data tags", "_replication_rule_for": "bucket_name key tags",
        "_parse_range": "range_header total", "_range_error_xml": None, "_xml_body": None,
        **{f"_{verb}_bucket_{name}": None
           for name in ("versioning", "encryption", "lifecycle", "tagging", "ownership_controls", "replication")
           for verb in ("put", "delete") if (verb, name) != ("delete", "versioning")}},
    "ministack.services.cloudcontrol": {
        "handle_request": "method path headers body query_params", "_record_request": "event",
        "_apply_json_patch": "doc operations",
        "_progress_event": "operation status type_name identifier request_token resource_model status_message "
                           "error_code"},
    "ministack.services.eventbridge": {"_dispatch_event": "event view"},
    "ministack.services.lambda_svc": {"_fetch_code_from_s3": "bucket key version_id", "execution_credentials": "config",
                                      "invalidate_worker": "func_name qualifier account region"},
    "ministack.services.sts": {"register_session": "access_key session"},
    "ministack.core.lambda_runtime": {"execution_credentials": "config"},
    "ministack.core.concurrency": {"run_reentrant": "fn args thread_name",
                                   "spawn_background": "fn args thread_name kwargs"},
    "ministack.core.responses": {"get_account_id": "", "get_region": "", "now_iso": "",
                                 "json_response": None, "error_response_json": None},
}

# The actions that may read a resource through its handler.
BLOCKING_ACTIONS = ("CreateChangeSet", "DetectStackDrift", "DetectStackResourceDrift")


class EngineChanged(Exception):
    """The installed MiniStack is not the one this package was written for."""


def module(name=""):
    """A module of MiniStack's CloudFormation."""
    return importlib.import_module(f"{PACKAGE}.{name}" if name else PACKAGE)


def service(name):
    """Another module of MiniStack: one of its services, or ``core.…``."""
    return importlib.import_module(f"ministack.{name}" if name.startswith("core.") else f"ministack.services.{name}")


def check():
    """Raises EngineChanged, naming everything that is missing or different."""
    installed = importlib.metadata.version("ministack")
    if installed != VERSION:
        raise EngineChanged(f"MiniStack {VERSION} is needed, {installed} is installed")
    missing = []
    for place, names in NEEDED.items():
        for name, parameters in names.items():
            try:
                member = getattr(importlib.import_module(place), name)
                same = parameters is None or " ".join(inspect.signature(member).parameters) == parameters
            except (ImportError, AttributeError, TypeError):
                same = False
            if not same:
                missing.append(f"{place}.{name}")
    if missing:
        raise EngineChanged(f"MiniStack {installed} lacks or changed the hooks {', '.join(missing)}")


class Engine:
    """What ``Resources`` asks of the engine."""

    def __init__(self):
        self._responses = service("core.responses")
        self._add_event = module("stacks")._add_event

    def account(self):
        """The account of the request that is being served."""
        return self._responses.get_account_id()

    def region(self):
        """The region of the request that is being served."""
        return self._responses.get_region()

    def resolve(self, value):
        """``value`` with its ``{{resolve:…}}`` references replaced. Raises ValueError for one that names nothing."""
        return module("engine")._resolve_dynamic_references(value)[0]

    def stack(self, name):
        """The record of a stack of this account and region, or None."""
        return module()._stacks.get(name)

    def scope(self, stack_name, logical_id):
        """The place of a resource of that stack."""
        return Scope(stack_name, (self.stack(stack_name) or {}).get("StackId"), logical_id)

    def creation_started(self, scope, type_name, identifier, properties):
        """Records a physical id before the create is done: with an event, as AWS does, and in the stack."""
        stack = self.stack(scope.stack_name)
        if not stack:
            return
        stack.setdefault("_resources", {})[scope.logical_id] = {
            "PhysicalResourceId": identifier, "ResourceType": type_name, "ResourceStatus": "CREATE_IN_PROGRESS",
            "LogicalResourceId": scope.logical_id, "Properties": properties, "Attributes": {},
            "Timestamp": self._responses.now_iso(),
        }
        prefix = "UPDATE" if stack.get("StackStatus", "").startswith("UPDATE") else "CREATE"
        self._add_event(scope.stack_id, scope.stack_name, scope.logical_id, type_name, f"{prefix}_IN_PROGRESS",
                        "Resource creation Initiated", identifier)

    def creation_failed(self, scope, identifier, reason):
        """Marks what ``creation_started`` recorded, for the rollback to find."""
        record = ((self.stack(scope.stack_name) or {}).get("_resources") or {}).get(scope.logical_id)
        if identifier and record and record["PhysicalResourceId"] == identifier:
            record["ResourceStatus"], record["ResourceStatusReason"] = "CREATE_FAILED", reason

    @contextlib.contextmanager
    def cleanup_events(self, scope, type_name, identifier):
        """Adds the events of a delete in the cleanup after an update, which MiniStack makes without a trace."""
        stack = self.stack(scope.stack_name) or {}
        shown = stack.get("StackStatus") == "UPDATE_IN_PROGRESS"

        def event(status):
            if shown:
                self._add_event(scope.stack_id, scope.stack_name, scope.logical_id, type_name, status,
                                physical_id=identifier)

        event("DELETE_IN_PROGRESS")
        yield
        event("DELETE_COMPLETE")


class KeepsDependencies(dict):
    """The resources of a stack while it is deleted: those that one whose delete failed depends on are not found."""

    def __init__(self, stack):
        super().__init__(stack.get("_resources", {}))
        self._definitions = (stack.get("_template") or {}).get("Resources", {})
        for record in self.values():
            # What failed before is tried again.
            if record.get("ResourceStatus") == "DELETE_FAILED":
                record["ResourceStatus"] = "DELETE_IN_PROGRESS"

    def get(self, logical_id, default=None):
        failed = [name for name, record in self.items() if record.get("ResourceStatus") == "DELETE_FAILED"]
        kept = module("stacks")._with_dependencies(failed, self._definitions, set(self)) if failed else ()
        return default if logical_id in kept else super().get(logical_id, default)


def install(resources):
    """Registers every type of ``resources`` with MiniStack. Call ``check`` first."""
    types = resources.types
    provisioners, stacks, drift = module("provisioners"), module("stacks"), module("drift")
    for name, kind in types.items():
        provisioners._RESOURCE_HANDLERS[name] = _provisioner(resources, name)
        # For the change set's display; ``_replacing_change`` below decides.
        provisioners._REPLACING_PROPERTIES[name] = tuple(path[0] for path in kind.create_only if len(path) == 1)
        provisioners._CONDITIONALLY_REPLACING_PROPERTIES[name] = tuple(
            path[0] for path in kind.conditional_create_only + kind.create_only
            if len(path) > 1 or (path in kind.conditional_create_only))
        module("changesets")._IMPORT_LOOKUPS[name] = (kind.identifier_names, _import_problem(resources, name))

    # A change of stack tags is no change of a type that has none.
    stacks._UNTAGGED_TYPES += tuple(name for name, kind in types.items() if kind.tag_property is None)

    # Create-only properties may lie inside others, and "5" is 5: compare by pointer, not by top-level name.
    @hook("_replacing_change", provisioners, stacks)
    def _replacing_change(original, resource_type, old_props, new_props):
        if resource_type in types:
            return resources.replaces(resource_type, old_props, new_props)
        return original(resource_type, old_props, new_props)

    # Stack tags travel beside the properties of a registered type, never inside them.
    @hook("_with_stack_tags", provisioners, stacks)
    def _with_stack_tags(original, resource_type, props, stack_tags, stack_name, stack_id, logical_id):
        if resource_type in types:
            return Tagged(props, provisioners._tag_map(stack_tags))
        return original(resource_type, props, stack_tags, stack_name, stack_id, logical_id)

    # Handlers are waited for, and may call this server back.
    @hook("_runs_on_worker_thread", stacks)
    def _runs_on_worker_thread(original, resource_type):
        return resource_type in types or original(resource_type)

    # A handler may have changed its resource before it failed.
    @hook("_sends_back_failed_update", stacks)
    def _sends_back_failed_update(original, resource_type):
        return resource_type in types or original(resource_type)

    # MiniStack rolls back what was created; CloudFormation also what was begun.
    @hook("_roll_back_operation", stacks, module("handlers"))
    def _roll_back_operation(original, stack_name, stack_id, stack, operation, reason_override=""):
        _include_begun(stack_name, stack, operation)
        return original(stack_name, stack_id, stack, operation, reason_override)

    # What a resource that would not go depends on stays, too: a bucket's key, a custom resource's function.
    @hook("_delete_stack_async", stacks, module("handlers"))
    async def _delete_stack_async(original, stack_name, stack_id, retain_resources=(), force=False):
        stack = module()._stacks.get(stack_name)
        if force or not stack:
            return await original(stack_name, stack_id, retain_resources, force)
        held = stack["_resources"] = KeepsDependencies(stack)
        try:
            return await original(stack_name, stack_id, retain_resources, force)
        finally:
            stack["_resources"] = dict(held)

    # An import reads through handlers on the event loop, so all of it moves to a thread; afterwards the resources
    # know their stack.
    @hook("_import_resources_async", module("changesets"))
    async def _import_resources_async(original, cs, stack, new_stack):
        await off_loop(lambda: asyncio.run(original(cs, stack, new_stack)))
        for entry in cs["_resources_to_import"]:
            record = stack.get("_resources", {}).get(entry["LogicalResourceId"])
            if record and entry["ResourceType"] in types:
                scope = Scope(stack["StackName"], stack["StackId"], entry["LogicalResourceId"])
                resources.settle(entry["ResourceType"], record["PhysicalResourceId"], record["Properties"], scope)

    # AWS's guide ends an import with drift detection; MiniStack knows only the statuses that another page lists.
    drift.DRIFT_DETECTABLE_STATUSES |= {"IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"}

    # Drift of a registered type is found by its schema.
    @hook("supports_drift", drift)
    def supports_drift(original, resource_type):
        return resource_type in types or original(resource_type)

    @hook("detect_resource_drift", drift)
    def detect_resource_drift(original, stack, logical_id, record, timestamp):
        if record.get("ResourceType") in types:
            return _stack_resource_drift(resources, stack, logical_id, record, timestamp)
        return original(stack, logical_id, record, timestamp)

    actions = module()._ACTION_HANDLERS
    for action in BLOCKING_ACTIONS:
        actions[action] = _offloaded(actions[action])

    # An action that left the loop is a coroutine, which MiniStack does not expect of one.
    @hook("handle_request", module())
    async def handle_request(original, *request):
        answer = await original(*request)
        return await answer if inspect.isawaitable(answer) else answer


def hook(name, *modules):
    """Replaces a function in every module that imported it; the replacement gets the original first."""

    def install_hook(replacement):
        original = getattr(modules[0], name)

        def hooked(*args, **kwargs):
            return replacement(original, *args, **kwargs)

        for place in modules:
            setattr(place, name, hooked)
        return hooked

    return install_hook


def off_loop(work):
    """Runs ``work`` on a thread of its own, with the request's account and region; awaitable."""
    return service("core.concurrency").run_reentrant(work)


def _offloaded(action):
    return lambda params: off_loop(lambda: action(params))


def _provisioner(resources, name):
    """The entry of a registered type in MiniStack's table of provisioners."""
    return {
        "create": lambda logical_id, props, stack_name: resources.create(name, logical_id, props, stack_name),
        "update": lambda identifier, old, new, stack_name, logical_id: resources.update(
            name, identifier, old, new, stack_name, logical_id),
        "update_with_logical_id": True,
        "delete": lambda identifier, props, logical_id: resources.delete(name, identifier, props, logical_id),
        "delete_with_logical_id": True,
        "import": lambda values: resources.adopt(name, values),
    }


def _import_problem(resources, name):
    """Why an identifier cannot be imported, or None: what a change set of the type IMPORT fails with."""

    def problem(*values):
        identifier = "|".join(values)
        try:
            resources.read(name, identifier)
        except HandlerFailure as failure:
            if failure.code == "NotFound":
                return module("changesets")._IMPORT_NOT_FOUND.format(type=name, value=identifier)
            return str(failure)
        return None

    return problem


def _include_begun(stack_name, stack, operation):
    """Adds to what an operation created the resource, or nested stack, whose create had begun when it failed."""
    created, held = operation.setdefault("created", []), stack.setdefault("_resources", {})
    failed = operation.get("failed_logical_id")
    definition = (operation.get("template") or {}).get("Resources", {}).get(failed, {})
    if definition.get("Type") == "AWS::CloudFormation::Stack" and failed not in held:
        for child in list(module()._stacks.values()):
            if (child.get("_parent_stack_name") == stack_name and child["StackStatus"] == "CREATE_FAILED"
                    and child["StackName"].startswith(f"{stack_name}-{failed}-")):
                held[failed] = {"PhysicalResourceId": child["StackId"], "ResourceType": definition["Type"],
                                "ResourceStatus": "CREATE_FAILED", "LogicalResourceId": failed, "Properties": {},
                                "Attributes": {}}
    created.extend(logical_id for logical_id, record in held.items()
                   if record.get("ResourceStatus") == "CREATE_FAILED" and logical_id not in created)


def _stack_resource_drift(resources, stack, logical_id, record, timestamp):
    """The StackResourceDrift of one resource, in MiniStack's form."""
    drift = {"StackId": stack["StackId"], "LogicalResourceId": logical_id,
             "PhysicalResourceId": record["PhysicalResourceId"], "ResourceType": record["ResourceType"],
             "Timestamp": timestamp}
    try:
        found = resources.drift(record["ResourceType"], record["PhysicalResourceId"], record.get("Properties") or {},
                                stack.get("Tags") or [])
    except Exception as error:  # whatever kept it from being read, the resource's drift is unknown
        return {**drift, "StackResourceDriftStatus": "UNKNOWN", "DriftStatusReason": str(error)}
    if found is None:
        return {**drift, "StackResourceDriftStatus": "DELETED"}
    expected, actual, differences = found
    drift["ExpectedProperties"] = json.dumps(expected, sort_keys=True)
    drift["ActualProperties"] = json.dumps(actual, sort_keys=True)
    drift["StackResourceDriftStatus"] = "MODIFIED" if differences else "IN_SYNC"
    if differences:
        drift["PropertyDifferences"] = differences
    return drift
