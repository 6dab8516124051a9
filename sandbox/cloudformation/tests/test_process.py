"""The process: what it listens on, how it ends, and what it says when it cannot start."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT, Cloud
from toy import SHELF, hang

from registry_types import engine
from registry_types.schemas import SchemaError, load


def listening(pid):
    """The addresses a process listens on."""
    links = [os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir()]
    inodes = {link[len("socket:["):-1] for link in links if link.startswith("socket:")}
    found = []
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] in inodes and (fields[3] == "0A" or table.startswith("udp")):
                found.append(fields[1].split(":")[0])
    return found


@pytest.mark.skipif(not Path("/proc/self/net").exists(), reason="needs Linux's /proc")
def test_listens_on_loopback_only_and_writes_below_its_folder(tmp_path):
    cloud = Cloud(tmp_path, "http://127.0.0.1:1")
    try:
        assert set(listening(cloud.process.pid)) == {"0100007F"}
        assert not Path(f"/proc/{cloud.process.pid}/task/{cloud.process.pid}/children").read_text()
    finally:
        assert cloud.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_at_once_in_the_middle_of_an_operation(tmp_path, toy, stack, number):
    cloud = Cloud(tmp_path, toy.endpoint)
    toy.fault("CREATE", hang(5))
    template = {"Resources": {"Shelf": {"Type": "Toy::Cloud::Shelf", "Properties": {"Size": 3}}}}
    change_set = cloud.change_set(stack, template)
    cloud.cfn.execute_change_set(ChangeSetName=change_set["ChangeSetId"])
    while not toy.events:
        time.sleep(0.02)
    began = time.monotonic()
    cloud.process.send_signal(number)
    assert cloud.process.wait(4) == 0
    assert time.monotonic() - began < 3


def start(folder, *more, **schema):
    """A start that fails; its only line."""
    (folder / "schemas").mkdir(exist_ok=True)
    if schema:
        (folder / "schemas" / "a.json").write_text(json.dumps({**SHELF, **schema}))
    arguments = ["--port", "0", "--schemas", str(folder / "schemas"), "--lambda-endpoint", "http://127.0.0.1:1",
                 "--function", "toy", "--data", str(folder / "data"), *more]
    done = subprocess.run([sys.executable, "-m", "registry_types", *arguments], cwd=ROOT, capture_output=True,
                          text=True, timeout=20)
    assert done.returncode == 1 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("cannot start CloudFormation: ")
    return line


def test_start_failures_are_one_clear_line(tmp_path):
    assert "a.json: typeName 'Shelf' is not of the form" in start(tmp_path, typeName="Shelf")
    assert "has no primaryIdentifier" in start(tmp_path, primaryIdentifier=[])
    (tmp_path / "schemas" / "a.json").write_text("{")
    assert "a.json: " in start(tmp_path)
    (tmp_path / "schemas" / "a.json").unlink()
    assert "No such file" in start(tmp_path, "--type-configuration", str(tmp_path / "none.json"))
    assert "not twelve digits" in start(tmp_path, "--account", "1")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "in use" in start(tmp_path, "--port", str(taken.getsockname()[1]))


def test_schema_folder(tmp_path):
    with pytest.raises(SchemaError, match="does not exist"):
        load(tmp_path / "none")
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(json.dumps(SHELF))
    with pytest.raises(SchemaError, match="described by another file too"):
        load(tmp_path)


def test_missing_hook_is_named(monkeypatch):
    engine.check()
    stacks = engine.module("stacks")
    monkeypatch.delattr(stacks, "_sends_back_failed_update")
    monkeypatch.setattr(stacks, "_runs_on_worker_thread", lambda kind, more: False)
    with pytest.raises(engine.EngineChanged) as error:
        engine.check()
    assert str(error.value).endswith("hooks ministack.services.cloudformation.stacks._runs_on_worker_thread, "
                                     "ministack.services.cloudformation.stacks._sends_back_failed_update")
    monkeypatch.setattr(engine, "VERSION", "0.0.1")
    with pytest.raises(engine.EngineChanged, match="MiniStack 0.0.1 is needed, 1.5.33 is installed"):
        engine.check()
