"""`cfn init`: what is laid out, how it is named, and what it leaves alone. A test of the workspace builds and runs it."""

import json
import tomllib

import pytest
from conftest import SCHEMA, dumps

from rpdk.rust import scaffold


@pytest.fixture(name="empty")
def fixture_empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def init(cfn, *options, type_name="Example::Demo::Widget"):
    return cfn("init", "-t", type_name, "-a", "RESOURCE", "rust", *options)


def test_a_project_is_laid_out(empty, cfn):
    code, said = init(cfn)
    assert code == 0, said
    found = {str(path.relative_to(empty)) for path in empty.rglob("*") if path.is_file()}
    assert found - {"rpdk.log"} == {
        ".gitignore",
        ".rpdk-config",
        "Cargo.toml",
        "README.md",
        "docs/README.md",
        "docs/tag.md",
        "example-demo-widget.json",
        "inputs/inputs_1_create.json",
        "inputs/inputs_1_invalid.json",
        "inputs/inputs_1_update.json",
        "resource-role.yaml",
        "src/main.rs",
        "src/widget.rs",
    }
    config = json.loads((empty / ".rpdk-config").read_text())
    assert (config["language"], config["runtime"], config["entrypoint"]) == ("rust", "provided.al2023", "bootstrap")
    # Nothing of the command line, such as paths of the author's machine.
    assert set(config["settings"]) == {"protocolVersion", "schemaDigest"}
    assert cfn("validate") == (0, "Resource schema is valid.\n")


def test_the_runtime_is_an_option(empty, cfn):
    assert init(cfn, "--runtime", "provided.al2")[0] == 0
    assert json.loads((empty / ".rpdk-config").read_text())["runtime"] == "provided.al2"


def test_files_of_the_author_stay(empty, cfn):
    (empty / "Cargo.toml").write_text("# mine\n")
    (empty / "example-demo-widget.json").write_text(dumps(SCHEMA))
    code, said = init(cfn)
    assert code == 0, said
    assert "example-demo-widget.json was there and stays" in said
    assert (empty / "Cargo.toml").read_text() == "# mine\n"
    assert json.loads((empty / "example-demo-widget.json").read_text()) == SCHEMA


@pytest.mark.parametrize("text", ["{}", "no JSON"])
def test_a_schema_that_is_none_is_named(empty, cfn, text):
    (empty / "example-demo-widget.json").write_text(text)
    code, said = init(cfn)
    assert code == 1
    assert "example-demo-widget.json was there and is no valid schema" in said
    assert (empty / "example-demo-widget.json").read_text() == text


def test_hooks_are_refused(empty, cfn):
    code, said = cfn("init", "-t", "Example::Demo::Hook", "-a", "HOOK", "rust")
    assert code == 1
    assert "resource types only, no hooks" in said


@pytest.mark.parametrize(
    "type_name,crate,struct,module",
    [
        ("Example::Demo::Widget", "example-demo-widget", "Widget", "widget"),
        ("Example::Demo::BlobContainer", "example-demo-blobcontainer", "BlobContainer", "blob_container"),
        ("Example::Demo::DBInstance2", "example-demo-dbinstance2", "DBInstance2", "db_instance2"),
        ("Example::Demo::widget", "example-demo-widget", "Widget", "widget"),
        ("Example::Demo::Type", "example-demo-type", "Type", "type_resource"),
        ("Example::Demo::Resource", "example-demo-resource", "ResourceResource", "resource_resource"),
        ("Example::Demo::Main", "example-demo-main", "Main", "main_resource"),
        ("3com::Demo::2fa", "cfn-3com-demo-2fa", "R2fa", "r2fa"),
    ],
)
def test_names_are_good_rust(type_name, crate, struct, module):
    assert scaffold.names_of(type_name) == {"crate": crate, "struct": struct, "module": module}


def test_the_runtime_crate_is_a_checkout_or_a_release(empty, monkeypatch):
    def of(value):
        return tomllib.loads(f"cfn-provider = {value}")["cfn-provider"]

    assert of(scaffold.dependency("a folder")) == {"path": str(empty / "a folder")}
    # The tests run from a checkout, whose root is the crate.
    assert (scaffold.Path(of(scaffold.dependency(None))["path"]) / "plugin/pyproject.toml").is_file()
    monkeypatch.setattr(scaffold, "_CHECKOUT", empty)
    assert of(scaffold.dependency(None)) == scaffold.__version__
