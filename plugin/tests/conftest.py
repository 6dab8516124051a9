"""A project as the CLI would find it, with the plugin in this folder as its only language."""

import json
import sys
from types import SimpleNamespace

import pytest

SCHEMA = {
    "typeName": "Example::Demo::Widget",
    "description": "Resource Type definition for a widget",
    "properties": {"Id": {"type": "string"}, "Size": {"type": "integer"}},
    "additionalProperties": False,
    "tagging": {"taggable": False},
    "readOnlyProperties": ["/properties/Id"],
    "primaryIdentifier": ["/properties/Id"],
    "handlers": {
        "create": {"permissions": ["demo:Create"]},
        "read": {"permissions": ["demo:Read"]},
        "delete": {"permissions": ["demo:Delete"]},
    },
}


def dumps(document):
    return json.dumps(document, indent=2) + "\n"


@pytest.fixture(name="root")
def fixture_root(tmp_path, monkeypatch):
    """A staged project: settings and schema, no Cargo.toml; the current folder, as the CLI demands."""
    monkeypatch.delenv("RPDK_RUST_BOOTSTRAP", raising=False)
    monkeypatch.chdir(tmp_path)
    settings(tmp_path)
    (tmp_path / "example-demo-widget.json").write_text(dumps(SCHEMA))
    return tmp_path


def settings(root, runtime="provided.al2023", **extra):
    document = {
        "artifact_type": "RESOURCE",
        "typeName": "Example::Demo::Widget",
        "language": "rust",
        "runtime": runtime,
        "entrypoint": "bootstrap",
        "testEntrypoint": "bootstrap",
        "settings": {"protocolVersion": "2.0.0", **extra},
        "contractSettings": {"typeConfiguration": {"kept": True}},
    }
    (root / ".rpdk-config").write_text(json.dumps(document, indent=4))


def program(path, script):
    """An executable that runs a Python script."""
    path.write_text(f"#!{sys.executable}\n{script}")
    path.chmod(0o755)
    return path


@pytest.fixture(name="tools")
def fixture_tools(tmp_path_factory, monkeypatch):
    """An empty PATH; `tools.add(name, script)` puts a program on it."""
    folder = tmp_path_factory.mktemp("bin")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr("rpdk.rust.build._has_ziglang", lambda: False)
    return SimpleNamespace(add=lambda name, script: program(folder / name, script), folder=folder)


def elf(machine=62, glibc=None):
    """The first bytes of a 64-bit ELF file, and the version name that its dynamic string table would hold."""
    header = b"\x7fELF\x02\x01\x01" + bytes(11) + machine.to_bytes(2, "little")
    return header + (f"\0GLIBC_{glibc}\0".encode() if glibc else b"")


@pytest.fixture(name="cargo_project")
def fixture_cargo_project(root):
    (root / "Cargo.toml").write_text("[package]\n")
    return root


@pytest.fixture(name="cfn")
def fixture_cfn(capsys):
    """Runs the CLI in this process: `(exit code, what it printed)`."""
    from rpdk.core.cli import main

    def run(*arguments):
        code = 0
        try:
            main(args_in=list(arguments))
        except SystemExit as exit_:
            code = exit_.code or 0
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run
