"""`cfn submit --dry-run`: which binary is packaged, how, and what is said when there is none."""

import io
import json
import zipfile

import pytest
from conftest import elf, settings

from rpdk.rust.codegen import handler_zip

ZIP = "example-demo-widget.zip"


def handler(root):
    with zipfile.ZipFile(root / ZIP) as archive:
        return zipfile.ZipFile(io.BytesIO(archive.read("handler.zip")))


def test_a_given_binary_is_packaged(root, cfn, monkeypatch):
    binary = root / "built"
    binary.write_bytes(elf())
    monkeypatch.setenv("RPDK_RUST_BOOTSTRAP", str(binary))
    code, said = cfn("submit", "--dry-run")
    assert (code, "glibc" in said) == (0, False)
    (entry,) = handler(root).infolist()
    assert entry.filename == "bootstrap"
    assert entry.external_attr >> 16 == 0o100755
    assert handler(root).read("bootstrap") == elf()
    with zipfile.ZipFile(root / ZIP) as archive:
        assert {".rpdk-config", "schema.json", "handler.zip"} <= set(archive.namelist())
        metadata = json.loads(archive.read(".cfn_metadata.json"))
    assert metadata["plugin-name"] == "rust"


def test_the_environment_wins_over_the_setting(root, cfn, monkeypatch):
    settings(root, bootstrap="from-setting")
    (root / "from-setting").write_bytes(elf() + b"setting")
    assert cfn("submit", "--dry-run")[0] == 0
    assert handler(root).read("bootstrap").endswith(b"setting")
    (root / "from-environment").write_bytes(elf() + b"environment")
    monkeypatch.setenv("RPDK_RUST_BOOTSTRAP", "from-environment")
    assert cfn("submit", "--dry-run")[0] == 0
    assert handler(root).read("bootstrap").endswith(b"environment")


def test_equal_binaries_give_equal_packages(tmp_path):
    (tmp_path / "a").write_bytes(elf())
    (tmp_path / "b").write_bytes(elf())
    assert handler_zip(tmp_path / "a") == handler_zip(tmp_path / "b")


def test_a_given_binary_that_lambda_cannot_start_is_a_warning(root, cfn, monkeypatch):
    (root / "built").write_bytes(b"\xcf\xfa\xed\xfe" + bytes(20))
    monkeypatch.setenv("RPDK_RUST_BOOTSTRAP", "built")
    code, said = cfn("submit", "--dry-run")
    assert code == 0
    assert "no x86_64 Linux binary" in said


# Stand-ins for Cargo: what counts is which command is run and what is made of its outcome.
CARGO = """
import json, pathlib, sys
binary = pathlib.Path("target/out"); binary.parent.mkdir(exist_ok=True); binary.write_bytes({data!r})
pathlib.Path("target/arguments").write_text(" ".join(sys.argv[1:]))
print(json.dumps({{"reason": "compiler-artifact", "target": {{"name": "lib"}}, "executable": None}}))
print(json.dumps({{"reason": "compiler-artifact", "target": {{"name": "bootstrap"}}, "executable": str(binary.absolute())}}))
"""
CARGO_LAMBDA = """
import json, pathlib, sys
target = pathlib.Path("elsewhere").absolute()
if sys.argv[1] == "metadata":
    print(json.dumps({{"target_directory": str(target)}})); sys.exit()
folder = target / "lambda" / "bootstrap"; folder.mkdir(parents=True, exist_ok=True)
(folder / "bootstrap").write_bytes({data!r})
(target / "arguments").write_text(" ".join(sys.argv[1:]))
"""


@pytest.fixture(name="linux", autouse=True)
def fixture_linux(monkeypatch):
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")


def test_cargo_builds_the_projects_binary(cargo_project, cfn, tools):
    tools.add("cargo", CARGO.format(data=elf(glibc="2.34")))
    code, said = cfn("submit", "--dry-run")
    assert code == 0, said
    assert handler(cargo_project).read("bootstrap") == elf(glibc="2.34")
    arguments = (cargo_project / "target/arguments").read_text()
    assert arguments.startswith("build --release --bin bootstrap --target x86_64-unknown-linux-gnu ")


def test_the_target_is_a_setting(cargo_project, cfn, tools):
    settings(cargo_project, target="x86_64-unknown-linux-musl")
    tools.add("cargo", CARGO.format(data=elf()))
    assert cfn("submit", "--dry-run")[0] == 0
    assert "--target x86_64-unknown-linux-musl " in (cargo_project / "target/arguments").read_text()


@pytest.mark.parametrize("runtime,glibc", [("provided.al2023", "2.34"), ("provided.al2", "2.26")])
def test_cargo_lambda_with_zig_links_for_the_runtime(cargo_project, cfn, tools, runtime, glibc):
    settings(cargo_project, runtime=runtime)
    tools.add("cargo", CARGO_LAMBDA.format(data=elf(glibc=glibc)))
    for name in ("cargo-lambda", "zig"):
        tools.add(name, "")
    code, said = cfn("submit", "--dry-run")
    assert code == 0, said
    arguments = (cargo_project / "elsewhere/arguments").read_text()
    assert arguments == f"lambda build --release --bin bootstrap --target x86_64-unknown-linux-gnu.{glibc}"


def refuse(said, *sentences):
    """The CLI's critical line, once, without a trace."""
    assert "Traceback" not in said and "Unhandled" not in said
    for sentence in sentences:
        assert sentence in said
    assert len([line for line in said.splitlines() if line.strip()]) == 2, said  # "Resource schema is valid." first


def test_no_toolchain(cargo_project, cfn, tools):
    code, said = cfn("submit", "--dry-run")
    assert code == 1
    refuse(said, "cargo was not found: install Rust (https://rustup.rs)")


def test_no_cargo_project(root, cfn, tools):
    code, said = cfn("submit", "--dry-run")
    assert code == 1
    refuse(said, "has no Cargo.toml", "RPDK_RUST_BOOTSTRAP")


def test_a_given_binary_that_is_missing(root, cfn, monkeypatch):
    monkeypatch.setenv("RPDK_RUST_BOOTSTRAP", "nowhere")
    code, said = cfn("submit", "--dry-run")
    assert code == 1
    refuse(said, "nowhere", "RPDK_RUST_BOOTSTRAP names, does not exist")


def test_another_machine_without_zig(cargo_project, cfn, tools, monkeypatch):
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    tools.add("cargo", "")
    code, said = cfn("submit", "--dry-run")
    assert code == 1
    refuse(said, "takes cargo-lambda and zig: pip install cargo-lambda ziglang")


@pytest.mark.parametrize(
    "data,runtime,sentence",
    [
        (elf(glibc="2.39"), "provided.al2023", "wants glibc 2.39, and provided.al2023 has 2.34"),
        (elf(glibc="2.34"), "provided.al2", "wants glibc 2.34, and provided.al2 has 2.26"),
        (elf(machine=183), "provided.al2023", "no x86_64 Linux binary"),
    ],
)
def test_a_build_that_lambda_cannot_start_is_refused(cargo_project, cfn, tools, data, runtime, sentence):
    settings(cargo_project, runtime=runtime)
    tools.add("cargo", CARGO.format(data=data))
    code, said = cfn("submit", "--dry-run")
    assert code == 1
    refuse(said, sentence)


def test_a_failed_build(cargo_project, cfn, tools):
    tools.add("cargo", "raise SystemExit(101)")
    code, said = cfn("submit", "--dry-run")
    assert code == 1
    refuse(said, "cargo build --release ended with 101")


def test_validate_takes_the_language(root, cfn):
    assert cfn("validate") == (0, "Resource schema is valid.\n")
