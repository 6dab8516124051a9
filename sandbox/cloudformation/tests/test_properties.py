"""Types, validation, pointers and changes of properties, without an engine."""

import pytest
from toy import BOOK, SHELF

from registry_types.properties import changed, problems, recast, typed
from registry_types.schemas import ResourceType, tokens, without

KIND = ResourceType.parse(SHELF)


@pytest.mark.parametrize("given, expected", [
    ({"Size": "5", "Open": "FALSE", "Name": 7}, {"Size": 5, "Open": False, "Name": "7"}),
    ({"Size": "5.5", "Open": "yes"}, {"Size": "5.5", "Open": "yes"}),
    ({"Rules": [{"Action": True, "Priority": "1"}]}, {"Rules": [{"Action": "true", "Priority": 1}]}),
    ({"Labels": {"a": 1}}, {"Labels": {"a": "1"}}),
    ({"Unknown": "5", "Size": None}, {"Unknown": "5", "Size": None}),
])
def test_values_take_the_type_of_the_schema(given, expected):
    assert typed(given, SHELF) == expected


def test_types_come_from_every_branch_of_a_combined_schema():
    schema = {"properties": {"A": {"oneOf": [{"type": "integer"}, {"type": "boolean"}]},
                             "B": {"allOf": [{"properties": {"C": {"type": ["number", "null"]}}}]}}}
    assert typed({"A": "true", "B": {"C": "1.5"}}, schema) == {"A": True, "B": {"C": 1.5}}
    assert typed({"A": "3"}, schema) == {"A": 3}


def test_recast_makes_strings_of_primitives_alone():
    assert recast({"a": [1, 1.5, True, None, "x", {}]}) == {"a": ["1", "1.5", "true", None, "x", {}]}


def test_a_problem_never_quotes_a_write_only_value():
    schema = {**SHELF, "properties": {**SHELF["properties"], "Password": {"type": "string", "pattern": "^[0-9]+$"}}}
    (problem,) = problems(ResourceType.parse(schema), {"Size": 1, "Password": "hunter2"})
    assert problem == "#/Password: string the given value does not match pattern ^[0-9]+$"


def test_without_follows_pointers_into_arrays():
    model = {"L": [{"S": 1, "T": 2}, {"S": 3}], "K": 1}
    assert without(model, [tokens("/properties/L/*/S"), tokens("/properties/K")]) == {"L": [{"T": 2}, {}]}
    assert without(model, [tokens("/properties/L/S")]) == without(model, [tokens("/properties/L/*/S")])


@pytest.mark.parametrize("before, after, expected", [
    ({"Name": "5"}, {"Name": 5}, False),
    ({"Name": "a"}, {}, True),
    ({"Place": {"Room": "a"}}, {"Place": {"Room": "a", "Wall": "b"}}, False),
    ({"Place": {"Room": "a"}}, {}, True),
    ({"Size": 1}, {"Size": 2}, False),
])
def test_create_only_changes(before, after, expected):
    assert changed(before, after, KIND.create_only) is expected


def test_a_type_that_cannot_update_is_replaced_whatever_changes():
    kind = ResourceType.parse({**BOOK, "handlers": {"create": {}, "read": {}, "delete": {}}})
    assert changed({"Title": "a"}, {"Title": "b"}, kind.create_only)


def test_identifiers_of_several_parts():
    kind = ResourceType.parse(BOOK)
    assert kind.identifier({"ShelfId": "/s", "Number": 2}) == "/s|2"
    assert kind.identifying("/s|2") == {"ShelfId": "/s", "Number": "2"}
    assert kind.identifier({"ShelfId": "/s"}) is None
