"""Resources of registered types: what CloudFormation does around each handler operation."""

import copy
from dataclasses import dataclass, field

from .drift import compare
from .handlers import HandlerFailure, Request
from .properties import changed, problems, recast, tag_map, typed
from .schemas import without


class PropertiesInvalid(Exception):
    """Properties that break the type's schema: ``found`` has one sentence for each. No handler was called."""

    def __init__(self, logical_id, found):
        self.found = found
        super().__init__(f"Properties validation failed for resource {logical_id} with message:\n" + "\n".join(found))


class Tagged(dict):
    """A template's properties with the stack's tags beside them.

    CloudFormation sends the two apart and the handler merges them, but a change of either is an update.
    """

    def __init__(self, properties, stack_tags=None):
        super().__init__(properties)
        self.stack_tags = dict(stack_tags or {})

    def __eq__(self, other):
        return super().__eq__(other) and self.stack_tags == getattr(other, "stack_tags", {})

    def __ne__(self, other):  # dict brings its own, which knows nothing of tags
        return not self == other

    __hash__ = None


@dataclass(frozen=True)
class Scope:
    """Where a resource lives: its stack and its logical id. All None outside a stack."""

    stack_name: str | None = None
    stack_id: str | None = None
    logical_id: str | None = None

    @property
    def system_tags(self):
        """The tags that CloudFormation adds, or None outside a stack."""
        return self.stack_id and {"aws:cloudformation:stack-name": self.stack_name,
                                  "aws:cloudformation:stack-id": self.stack_id,
                                  "aws:cloudformation:logical-id": self.logical_id}


@dataclass
class Instance:
    """What is remembered of one physical resource."""

    scope: Scope
    properties: dict | None         # what a handler last agreed to; None after an update that failed half-way
    model: dict                     # what a handler last answered
    stack_tags: dict = field(default_factory=dict)


