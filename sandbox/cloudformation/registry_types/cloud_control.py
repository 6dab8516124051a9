"""The Cloud Control API for registered types. MiniStack's own keeps models and never provisions anything."""

import json

from .engine import hook, off_loop, service
from .handlers import HandlerFailure
from .resources import PropertiesInvalid


class CloudControl:
    """The actions that name a registered type; all others stay with MiniStack, the requests' status among them."""

    def __init__(self, resources):
        self.resources = resources
        self._engine = service("cloudcontrol")
        self._actions = {"CreateResource": self.create, "GetResource": self.get, "UpdateResource": self.update,
                         "DeleteResource": self.delete, "ListResources": self.list}

    def install(self):
        """Takes the requests for registered types over."""

        @hook("handle_request", self._engine)
        async def handle_request(original, method, path, headers, body, query_params):
            action = self._actions.get(headers.get("x-amz-target", "").rpartition(".")[2])
            try:
                data = json.loads(body or b"{}")
            except ValueError:
                data = {}
            if action and data.get("TypeName") in self.resources.types:
                return await off_loop(lambda: self._answered(action, data))
            return await original(method, path, headers, body, query_params)

    def create(self, data):
        """CreateResource: a request whose status tells how the handler fares."""
        name, given = data["TypeName"], json.loads(data["DesiredState"])

        def run():
            identifier, _ = self.resources.create(name, None, given, None)
            return identifier, self.resources.read(name, identifier)

        return self._request("CREATE", name, None, run)

    def get(self, data):
        """GetResource: what READ finds."""
        name, identifier = data["TypeName"], data["Identifier"]
        model = self.resources.read(name, identifier)
        return {"TypeName": name, "ResourceDescription": _description(identifier, model)}

    def list(self, data):
        """ListResources: what LIST finds, all pages in one."""
        name = data["TypeName"]
        models = self.resources.list(name, json.loads(data.get("ResourceModel") or "{}"))
        return {"TypeName": name, "ResourceDescriptions": [
            _description(self.resources.types[name].identifier(model), model) for model in models]}

    def update(self, data):
        """UpdateResource: a JSON patch on what READ finds."""
        name, identifier, patch = data["TypeName"], data["Identifier"], json.loads(data["PatchDocument"])

        def run():
            return identifier, self.resources.patch(
                name, identifier, lambda model: self._engine._apply_json_patch(model, patch))

        return self._request("UPDATE", name, identifier, run)

    def delete(self, data):
        """DeleteResource. One that does not exist is NotFound here, unlike in a stack."""
        name, identifier = data["TypeName"], data["Identifier"]

        def run():
            self.resources.read(name, identifier)
            self.resources.delete(name, identifier, {})
            return identifier, None

        return self._request("DELETE", name, identifier, run)

    def _request(self, operation, name, identifier, run):
        """Starts ``run`` on a thread and returns the request's first progress event."""
        event = self._engine._progress_event(operation, "IN_PROGRESS", type_name=name, identifier=identifier)
        self._engine._record_request(event)

        def work():
            try:
                event["Identifier"], model = run()
                if model is not None:
                    event["ResourceModel"] = json.dumps(model)
                event["OperationStatus"] = "SUCCESS"
            except Exception as error:  # every failure is the request's outcome
                code, event["StatusMessage"] = _explained(error)
                event["ErrorCode"], event["OperationStatus"] = code, "FAILED"

        first = dict(event)
        service("core.concurrency").spawn_background(work)
        return {"ProgressEvent": first}

    def _answered(self, action, data):
        """The response of an action, failures included."""
        responses = service("core.responses")
        try:
            return responses.json_response(action(data))
        except KeyError as error:
            return responses.error_response_json("ValidationException", f"{error.args[0]} is required", 400)
        except ValueError as error:
            return responses.error_response_json("InvalidRequestException", f"not valid JSON: {error}", 400)
        except Exception as error:
            code, message = _explained(error)
            shape = "ResourceNotFoundException" if code == "NotFound" else f"{code}Exception"
            return responses.error_response_json(shape, message, 400)


def _explained(error):
    """The HandlerErrorCode and the message of a failure."""
    if isinstance(error, HandlerFailure):
        return error.code, error.message
    if isinstance(error, PropertiesInvalid):
        return "InvalidRequest", "Model validation failed (" + "; ".join(error.found) + ")"
    return "InvalidRequest", str(error)


def _description(identifier, model):
    return {"Identifier": identifier, "Properties": json.dumps(model)}
