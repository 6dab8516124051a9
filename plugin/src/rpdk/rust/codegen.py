"""The language plugin: what the CloudFormation CLI asks of a language, answered for Rust."""

import hashlib
import io
import json
import logging
import shutil
import subprocess
import zipfile

from rpdk.core.exceptions import SysExitRecommendedError
from rpdk.core.plugin_base import LanguagePlugin

from . import __version__, build

LOG = logging.getLogger(__name__)

HANDLER_ZIP = "handler.zip"
EXECUTABLE = "bootstrap"
PROTOCOL_VERSION = "2.0.0"
DIGEST = "schemaDigest"

# A regular file that everybody may run, as the upper half of a zip entry's attributes. Lambda cannot start a file
# without the execute bits, and `ZipFile.writestr` sets none.
_EXECUTABLE_MODE = 0o100755 << 16
_UNIX = 3


class SchemaError(SysExitRecommendedError):
    """One line for the author; the CLI prints it and exits with 1."""


class RustLanguagePlugin(LanguagePlugin):
    MODULE_NAME = __name__
    NAME = "rust"
    # Amazon Linux 2023 has glibc 2.34, which a plain Rust build on a current distribution links against, and Lambda
    # has deprecated provided.al2.
    RUNTIME = "provided.al2023"
    ENTRY_POINT = EXECUTABLE
    TEST_ENTRY_POINT = EXECUTABLE

    def init(self, project):
        raise SysExitRecommendedError(
            "`cfn init` for Rust is not there yet: start from an existing project."
        )

    def generate(self, project):
        """Brings the schema, and with it the role and the docs, up to date with the Rust types."""
        generated = _schema_of_types(project)
        if generated is None:
            LOG.debug("no Rust types here to generate from; the schema stays as it is")
            return
        found = project.schema_path.read_bytes()
        recorded = project.settings.get(DIGEST)
        if found != generated:
            name = project.schema_path.name
            if recorded and recorded != _digest(found):
                LOG.warning(
                    "%s was edited by hand; it is generated from the Rust types and has been written again. "
                    "Lost: %s. Make the change in the types.",
                    name,
                    ", ".join(differences(json.loads(generated), json.loads(found))) or "only formatting",
                )
            else:
                LOG.warning("%s was brought up to date with the Rust types.", name)
            project.schema_path.write_bytes(generated)
        if recorded != _digest(generated):
            _record(project, DIGEST, _digest(generated))
        if found != generated:
            # The CLI wrote the role from the old schema before it called us, and writes the docs from
            # `project.schema` afterwards. The second pass finds nothing to do here.
            project.load()
            project.generate()

    def package(self, project, zip_file):
        """Adds the handler: a zip with the binary as `bootstrap` at its root, which is what Lambda unpacks."""
        path = build.bootstrap(project)
        LOG.info("Packaging %s", path)
        zip_file.writestr(HANDLER_ZIP, handler_zip(path))

    def get_plugin_information(self, project):  # pylint: disable=unused-argument
        return {"plugin-name": "rust", "plugin-tool-version": __version__}


def handler_zip(path):
    """The bytes of a Lambda deployment package; equal binaries give equal bytes."""
    entry = zipfile.ZipInfo(EXECUTABLE)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = _UNIX
    entry.external_attr = _EXECUTABLE_MODE
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(entry, path.read_bytes())
    return buffer.getvalue()


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


def _schema_of_types(project):
    """What the project's own binary prints for `schema TYPE`, or ``None`` where there is no binary."""
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
    command += ["schema", project.type_name]
    shown = " ".join(command)
    try:
        done = subprocess.run(command, cwd=project.root, stdout=subprocess.PIPE, check=False)
    except OSError as error:
        raise SchemaError(f"`{shown}` could not be started: {error}") from error
    if done.returncode:
        raise SchemaError(f"`{shown}` ended with {done.returncode}; it said why above.")
    try:
        type_name = json.loads(done.stdout).get("typeName")
    except (ValueError, AttributeError) as error:
        raise SchemaError(f"`{shown}` printed no JSON schema.") from error
    if type_name != project.type_name:
        raise SchemaError(f"`{shown}` printed the schema of {type_name}.")
    return done.stdout


def _digest(schema):
    return hashlib.sha256(schema).hexdigest()[:16]


def _record(project, key, value):
    """Sets one setting. `Project.write_settings` would drop every member that the CLI does not know."""
    project.settings[key] = value
    raw = json.loads(project.settings_path.read_text(encoding="utf-8"))
    raw.setdefault("settings", {})[key] = value
    project.settings_path.write_text(json.dumps(raw, indent=4) + "\n", encoding="utf-8")