class Resources:
    """Creates, reads, updates, deletes, imports and compares the resources of every registered type.

    ``engine`` gives the account, the region, dynamic references and the stack's records: see ``engine.Engine``.
    """

    def __init__(self, types, handler, configurations, engine):
        self.types, self.handler, self.configurations, self.engine = types, handler, configurations, engine
        self._instances = {}

    def create(self, name, logical_id, given, stack_name):
        """Creates a resource and returns its physical id and attributes.

        The physical id goes into the stack with the first IN_PROGRESS that carries it, so that a create which fails
        later leaves something to delete.
        """
        kind, scope, tags = self.types[name], self.engine.scope(stack_name, logical_id), _stack_tags(given)
        properties = self._checked(kind, logical_id, given)
        request = self._request("CREATE", kind, scope, properties, tags)
        instance = Instance(scope, properties, {}, tags)
        started = None

        def progress(model):
            nonlocal started
            _same_identifier(kind, started, model, request.token)
            instance.model = model
            identifier = kind.identifier(model)
            if identifier and not started:
                started = identifier
                self._instances[name, identifier] = instance
                self.engine.creation_started(scope, name, identifier, dict(given))

        try:
            event = self.handler.run(request, progress)
            progress(event.get("resourceModel") or {})
            if not started:
                raise HandlerFailure(f"CREATE answered SUCCESS without {', '.join(kind.identifier_names)}",
                                     "InternalFailure", request.token)
            instance.model = self.read(name, started, scope)
        except Exception as error:
            self.engine.creation_failed(scope, started, str(error))
            raise
        return started, attributes(kind, instance.model)

    def update(self, name, identifier, before, after, stack_name, logical_id):
        """Updates a resource in place; returns its physical id, or that of a replacement, and its attributes."""
        kind, scope, tags = self.types[name], self.engine.scope(stack_name, logical_id), _stack_tags(after)
        instance = self._instances.setdefault((name, identifier), Instance(
            scope, typed(before, kind.schema), kind.identifying(identifier), _stack_tags(before)))
        properties = self._checked(kind, logical_id, after)
        # Also the way back from an update that was refused before any handler saw it.
        retagged = kind.tag_property is not None and tags != instance.stack_tags
        if instance.properties is not None and recast(properties) == recast(instance.properties) and not retagged:
            return identifier, attributes(kind, instance.model)
        previous = typed(self.engine.resolve(dict(before)), kind.schema)
        # As CloudFormation does: nested read-only values would bring back objects that the template dropped.
        known = tuple(path for path in kind.read_only if len(path) == 1) + kind.primary_identifier
        request = self._request("UPDATE", kind, scope, kind.keep(properties, instance.model, known), tags,
                                previous=kind.keep(previous, instance.model, known),
                                previous_stack_tags=_stack_tags(before))
        instance.scope, instance.properties = scope, None
        try:
            event = self.handler.run(request, lambda model: _same_identifier(kind, identifier, model, request.token))
        except HandlerFailure as failure:
            if failure.code == "NotUpdatable" and changed(previous, properties, kind.conditional_create_only):
                return self.create(name, logical_id, after, stack_name)
            raise
        _same_identifier(kind, identifier, event.get("resourceModel"), request.token)
        instance.properties, instance.stack_tags = properties, tags
        instance.model = self.read(name, identifier, scope)
        return identifier, attributes(kind, instance.model)

    def delete(self, name, identifier, given, logical_id=None):
        """Deletes a resource; one that is already gone counts as deleted."""
        kind = self.types[name]
        instance = self._instances.get((name, identifier)) or Instance(
            Scope(logical_id=logical_id), {}, kind.identifying(identifier))
        template = typed(self.engine.resolve(dict(given)), kind.schema)
        with self.engine.cleanup_events(instance.scope, name, identifier):
            try:
                self.handler.run(self._request("DELETE", kind, instance.scope, _overlay(instance.model, template),
                                               instance.stack_tags))
            except HandlerFailure as failure:
                if failure.code != "NotFound":
                    raise
        self._instances.pop((name, identifier), None)

    def read(self, name, identifier, scope=None):
        """The model that READ finds. Raises HandlerFailure; its code is NotFound when the resource does not exist."""
        kind = self.types[name]
        if scope is None:
            instance = self._instances.get((name, identifier))
            scope = instance.scope if instance else Scope()
        event = self.handler.run(self._request("READ", kind, scope, kind.identifying(identifier), {}))
        return event.get("resourceModel") or {}

    def list(self, name, given):
        """Every model that LIST finds for these properties."""
        kind = self.types[name]
        return self.handler.list(self._request("LIST", kind, Scope(), given, {}))

    def patch(self, name, identifier, change):
        """Updates a resource to what ``change`` makes of its model, outside a stack; returns the new model."""
        kind = self.types[name]
        current = self.read(name, identifier)
        own = without(current, kind.read_only)
        properties = self._checked(kind, None, change(copy.deepcopy(own)))
        if changed(own, properties, kind.create_only):
            raise HandlerFailure("createOnlyProperties cannot be updated", "NotUpdatable", "")
        self.handler.run(self._request("UPDATE", kind, Scope(), kind.keep(properties, current, kind.primary_identifier),
                                       {}, previous=current))
        return self.read(name, identifier)

    def adopt(self, name, values):
        """Takes an existing resource in by the values of its ResourceIdentifier: physical id and attributes."""
        kind = self.types[name]
        identifier = "|".join(values[key] for key in kind.identifier_names)
        model = self.read(name, identifier, Scope())
        self._instances[name, identifier] = Instance(Scope(), model, model)
        return identifier, attributes(kind, model)

    def settle(self, name, identifier, given, scope):
        """Gives an adopted resource its place in a stack, and the properties the template has for it."""
        instance = self._instances[name, identifier]
        instance.scope = scope
        instance.properties = typed(self.engine.resolve(dict(given)), self.types[name].schema)

    def replaces(self, name, before, after):
        """Whether going from one property set to another takes a new resource."""
        return changed(before, after, self.types[name].create_only)

    def drift(self, name, identifier, given, stack_tags):
        """``(expected, actual, differences)`` of a resource and its template; None when the resource is gone."""
        kind = self.types[name]
        try:
            actual = self.read(name, identifier)
        except HandlerFailure as failure:
            if failure.code == "NotFound":
                return None
            raise
        return compare(kind, typed(self.engine.resolve(dict(given)), kind.schema), actual, tag_map(stack_tags))

    def _checked(self, kind, logical_id, given):
        """The properties as the handler gets them, dynamic references resolved. Raises PropertiesInvalid."""
        properties = typed(self.engine.resolve(dict(given)), kind.schema)
        found = problems(kind, properties)
        if found:
            raise PropertiesInvalid(logical_id, found)
        return properties

    def _request(self, action, kind, scope, properties, tags, **more):
        configuration = self.configurations.get(kind.name)
        return Request(action, kind, properties, account=self.engine.account(), region=self.engine.region(),
                       logical_id=scope.logical_id, stack_id=scope.stack_id, system_tags=scope.system_tags,
                       stack_tags=tags or None, type_configuration=self.engine.resolve(configuration), **more)


def attributes(kind, model):
    """What Fn::GetAtt can read: the read-only properties, those inside objects by their dotted names."""
    found = {}

    def collect(name, value):
        found[name] = value
        if isinstance(value, dict):
            for key, sub in value.items():
                collect(f"{name}.{key}", sub)

    for path in kind.read_only:
        value = model
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            collect(".".join(path), value)
    return found


def _stack_tags(properties):
    return getattr(properties, "stack_tags", {})


def _same_identifier(kind, identifier, model, token):
    """A resource keeps its primary identifier for life; a model that shows another one is a handler's mistake."""
    found = kind.identifier(model)
    if identifier and found and found != identifier:
        raise HandlerFailure(f"the primary identifier changed from {identifier} to {found}", "InternalFailure", token)


def _overlay(model, template):
    """``model`` with the template's values over it, object by object."""
    merged = dict(model)
    for key, value in template.items():
        under = merged.get(key)
        merged[key] = _overlay(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged
