"""Drift: a template's properties against what READ finds, as JSON pointers with expected and actual values.

Only what the template sets is compared, so members that the service adds to an object are no drift. Tags are compared
with the stack's tags merged in, write-only properties not at all, and arrays of ``insertionOrder: false`` as sets.
"""

import json

from .properties import branches, expand, item_schemas, member_schemas, recast, tag_map
from .schemas import without


def compare(kind, template, actual, stack_tags):
    """``(expected, actual, differences)``, the two property sets reduced to what was compared."""
    hidden = kind.write_only + kind.read_only
    expected, found = without(template, hidden), without(actual, hidden)
    tags = kind.tag_property
    if tags:
        expected = _with_tags(expected, tags, {**stack_tags, **tag_map(template.get(tags))})
        found = _with_tags(found, tags, tag_map(actual.get(tags))) if tags in expected else found
    found = {key: value for key, value in found.items() if key in expected}
    return expected, found, list(_object(expected, found, branches(kind.schema, kind.schema), kind.schema, ""))


def _with_tags(properties, name, tags):
    """``properties`` with these tags, in the shape that they had; CloudFormation's own tags are no drift."""
    shown = {key: value for key, value in tags.items() if not key.startswith("aws:")}
    if not shown and name not in properties:
        return properties
    value = shown if isinstance(properties.get(name), dict) else [{"Key": key, "Value": shown[key]} for key in
                                                                  sorted(shown)]
    return {**properties, name: value}


def _differences(expected, actual, schemas, root, at):
    if isinstance(expected, dict) and isinstance(actual, dict):
        yield from _object(expected, actual, schemas, root, at)
    elif isinstance(expected, list) and isinstance(actual, list):
        unordered = any(schema.get("insertionOrder") is False or schema.get("uniqueItems") for schema in schemas)
        compare_items = _set if unordered or _tagged(expected) else _sequence
        yield from compare_items(expected, actual, expand(item_schemas(schemas), root), root, at)
    elif recast(expected) != recast(actual):
        yield difference(at, expected, actual, "NOT_EQUAL")


def _object(expected, actual, schemas, root, at):
    for key, value in expected.items():
        if key not in actual:
            yield difference(f"{at}/{key}", value, None, "REMOVE")
        else:
            yield from _differences(value, actual[key], expand(member_schemas(schemas, key), root), root,
                                    f"{at}/{key}")
    # A free map (metadata, for one) is set as a whole, so what somebody adds to it is drift.
    if any(schema.get("patternProperties") for schema in schemas):
        for key in actual.keys() - expected.keys():
            yield difference(f"{at}/{key}", None, actual[key], "ADD")


def _sequence(expected, actual, schemas, root, at):
    for index, (ours, theirs) in enumerate(zip(expected, actual, strict=False)):
        yield from _differences(ours, theirs, schemas, root, f"{at}/{index}")
    for index in range(len(actual), len(expected)):
        yield difference(f"{at}/{index}", expected[index], None, "REMOVE")
    for index in range(len(expected), len(actual)):
        yield difference(f"{at}/{index}", None, actual[index], "ADD")


def _set(expected, actual, schemas, root, at):
    left = dict(enumerate(actual))
    unmatched = []
    for index, ours in enumerate(expected):
        match = next((other for other, theirs in left.items()
                      if not any(_differences(ours, theirs, schemas, root, ""))), None)
        if match is None:
            unmatched.append(index)
        else:
            del left[match]
    for index in unmatched:
        ours = expected[index]
        partner = next((other for other, theirs in left.items() if _tagged([ours, theirs])
                        and ours["Key"] == theirs["Key"]), None)
        if partner is None:
            yield difference(f"{at}/{index}", ours, None, "REMOVE")
        else:
            yield from _differences(ours, left.pop(partner), schemas, root, f"{at}/{index}")
    for index, theirs in left.items():
        yield difference(f"{at}/{index}", None, theirs, "ADD")


def _tagged(items):
    return bool(items) and all(isinstance(item, dict) and "Key" in item for item in items)


def difference(pointer, expected, actual, kind):
    """One PropertyDifference."""
    return {"PropertyPath": pointer, "ExpectedValue": _text(expected), "ActualValue": _text(actual),
            "DifferenceType": kind}


def _text(value):
    if isinstance(value, (dict, list)):
        return json.dumps(value, sort_keys=True)
    return "null" if value is None else recast(value)
