"""Finds the binary that Lambda runs, or builds it.

A binary that exists already comes from the environment variable ``RPDK_RUST_BOOTSTRAP`` or the setting ``bootstrap`` of
``.rpdk-config``: that is how a workspace serves many types with one binary. Otherwise Cargo builds the project's own.
"""

import importlib.util
import json
import logging
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from rpdk.core.exceptions import SysExitRecommendedError

LOG = logging.getLogger(__name__)

ENVIRONMENT = "RPDK_RUST_BOOTSTRAP"
DEFAULT_BIN = "bootstrap"
DEFAULT_TARGET = "x86_64-unknown-linux-gnu"

# Amazon Linux 2023 has glibc 2.34, which a plain Rust build on Debian 12 links against; and Lambda deprecates al2.
DEFAULT_RUNTIME = "provided.al2023"
# What the runtimes bring (Amazon Linux 2 and 2023). A binary that wants more dies in Lambda before its first line.
GLIBC = {"provided.al2": (2, 26), "provided.al2023": (2, 34)}

_ELF_X86_64 = 62
_GLIBC_VERSION = re.compile(rb"GLIBC_(\d+)\.(\d+)")


class BuildError(SysExitRecommendedError):
    """One line for the author; the CLI prints it and exits with 1."""


def bootstrap(project):
    """The path of a binary for Lambda.

    One that we built is refused if the runtime could not start it. One that was given is its author's to vouch for
    (a test may package a binary of the machine it runs on), so there the same finding is a warning.
    """
    path = given(project)
    if path:
        problem = unfit(path, project.runtime)
        if problem:
            LOG.warning(problem)
        return path
    path = _build(project)
    problem = unfit(path, project.runtime)
    if problem:
        raise BuildError(problem)
    return path


def given(project):
    """The binary that the environment or the settings name, else ``None``."""
    variable = os.environ.get(ENVIRONMENT)
    name = variable or project.settings.get("bootstrap")
    if not name:
        return None
    path = project.root / name
    if not path.is_file():
        source = ENVIRONMENT if variable else "the setting 'bootstrap' of .rpdk-config"
        raise BuildError(f"{path}, which {source} names, does not exist: build it first.")
    return path


def unfit(path, runtime):
    """Why Lambda's ``runtime`` on x86_64 could not start the binary, as a sentence; ``None`` if it could."""
    data = path.read_bytes()
    machine = int.from_bytes(data[18:20], "little")
    if data[:5] != b"\x7fELF\x02" or machine != _ELF_X86_64:
        return (
            f"{path} is no x86_64 Linux binary, and CloudFormation runs handlers on x86_64 only: "
            "build it with cargo-lambda and zig (pip install cargo-lambda ziglang)."
        )
    wanted = max(
        ((int(major), int(minor)) for major, minor in _GLIBC_VERSION.findall(data)),
        default=(0, 0),
    )
    has = GLIBC.get(runtime)
    if has and wanted > has:
        return (
            f"{path} wants glibc {wanted[0]}.{wanted[1]}, and {runtime} has {has[0]}.{has[1]}: "
            "build it with cargo-lambda and zig (pip install cargo-lambda ziglang), "
            "or set 'target' to x86_64-unknown-linux-musl in the settings of .rpdk-config."
        )
    return None


def _build(project):
    name = project.settings.get("bin", DEFAULT_BIN)
    target = project.settings.get("target")
    if not (project.root / "Cargo.toml").is_file():
        raise BuildError(
            f"{project.root} has no Cargo.toml: build the binary and name it with {ENVIRONMENT} "
            "or the setting 'bootstrap' of .rpdk-config."
        )
    if not shutil.which("cargo"):
        raise BuildError(
            "cargo was not found: install Rust (https://rustup.rs), "
            f"or name a finished binary with {ENVIRONMENT}."
        )
    if _has_cargo_lambda():
        return _cargo_lambda(project, name, target)
    if not target and (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise BuildError(
            f"building for x86_64 Linux on {platform.system()} {platform.machine()} takes cargo-lambda and zig: "
            "pip install cargo-lambda ziglang."
        )
    return _cargo(project, name, target or DEFAULT_TARGET)


def _has_cargo_lambda():
    return bool(shutil.which("cargo-lambda") and (shutil.which("zig") or _has_ziglang()))


def _has_ziglang():
    return importlib.util.find_spec("ziglang") is not None


def _cargo_lambda(project, name, target):
    if not target:
        # zig links against the glibc that is named here, whatever the machine has.
        major, minor = GLIBC.get(project.runtime, min(GLIBC.values()))
        target = f"{DEFAULT_TARGET}.{major}.{minor}"
    _run(
        project,
        ["cargo", "lambda", "build", "--release", "--bin", name, "--target", target],
    )
    metadata = _run(
        project, ["cargo", "metadata", "--format-version", "1", "--no-deps"], capture=True
    )
    return Path(json.loads(metadata)["target_directory"]) / "lambda" / name / "bootstrap"


def _cargo(project, name, target):
    messages = _run(
        project,
        ["cargo", "build", "--release", "--bin", name, "--target", target]
        + ["--message-format", "json-render-diagnostics"],
        capture=True,
    )
    for line in messages.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == name:
            return Path(message["executable"])
    raise BuildError(f"cargo built no binary named {name}.")


def _run(project, command, capture=False):
    """Runs Cargo in the project; what it says on standard error is the author's to see as it comes."""
    LOG.debug("running %s", command)
    stdout = subprocess.PIPE if capture else None
    done = subprocess.run(command, cwd=project.root, stdout=stdout, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{' '.join(command[:3])} ended with {done.returncode}; it said why above.")
    return done.stdout
