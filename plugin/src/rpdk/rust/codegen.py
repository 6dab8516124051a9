"""The language plugin: what the CloudFormation CLI asks of a language, answered for Rust."""

import io
import json
import logging
import zipfile

from rpdk.core.plugin_base import LanguagePlugin

from . import __version__, build, scaffold, schema

LOG = logging.getLogger(__name__)

HANDLER_ZIP = "handler.zip"
EXECUTABLE = "bootstrap"

# A regular file that everybody may run, as the upper half of a zip entry's attributes. Lambda cannot start a file
# without the execute bits, and `ZipFile.writestr` sets none.
_EXECUTABLE_MODE = 0o100755 << 16
_UNIX = 3


class RustLanguagePlugin(LanguagePlugin):
    MODULE_NAME = __name__
    NAME = "rust"
    RUNTIME = build.DEFAULT_RUNTIME
    ENTRY_POINT = EXECUTABLE
    TEST_ENTRY_POINT = EXECUTABLE

    def __init__(self):
        # Whether the schema on disk is known to be that of the types.
        self._fresh = False

    def init(self, project):
        """Lays out a project that compiles, passes its tests and passes `cfn test` as it is."""
        scaffold.write(project, self._setup_jinja_env(keep_trailing_newline=True))
        # The template's schema is what its types generate, so the CLI's own `generate` after `init` compiles nothing.
        self._fresh = True

    def generate(self, project):
        """Brings the schema, and with it the role and the docs, up to date with the Rust types."""
        generated = None if self._fresh else schema.of_types(project)
        if generated is None:
            LOG.debug("no Rust types here to generate from; the schema stays as it is")
            return
        found = json.loads(project.schema_path.read_text(encoding="utf-8"))
        recorded = project.settings.get(schema.DIGEST)
        if found != generated:
            name = project.schema_path.name
            if recorded and recorded != schema.digest(found):
                LOG.warning(
                    "%s was edited by hand; it is generated from the Rust types and has been written again. "
                    "Lost: %s. Make the change in the types.",
                    name,
                    ", ".join(schema.differences(generated, found)),
                )
            else:
                LOG.warning("%s was brought up to date with the Rust types.", name)
            project.schema_path.write_text(schema.text(generated), encoding="utf-8")
        if recorded != schema.digest(generated):
            _record(project, schema.DIGEST, schema.digest(generated))
        if found != generated:
            # The CLI wrote the role from the old schema before it called us, and writes the docs from
            # `project.schema` afterwards. The second pass finds nothing to do here.
            self._fresh = True
            project.load_schema()
            project.load_configuration_schema()
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


def _record(project, key, value):
    """Sets one setting. `Project.write_settings` would drop every member that the CLI does not know."""
    project.settings[key] = value
    raw = json.loads(project.settings_path.read_text(encoding="utf-8"))
    raw.setdefault("settings", {})[key] = value
    project.settings_path.write_text(json.dumps(raw, indent=4) + "\n", encoding="utf-8")
