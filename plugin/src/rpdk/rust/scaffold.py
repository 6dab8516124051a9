"""What `cfn init` writes: a project with one resource type that works as it is."""

import json
import logging
import re
import shutil
from pathlib import Path

from rpdk.core.exceptions import SpecValidationError, SysExitRecommendedError
from rpdk.core.project import ARTIFACT_TYPE_RESOURCE

from . import __version__
from .build import DEFAULT_RUNTIME
from .schema import DIGEST, digest

LOG = logging.getLogger(__name__)

PROTOCOL_VERSION = "2.0.0"

# Where this file is in a checkout of the repository, whose root is the runtime crate.
_CHECKOUT = Path(__file__).resolve().parents[4]

# What a struct or a module cannot be called, or would hide in the template.
_KEYWORDS = frozenset(
    "abstract as async await become box break const continue crate do dyn else enum extern false final fn for gen if impl "
    "in let loop macro main match mod move mut override priv pub ref return self static struct super trait true try type "
    "typeof union unsafe unsized use virtual where while yield".split()
)
_NAMES = frozenset(
    "BTreeMap Box Change Clone Configuration Context Copy Cx Debug Default Deserialize Display Drop Eq Err Error Fn FnMut "
    "FnOnce HandlerErrorCode Harness Id JsonSchema LazyLock Mutex MutexGuard Never None Ok Option Ord Page PartialEq "
    "PartialOrd Provider Request Resource Result Self Send Serialize Sized Some Step Store String Sync Tag ToString Vec"
    .split()
)

FILES = {
    "Cargo.toml": "Cargo.toml",
    "main.rs": "src/main.rs",
    "resource.rs": "src/{module}.rs",
    "README.md": "README.md",
    "gitignore": ".gitignore",
    "inputs_create.json": "inputs/inputs_1_create.json",
    "inputs_update.json": "inputs/inputs_1_update.json",
    "inputs_invalid.json": "inputs/inputs_1_invalid.json",
}


def write(project, environment):
    """Writes the project; files that exist stay unless the CLI was told to overwrite."""
    if project.artifact_type != ARTIFACT_TYPE_RESOURCE:
        raise SysExitRecommendedError("the Rust plugin has resource types only, no hooks.")
    # What the parser was given, and nothing where `cfn init` asked for the language.
    options = project.settings
    project.runtime = options.get("runtime") or DEFAULT_RUNTIME
    project.entrypoint = project.test_entrypoint = "bootstrap"
    names = names_of(project.type_name)
    variables = {
        **names,
        "type_name": project.type_name,
        "runtime": project.runtime,
        "schema_file": project.schema_filename,
        "dependency": dependency(options.get("crate_path")),
    }
    for template, target in FILES.items():
        path = project.root / target.format(**names)
        path.parent.mkdir(parents=True, exist_ok=True)
        project.safewrite(path, environment.get_template(template).render(variables))

    schema = environment.get_template("schema.json").render(variables)
    # The CLI has just written its own example there, unless there was a schema before.
    if _is(project.schema_path, project.schema):
        project.overwrite(project.schema_path, schema)
    else:
        LOG.warning("%s was there and stays; `cfn generate` writes it from the Rust types.", project.schema_filename)
    try:
        project.load_schema()
        project.load_configuration_schema()
    except SpecValidationError as error:
        raise SysExitRecommendedError(
            f"{project.schema_filename} was there and is no valid schema; remove it and try again: {error}"
        ) from error
    # Inputs made from the CLI's example would fit no type of ours; inputs/ has some that do.
    shutil.rmtree(project.example_inputs_path, ignore_errors=True)
    # The CLI hands over its command line as settings.
    project.settings = {"protocolVersion": PROTOCOL_VERSION, DIGEST: digest(json.loads(schema))}


def _is(path, document):
    try:
        return json.loads(path.read_text(encoding="utf-8")) == document
    except ValueError:
        return False


def names_of(type_name):
    """How the type's crate, struct and module are called."""
    last = type_name.split("::")[-1]
    struct = last[0].upper() + last[1:]
    if struct[0].isdigit():
        struct = f"R{struct}"
    if struct in _NAMES:
        struct = f"{struct}Resource"
    module = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", struct).lower()
    if module in _KEYWORDS:
        module = f"{module}_resource"
    crate = type_name.replace("::", "-").lower()
    if crate[0].isdigit():
        crate = f"cfn-{crate}"
    return {"crate": crate, "struct": struct, "module": module}


def dependency(crate_path):
    """The value of `cfn-provider` in Cargo.toml: a given or our own checkout, else the release of this plugin's version."""
    folder = Path(crate_path).resolve() if crate_path else _CHECKOUT
    manifest = folder / "Cargo.toml"
    if crate_path or (manifest.is_file() and 'name = "cfn-provider"' in manifest.read_text(encoding="utf-8")):
        return f"{{ path = {json.dumps(str(folder))} }}"
    return json.dumps(__version__)
