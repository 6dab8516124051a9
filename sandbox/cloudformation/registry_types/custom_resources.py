"""Lambda-backed custom resources, which MiniStack invokes and waits for."""

from .engine import hook, module


def install(engine):
    """Keeps the identifier that a failed create answered, so that the rollback deletes what it stands for."""
    custom_resource = module("custom_resource")
    failed = {}

    # MiniStack keeps nothing of a failed answer but its reason.
    @hook("deliver_response", custom_resource)
    def deliver_response(original, token, response):
        if response.get("Status") == "FAILED":
            failed[response.get("StackId"), response.get("LogicalResourceId")] = response.get("PhysicalResourceId")
        return original(token, response)

    @hook("invoke_custom_resource", custom_resource)
    def invoke_custom_resource(original, request_type, logical_id, props, stack_name, stack_id, resource_type, **ids):
        try:
            return original(request_type, logical_id, props, stack_name, stack_id, resource_type, **ids)
        except RuntimeError as failure:
            identifier = failed.pop((stack_id, logical_id), None)
            if request_type == "Create" and identifier:
                scope = engine.scope(stack_name, logical_id)
                engine.creation_started(scope, resource_type, identifier, props)
                engine.creation_failed(scope, identifier, str(failure))
            raise
