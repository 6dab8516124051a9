"""What CloudFormation does to properties on their way from a template to a handler.

A template may say ``"true"`` where the schema says boolean. So a value takes the schema's type first (``typed``), is
then held against the schema (``problems``), and is sent as a string (``recast``), as CloudFormation sends it.
"""

import re

from jsonschema import Draft7Validator

from .schemas import without

JSON_TYPES = ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (list, "array"),
              (dict, "object"))


def json_type(value):
    """The JSON Schema name of the type of ``value``."""
    return next((name for kind, name in JSON_TYPES if isinstance(value, kind)), "null")


def branches(node, root):
    """``node`` and every schema that it refers to or combines: all that may describe a value at its place."""
    found, pending = [], [node]
    while pending:
        schema = pending.pop()
        if not isinstance(schema, dict) or any(schema is known for known in found):
            continue
        found.append(schema)
        reference = schema.get("$ref", "")
        if reference.startswith("#/"):
            target = root
            for part in reference[2:].split("/"):
                target = target.get(part, {})
            pending.append(target)
        for key in ("allOf", "anyOf", "oneOf"):
            pending.extend(schema.get(key, []))
    return found


def member_schemas(schemas, key):
    """The schemas of the member ``key`` of an object that ``schemas`` describe."""
    for schema in schemas:
        if key in schema.get("properties", {}):
            yield schema["properties"][key]
        for pattern, sub in schema.get("patternProperties", {}).items():
            if re.search(pattern, key):
                yield sub


def item_schemas(schemas):
    """The schemas of the items of an array that ``schemas`` describe."""
    return (schema["items"] for schema in schemas if isinstance(schema.get("items"), dict))


def expand(schemas, root):
    """``branches`` of each of ``schemas``, in one list."""
    return [branch for schema in schemas for branch in branches(schema, root)]


def typed(value, root):
    """``value`` with every primitive in the type that the schema ``root`` gives it, where it can be read so."""

    def walk(node, schemas):
        if isinstance(node, dict):
            return {key: walk(sub, expand(member_schemas(schemas, key), root)) for key, sub in node.items()}
        if isinstance(node, list):
            items = expand(item_schemas(schemas), root)
            return [walk(sub, items) for sub in node]
        allowed = set()
        for schema in schemas:
            kinds = schema.get("type", [])
            allowed.update([kinds] if isinstance(kinds, str) else kinds)
        return _primitive(node, allowed)

    return walk(value, branches(root, root))


def _primitive(value, allowed):
    kind = json_type(value)
    if not allowed or kind in allowed or (kind == "integer" and "number" in allowed):
        return value
    if isinstance(value, str):
        if "boolean" in allowed and value.lower() in ("true", "false"):
            return value.lower() == "true"
        if allowed & {"integer", "number"}:
            for read in (int, float) if "number" in allowed else (int,):
                try:
                    return read(value)
                except ValueError:
                    continue
    elif "string" in allowed and value is not None:
        return recast(value)
    return value


def recast(value):
    """``value`` with every primitive as a string, the form in which CloudFormation hands properties to a handler."""
    if isinstance(value, dict):
        return {key: recast(sub) for key, sub in value.items()}
    if isinstance(value, list):
        return [recast(sub) for sub in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, float)) else value


def problems(resource_type, properties):
    """What is wrong with ``properties`` (already ``typed``), one sentence each, in CloudFormation's words.

    The sentences begin with a pointer. They never quote the value of a write-only property.
    """
    schema = resource_type.schema
    given = [path for path in resource_type.read_only if without(properties, [path]) != properties]
    found = [f"#/{'/'.join(path)}: readOnlyProperties [/properties/{'/'.join(path)}] cannot be specified"
             for path in given]
    body = {key: schema[key] for key in ("definitions", "properties", "patternProperties", "allOf", "anyOf", "oneOf",
                                         "dependencies", "additionalProperties") if key in schema}
    body["required"] = [name for name in schema.get("required", []) if (name,) not in resource_type.read_only]
    for error in Draft7Validator(body).iter_errors(without(properties, given)):
        found.extend(_sentences(error, resource_type))
    return list(dict.fromkeys(found))


def _sentences(error, resource_type):
    """One jsonschema error, which may stand for several, as sentences."""
    path = tuple(str(part) for part in error.absolute_path)
    at = "#" + "".join(f"/{part}" for part in path)
    secret = any(path[:len(hidden)] == hidden for hidden in resource_type.write_only)
    rule, limit, instance = error.validator, error.validator_value, error.instance
    value = "the given value" if secret or isinstance(instance, (dict, list)) else f"[{recast(instance)}]"
    if rule == "required":
        return [f"{at}: required key [{name}] not found" for name in limit if name not in instance]
    if rule == "additionalProperties":
        known = error.schema.get("properties", {})
        patterns = error.schema.get("patternProperties", {})
        return [f"{at}: extraneous key [{key}] is not permitted" for key in instance
                if key not in known and not any(re.search(pattern, key) for pattern in patterns)]
    size = len(instance) if isinstance(instance, (str, list, dict)) else None
    text = {
        "type": lambda: f"expected type: {_titled(limit)}, found: {_titled(json_type(instance))}",
        "enum": lambda: f"{value} is not a valid enum value; valid are {', '.join(map(str, limit))}",
        "const": lambda: f"{value} is not {limit}",
        "pattern": lambda: f"string {value} does not match pattern {limit}",
        "minLength": lambda: f"expected minLength: {limit}, actual: {size}",
        "maxLength": lambda: f"expected maxLength: {limit}, actual: {size}",
        "minItems": lambda: f"expected minimum item count: {limit}, found: {size}",
        "maxItems": lambda: f"expected maximum item count: {limit}, found: {size}",
        "minimum": lambda: f"{value} is not greater or equal to {limit}",
        "maximum": lambda: f"{value} is not less or equal to {limit}",
        "uniqueItems": lambda: "array items are not unique",
        "oneOf": lambda: f"{value} does not match exactly one of {len(limit)} subschemas",
        "anyOf": lambda: f"no subschema matched out of the total {len(limit)} subschemas",
    }.get(rule, lambda: f"{value} breaks the rule {rule}")()
    return [f"{at}: {text}"]


def _titled(kinds):
    return " or ".join(kind.capitalize() for kind in ([kinds] if isinstance(kinds, str) else kinds))


def changed(before, after, paths):
    """Whether a value at one of ``paths`` differs between two property sets; ``"5"`` and ``5`` are the same value."""
    before, after = recast(before), recast(after)
    return any(_differs(before, after, path) for path in paths)


def _differs(before, after, path):
    head, rest = path[0], path[1:]
    if head == "*" or isinstance(before, list) or isinstance(after, list):
        return before != after
    ours = before.get(head) if isinstance(before, dict) else None
    theirs = after.get(head) if isinstance(after, dict) else None
    return _differs(ours, theirs, rest) if rest else ours != theirs


def tag_map(tags):
    """A tag property, a list of Key and Value or a map, as a map."""
    if isinstance(tags, dict):
        return {str(key): recast(value) for key, value in tags.items()}
    return {str(tag["Key"]): recast(tag.get("Value", "")) for tag in tags or []
            if isinstance(tag, dict) and "Key" in tag}
