"""`cfn generate`: the schema follows the Rust types, and an edit by hand is not lost in silence."""

import json

import pytest
from conftest import SCHEMA, dumps, program

NAME = "example-demo-widget.json"


@pytest.fixture(name="types")
def fixture_types(root, monkeypatch):
    """A binary whose `schema` prints what the test says the types are, among others."""

    def says(document):
        (root / "types.json").write_text(dumps([{"typeName": "Example::Demo::Other"}, document]))

    says(SCHEMA)
    program(
        root / "binary",
        "import sys\nassert sys.argv[1:] == ['schema']\nprint(open('types.json').read(), end='')",
    )
    monkeypatch.setenv("RPDK_RUST_BOOTSTRAP", "binary")
    return says


def wider():
    schema = json.loads(json.dumps(SCHEMA))
    schema["properties"]["Colour"] = {"type": "string"}
    schema["handlers"]["create"]["permissions"] = ["demo:Paint"]
    return schema


def test_nothing_changes_nothing_is_said(root, cfn, types):
    cfn("generate")
    before = (root / NAME).read_bytes(), (root / ".rpdk-config").read_bytes()
    code, said = cfn("generate")
    assert code == 0
    assert "up to date" not in said and "by hand" not in said
    assert before == ((root / NAME).read_bytes(), (root / ".rpdk-config").read_bytes())


def test_schema_role_and_docs_follow_the_types(root, cfn, types):
    cfn("generate")
    types(wider())
    code, said = cfn("generate")
    assert code == 0
    assert f"{NAME} was brought up to date with the Rust types." in said
    assert "by hand" not in said
    assert json.loads((root / NAME).read_text()) == wider()
    assert "demo:Paint" in (root / "resource-role.yaml").read_text()
    assert "Colour" in (root / "docs/README.md").read_text()


def test_formatting_is_nobodys_edit(root, cfn, types):
    cfn("generate")
    (root / NAME).write_text(json.dumps(SCHEMA))
    code, said = cfn("generate")
    assert code == 0
    assert "by hand" not in said and "up to date" not in said


def test_an_edit_by_hand_is_named(root, cfn, types):
    cfn("generate")
    (root / NAME).write_text(dumps(wider()))
    code, said = cfn("generate")
    assert code == 0
    assert f"{NAME} was edited by hand" in said
    assert "/properties/Colour, /handlers/create/permissions" in said
    assert json.loads((root / NAME).read_text()) == SCHEMA


def test_settings_that_the_cli_does_not_know_stay(root, cfn, types):
    cfn("generate")
    config = json.loads((root / ".rpdk-config").read_text())
    assert config["contractSettings"] == {"typeConfiguration": {"kept": True}}
    assert len(config["settings"]["schemaDigest"]) == 16


def test_a_staged_folder_without_types_keeps_its_schema(root, cfn):
    code, said = cfn("generate")
    assert code == 0, said
    assert json.loads((root / NAME).read_text()) == SCHEMA
    assert (root / "docs/README.md").exists()


def test_the_projects_own_binary_is_run_through_cargo(cargo_project, cfn, tools):
    tools.add(
        "cargo",
        "import sys\nopen('arguments', 'w').write(' '.join(sys.argv[1:]))\n" + f"print({dumps([wider()])!r}, end='')",
    )
    assert cfn("generate")[0] == 0
    assert (cargo_project / "arguments").read_text() == "run --quiet --bin bootstrap -- schema"
    assert json.loads((cargo_project / NAME).read_text()) == wider()


@pytest.mark.parametrize(
    "script,sentence",
    [
        ("raise SystemExit(3)", "ended with 3"),
        ("print('hello')", "printed no list of schemas"),
        ("print('{}')", "printed no schema of Example::Demo::Widget"),
        ("print('[1]')", "printed no list of schemas"),
    ],
)
def test_a_binary_that_prints_no_schema(root, cfn, monkeypatch, script, sentence):
    program(root / "binary", script)
    monkeypatch.setenv("RPDK_RUST_BOOTSTRAP", "binary")
    code, said = cfn("generate")
    assert code == 1
    assert sentence in said
    assert json.loads((root / NAME).read_text()) == SCHEMA


def test_no_toolchain(cargo_project, cfn, tools):
    code, said = cfn("generate")
    assert code == 1
    assert "cargo was not found" in said
