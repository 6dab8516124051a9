import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from toy import BOOK, SHELF, Toy

ROOT = Path(__file__).parent.parent
CONFIGURATION = {"Login": "toy", "Key": "{{resolve:secretsmanager:toy-key:SecretString:key}}"}


class Cloud:
    """A running local CloudFormation and its clients."""

    def __init__(self, folder, endpoint, *options):
        schemas = folder / "schemas"
        schemas.mkdir()
        for schema in (SHELF, BOOK):
            name = schema["typeName"].replace("::", "-").lower()
            (schemas / f"{name}.json").write_text(json.dumps(schema))
        (folder / "configuration.json").write_text(json.dumps(CONFIGURATION))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "registry_types", "--port", "0", "--schemas", str(schemas), "--lambda-endpoint",
             endpoint, "--function", "toy", "--type-configuration", str(folder / "configuration.json"), "--data",
             str(folder / "data"), "--retries", "2", "--retry-delay", "0.05", *options],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "AWS_PROFILE": "the user's own"})
        line = self.process.stdout.readline()
        assert line.startswith("ready: "), line
        self.url = line.split()[3]
        self.cfn = self.client("cloudformation")
        self.client("secretsmanager").create_secret(Name="toy-key", SecretString=json.dumps({"key": "s3cret"}))

    def client(self, service):
        """A boto3 client of this cloud."""
        return boto3.client(service, endpoint_url=self.url, region_name="us-east-1", aws_access_key_id="test",
                            aws_secret_access_key="test", config=Config(retries={"max_attempts": 1},
                                                                        s3={"addressing_style": "path"}))

    def stop(self):
        """Ends the process; returns its exit code."""
        self.process.terminate()
        return self.process.wait(10)

    def change_set(self, stack, template, kind=None, **more):
        """Creates a change set; returns its description and the time-saving name."""
        if kind is None:
            kind = "UPDATE" if self.status(stack) else "CREATE"
        made = self.cfn.create_change_set(
            StackName=stack, ChangeSetName=f"c{uuid.uuid4().hex[:8]}", ChangeSetType=kind,
            TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"], **more)
        return self.cfn.describe_change_set(ChangeSetName=made["Id"])

    def execute(self, change_set, **more):
        """Executes a change set and returns the stack's status at the end."""
        self.cfn.execute_change_set(ChangeSetName=change_set["ChangeSetId"], StackName=change_set["StackName"], **more)
        return self.settled(change_set["StackName"])

    def deploy(self, stack, template, **more):
        """Creates or updates a stack through a change set; returns the status at the end."""
        change_set = self.change_set(stack, template, **more)
        assert change_set["ExecutionStatus"] == "AVAILABLE", change_set
        return self.execute(change_set)

    def delete(self, stack, **more):
        """Deletes a stack; returns the status at the end."""
        stack_id = self.describe(stack)["StackId"]
        self.cfn.delete_stack(StackName=stack, **more)
        return self.settled(stack_id)

    def describe(self, stack):
        """The stack."""
        return self.cfn.describe_stacks(StackName=stack)["Stacks"][0]

    def status(self, stack):
        """The stack's status, or None without a stack."""
        try:
            return self.describe(stack)["StackStatus"]
        except self.cfn.exceptions.ClientError:
            return None

    def settled(self, stack):
        """Waits until nothing is in progress."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            status = self.status(stack)
            if not status.endswith("_IN_PROGRESS"):
                return status
            time.sleep(0.03)
        raise AssertionError(f"{stack} is still {status}")

    def outputs(self, stack):
        """The stack's outputs as a map."""
        return {output["OutputKey"]: output["OutputValue"] for output in self.describe(stack).get("Outputs", [])}

    def resources(self, stack):
        """Physical ids by logical id."""
        found = self.cfn.list_stack_resources(StackName=stack)["StackResourceSummaries"]
        return {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in found}

    def events(self, stack):
        """``(logical id, status, reason)`` of every event, oldest first."""
        found = self.cfn.describe_stack_events(StackName=stack)["StackEvents"]
        return [(one["LogicalResourceId"], one["ResourceStatus"], one.get("ResourceStatusReason", ""))
                for one in reversed(found)]

    def reason(self, stack, logical_id, status):
        """The reason of the last event of that kind."""
        return [reason for name, state, reason in self.events(stack) if (name, state) == (logical_id, status)][-1]


@pytest.fixture(scope="session")
def _toy():
    return Toy()


@pytest.fixture(scope="session")
def cloud(_toy, tmp_path_factory):
    running = Cloud(tmp_path_factory.mktemp("cloud"), _toy.endpoint, "--operation-timeout", "4",
                    "--invocation-timeout", "1", "--function-environment", "MARK=of all", "--function-environment",
                    "SHARED=of all")
    yield running
    assert running.stop() == 0


@pytest.fixture
def toy(_toy):
    _toy.reset()
    return _toy


@pytest.fixture
def stack():
    return f"s{uuid.uuid4().hex[:10]}"
