"""The handler protocol: one operation on one resource, as CloudFormation drives it through a Lambda function.

Known from the contract: an IN_PROGRESS answer asks for another invocation after ``callbackDelaySeconds`` with its
``callbackContext`` and its model; READ and LIST answer at once; Throttling, ServiceInternalError, NetworkFailure and
ResourceConflict are retriable. Chosen here, since the service does not publish them: the number of retries, their
delays, and that an invocation which dies is repeated with the same event.
"""

import http.client
import json
import time
import uuid
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from .properties import recast
from .schemas import ResourceType

RETRIABLE = frozenset({"Throttling", "ServiceInternalError", "NetworkFailure", "ResourceConflict"})
AT_ONCE = frozenset({"READ", "LIST"})

# CloudFormation hands the handler a session of the execution role. No service here checks credentials.
CREDENTIALS = {"accessKeyId": "LOCAL", "secretAccessKey": "local", "sessionToken": "local"}


@dataclass(eq=False)
class HandlerFailure(Exception):
    """A handler's FAILED, or an operation that could not reach its handler. Its text is the event's reason."""

    message: str
    code: str
    token: str

    def __str__(self):
        return (f'Resource handler returned message: "{self.message}" '
                f"(RequestToken: {self.token}, HandlerErrorCode: {self.code})")


class InvocationFailed(Exception):
    """An invocation that gave no progress event: no connection, a timeout, or a Lambda error payload."""


@dataclass(frozen=True)
class Limits:
    """How patient CloudFormation is. Seconds, except the counts."""

    retries: int = 3             # of a retriable FAILED, and of an invocation that died
    retry_delay: float = 1.0     # before the first retry; doubles with each
    invocation: float = 70.0     # one invocation; a handler has 60 s, and the Lambda service some slack
    operation: float | None = None  # one operation; None for the timeoutInMinutes of the schema


@dataclass(frozen=True)
class Request:
    """What one operation sends, the same for all its invocations."""

    action: str
    resource_type: ResourceType
    properties: dict
    account: str
    region: str
    previous: dict | None = None
    logical_id: str | None = None
    stack_id: str | None = None
    stack_tags: dict | None = None
    previous_stack_tags: dict | None = None
    system_tags: dict | None = None
    type_configuration: dict | None = None
    next_token: str | None = None
    token: str = field(default_factory=lambda: str(uuid.uuid4()))

    def event(self, properties, context, invocation):
        """The Lambda event of one invocation, with the explicit nulls of production."""
        updating = self.action == "UPDATE"
        return {
            "action": self.action,
            "awsAccountId": self.account,
            "bearerToken": self.token,
            "region": self.region,
            "responseEndpoint": None,
            "nextToken": self.next_token,
            "maxResults": None,
            "resourceType": self.resource_type.name,
            "resourceTypeVersion": "00000001",
            "stackId": self.stack_id,
            "callbackContext": context,
            "snapshotRequested": None,
            "rollback": None,
            "driftable": None,
            "features": {},
            "updatePolicy": {},
            "creationPolicy": {},
            "requestContext": {"invocation": invocation, "callbackContext": context or {}},
            "requestData": {
                "callerCredentials": CREDENTIALS,
                "providerCredentials": None,
                "platformCredentials": None,
                "providerLogGroupName": None,
                "logicalResourceId": self.logical_id,
                "resourceProperties": recast(properties),
                "previousResourceProperties": recast(self.previous) if updating else None,
                "typeConfiguration": self.type_configuration,
                "systemTags": self.system_tags,
                "previousSystemTags": self.system_tags if updating else None,
                "stackTags": self.stack_tags,
                "previousStackTags": self.previous_stack_tags if updating else None,
            },
        }


