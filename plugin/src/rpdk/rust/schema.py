"""The schema that a project's own binary prints, and how it differs from the one on disk."""

import hashlib
import json
import shutil
import subprocess

from rpdk.core.exceptions import SysExitRecommendedError

from . import build

# The setting of `.rpdk-config` that says how the schema was when it was last generated.
DIGEST = "schemaDigest"


class SchemaError(SysExitRecommendedError):
    """One line for the author; the CLI prints it and exits with 1."""


def differences(expected, found, pointer=""):
    """JSON pointers at which two documents differ, the outermost only."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in dict.fromkeys([*expected, *found]):
            child = f"{pointer}/{key}"
            if key in expected and key in found:
                yield from differences(expected[key], found[key], child)
            else:
                yield child
    elif expected != found:
        yield pointer or "/"


def of_types(project):
    """The type's schema among those that the project's own binary prints, or ``None`` where there is no binary."""
    binary = build.given(project)
    if binary:
        command = [str(binary)]
    elif (project.root / "Cargo.toml").is_file() and shutil.which("cargo"):
        name = project.settings.get("bin", build.DEFAULT_BIN)
        command = ["cargo", "run", "--quiet", "--bin", name, "--"]
    elif (project.root / "Cargo.toml").is_file():
        raise SchemaError("cargo was not found: install Rust (https://rustup.rs).")
    else:
        return None
    command.append("schema")
    shown = " ".join(command)
    try:
        done = subprocess.run(command, cwd=project.root, stdout=subprocess.PIPE, check=False)
    except OSError as error:
        raise SchemaError(f"`{shown}` could not be started: {error}") from error
    if done.returncode:
        raise SchemaError(f"`{shown}` ended with {done.returncode}; it said why above.")
    try:
        schemas = {schema["typeName"]: schema for schema in json.loads(done.stdout)}
    except (ValueError, TypeError, KeyError) as error:
        raise SchemaError(f"`{shown}` printed no list of schemas.") from error
    if project.type_name not in schemas:
        raise SchemaError(f"`{shown}` printed no schema of {project.type_name}, only of {', '.join(schemas)}.")
    return schemas[project.type_name]


def text(schema):
    """How a schema is written; the same as `serde_json`'s pretty form."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def digest(schema):
    """What identifies a schema, whatever its formatting."""
    return hashlib.sha256(json.dumps(schema, sort_keys=True).encode()).hexdigest()[:16]
