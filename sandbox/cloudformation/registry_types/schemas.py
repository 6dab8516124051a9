"""Resource type schemas, and the JSON pointers that they classify properties with."""

import copy
import json
from dataclasses import dataclass, field
from pathlib import Path


class SchemaError(Exception):
    """A schema file that cannot be registered; the text names the file."""


def tokens(pointer):
    """``/properties/Sku/Name`` as ``("Sku", "Name")``."""
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.strip("/").split("/")]
    return tuple(parts[1:] if parts[0] == "properties" else parts)


def lookup(model, path):
    """The value at ``path`` in ``model``, or None. ``*`` in a path has no single value, hence None."""
    for part in path:
        if not isinstance(model, dict) or part not in model:
            return None
        model = model[part]
    return model


def assign(model, path, value):
    """Sets the value at ``path`` in ``model``, making the objects on the way."""
    for part in path[:-1]:
        model = model.setdefault(part, {})
    model[path[-1]] = value


def without(model, paths):
    """A copy of ``model`` that lacks the values at ``paths``; ``*`` stands for every item of an array."""

    def strip(node, path):
        head, rest = path[0], path[1:]
        if isinstance(node, list):
            # Pointers into arrays are written both with and without the `*`.
            return [strip(item, rest if head == "*" and rest else path) for item in node]
        if not isinstance(node, dict) or head not in node:
            return node
        if not rest:
            return {key: value for key, value in node.items() if key != head}
        return {**node, head: strip(node[head], rest)}

    for path in paths:
        model = strip(model, path)
    return model


@dataclass(frozen=True)
class ResourceType:
    """One registered type: its schema, and what the schema says about its properties as paths."""

    name: str
    schema: dict
    primary_identifier: tuple
    read_only: tuple
    write_only: tuple
    create_only: tuple
    conditional_create_only: tuple
    tag_property: str | None = field(default=None)

    @classmethod
    def parse(cls, schema):
        """The type that ``schema`` describes. Raises SchemaError when it lacks a name or an identifier."""

        def paths(key):
            return tuple(tokens(pointer) for pointer in schema.get(key, []))

        name = schema.get("typeName")
        if not isinstance(name, str) or name.count("::") != 2:
            raise SchemaError(f"typeName {name!r} is not of the form Organization::Service::Resource")
        if not schema.get("primaryIdentifier"):
            raise SchemaError(f"{name} has no primaryIdentifier")
        if not isinstance(schema.get("properties"), dict):
            raise SchemaError(f"{name} has no properties")
        read_only, create_only, tags = paths("readOnlyProperties"), paths("createOnlyProperties"), _tag_property(schema)
        if "update" not in schema.get("handlers", {"update": {}}):
            # What cannot be updated is replaced, whatever changes.
            create_only = tuple((key,) for key in schema["properties"] if (key,) not in read_only)
            tags = None
        return cls(name, schema, paths("primaryIdentifier"), read_only, paths("writeOnlyProperties"), create_only,
                   paths("conditionalCreateOnlyProperties"), tags)

    @property
    def identifier_names(self):
        """The keys of a ResourceIdentifier, in the order of the schema."""
        return tuple("/".join(path) for path in self.primary_identifier)

    def identifier(self, model):
        """What Ref returns: the primary identifier's values joined by ``|``, or None while one of them is missing."""
        values = [lookup(model or {}, path) for path in self.primary_identifier]
        return None if any(value in (None, "") for value in values) else "|".join(map(str, values))

    def identifying(self, identifier):
        """The model that carries the primary identifier alone: all that READ may rely on."""
        model = {}
        last = len(self.primary_identifier) - 1
        for path, value in zip(self.primary_identifier, identifier.split("|", last), strict=False):
            assign(model, path, value)
        return model

    def keep(self, model, source, paths):
        """A copy of ``model`` with the values of ``source`` at those ``paths`` that ``model`` leaves out."""
        merged = copy.deepcopy(model)
        for path in paths:
            value = lookup(source, path)
            if value is not None and lookup(merged, path) is None:
                assign(merged, path, value)
        return merged

    def timeout_minutes(self, action):
        """How long the type lets one operation take; CloudFormation's default is 120 minutes."""
        return self.schema.get("handlers", {}).get(action.lower(), {}).get("timeoutInMinutes", 120)


def _tag_property(schema):
    tagging = schema.get("tagging") or {}
    if not tagging.get("taggable", schema.get("taggable", True)):
        return None
    name = tokens(tagging.get("tagProperty", "/properties/Tags"))[0]
    return name if name in schema["properties"] else None


def load(folder):
    """Every ``*.json`` of ``folder`` that has a ``typeName``, as a map from name to ResourceType.

    Raises SchemaError when a file is no JSON or no schema, or when two files describe the same type.
    """
    types = {}
    if not Path(folder).is_dir():
        raise SchemaError(f"schema folder {folder} does not exist")
    for file in sorted(Path(folder).glob("*.json")):
        try:
            schema = json.loads(file.read_text(encoding="utf-8"))
            if not isinstance(schema, dict) or "typeName" not in schema:
                continue
            parsed = ResourceType.parse(schema)
        except (ValueError, SchemaError) as error:
            raise SchemaError(f"schema {file}: {error}") from error
        if parsed.name in types:
            raise SchemaError(f"schema {file}: {parsed.name} is described by another file too")
        types[parsed.name] = parsed
    return types