class Handler:
    """The Lambda functions that serve the registered types.

    ``functions`` has a function's name for an organisation (the first part of a type's name), and for "" that of all others.
    """

    def __init__(self, endpoint, functions, limits=None):
        self.endpoint, self.functions, self.limits = endpoint, functions, limits or Limits()
        address = urlsplit(endpoint)
        self._host, self._port = address.hostname, address.port or 80
        self._path = f"{address.path.rstrip('/')}/2015-03-31/functions"

    def run(self, request, on_progress=None):
        """Runs one operation to its end and returns the last progress event.

        ``on_progress`` is called with the model of every IN_PROGRESS. Raises HandlerFailure.
        """
        limits, context, properties = self.limits, None, request.properties
        seconds = limits.operation or request.resource_type.timeout_minutes(request.action) * 60
        deadline = time.monotonic() + seconds
        invocation = retries = 0
        while True:
            invocation += 1
            event = self._invoke(request, request.event(properties, context, invocation), deadline)
            status, model = event["status"], event.get("resourceModel")
            if status == "SUCCESS":
                return event
            if status == "IN_PROGRESS" and request.action not in AT_ONCE:
                retries = 0
                if model:
                    # A handler may leave write-only values out of its answer; the next invocation needs them.
                    properties = request.resource_type.keep(model, properties, request.resource_type.write_only)
                    if on_progress:
                        on_progress(model)
                context = event.get("callbackContext")
                delay = float(event.get("callbackDelaySeconds") or 0)
            elif status == "FAILED":
                failure = HandlerFailure(event.get("message") or "the handler gave no message",
                                         event.get("errorCode") or "InternalFailure", request.token)
                if failure.code not in RETRIABLE or retries >= limits.retries:
                    raise failure
                delay = limits.retry_delay * 2 ** retries
                retries += 1
            else:
                raise HandlerFailure(f"{request.action} answered the status {status}, which it may not",
                                     "InternalFailure", request.token)
            if time.monotonic() + delay > deadline:
                raise HandlerFailure(f"{request.action} of {request.resource_type.name} was not done within "
                                     f"{seconds:g} s, after {invocation} invocations", "NotStabilized", request.token)
            time.sleep(delay)

    def list(self, request):
        """Every model that LIST finds, page after page. Raises HandlerFailure."""
        models, seen = [], set()
        while True:
            event = self.run(request)
            models.extend(event.get("resourceModels") or [])
            token = event.get("nextToken")
            if not token or token in seen:
                return models
            seen.add(token)
            request = replace(request, next_token=token)

    def _invoke(self, request, event, deadline):
        """One answered invocation; one that dies is repeated with the same event, then fails the operation."""
        attempts = 0
        while True:
            try:
                return self._post(event)
            except InvocationFailed as error:
                attempts += 1
                if attempts > self.limits.retries or time.monotonic() > deadline:
                    raise HandlerFailure(f"{request.action} gave up after {attempts} attempts: {error}",
                                         "InternalFailure", request.token) from error
            time.sleep(self.limits.retry_delay * 2 ** (attempts - 1))

    def _post(self, event):
        organisation = event["resourceType"].split("::")[0]
        function = self.functions.get(organisation) or self.functions.get("")
        if not function:
            raise InvocationFailed(f"no function serves the types of {organisation}")
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self.limits.invocation)
        try:
            connection.request("POST", f"{self._path}/{function}/invocations", json.dumps(event), {"Content-Type": "application/json"})
            response = connection.getresponse()
            body, status = response.read(), response.status
        except TimeoutError as error:
            raise InvocationFailed(f"function {function} did not answer within "
                                   f"{self.limits.invocation:g} s") from error
        except (OSError, http.client.HTTPException) as error:
            raise InvocationFailed(f"cannot invoke function {function} at {self.endpoint}: "
                                   f"{error or type(error).__name__}") from error
        finally:
            connection.close()
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if isinstance(answer, dict) and isinstance(answer.get("status"), str):
            return answer
        # A Lambda error payload has errorType and errorMessage. The body itself may hold properties: not repeated.
        detail = f"{answer.get('errorType')}: {answer.get('errorMessage')}" if isinstance(answer, dict) else "no JSON"
        raise InvocationFailed(f"function {function} answered HTTP {status} with no progress event ({detail})")
