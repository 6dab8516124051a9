"""Starts the local CloudFormation: MiniStack on loopback, with the registered types. See ``--help``."""

import argparse
import asyncio
import json
import logging
import os
import signal
import socket
import sys
from pathlib import Path

from .handlers import Handler, Limits
from .schemas import SchemaError, load

READY = "ready: CloudFormation at http://127.0.0.1:{port} with {count} registered types"


def arguments():
    """The command line, documented."""
    parser = argparse.ArgumentParser(prog="python -m registry_types", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--schemas", type=Path, required=True, help="folder of resource type schemas, read once")
    parser.add_argument("--lambda-endpoint", required=True, help="where the handlers' Lambda is invoked")
    parser.add_argument("--function", metavar="[ORGANISATION=]NAME", action="append", required=True,
                        help="name of the handlers' Lambda function, for the types of an organisation or for all others")
    parser.add_argument("--type-configuration", type=Path, help="JSON file: the configuration of every type that takes one")
    parser.add_argument("--data", type=Path, required=True, help="folder for everything that is written")
    parser.add_argument("--function-environment", metavar="NAME=VALUE", action="append", default=[],
                        help="a variable of every Lambda function's environment, unless the function sets it")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--account", default="000000000000", help="twelve digits")
    parser.add_argument("--retries", type=int, default=Limits.retries,
                        help="of a retriable failure, and of an invocation that died")
    parser.add_argument("--retry-delay", type=float, default=Limits.retry_delay,
                        help="seconds before the first retry; doubles with each")
    parser.add_argument("--invocation-timeout", type=float, default=Limits.invocation, help="seconds")
    parser.add_argument("--operation-timeout", type=float,
                        help="seconds for one operation, instead of the schema's timeoutInMinutes")
    parser.add_argument("--log-level", default="ERROR", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    return parser.parse_args()


def fail(message):
    """Ends the process with one line."""
    print(f"cannot start CloudFormation: {message}", file=sys.stderr)
    raise SystemExit(1)


def listen(port):
    """A socket on loopback. Bound before the engine loads, which reads the port when imported."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        fail(f"127.0.0.1:{port}: {error.strerror}")
    return listener


def configure(options, port):
    """MiniStack's settings. It reads them from the environment while it is imported."""
    data = options.data.resolve()
    # Functions inherit the environment, and the user's own account is none of their business.
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(one.split("=", 1) for one in options.function_environment)
    for folder in ("s3", "state", "tmp", "home"):
        (data / folder).mkdir(parents=True, exist_ok=True)
    os.environ.update({
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "MINISTACK_REGION": options.region,
        "MINISTACK_ACCOUNT_ID": options.account,
        "MINISTACK_DATA_DIR": str(data),
        "S3_DATA_DIR": str(data / "s3"),
        "STATE_DIR": str(data / "state"),
        "TMPDIR": str(data / "tmp"),
        "HOME": str(data / "home"),
        "LOG_LEVEL": options.log_level,
        # Its brokers listen on every interface; its containers are not ours to look for.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": f"unix://{data}/no-docker",
        "PERSIST_STATE": "0",
        "S3_PERSIST": "0",
    })
    for name in ("SERVICES", "USE_SSL", "AUTH", "LOCALSTACK_PERSISTENCE"):
        os.environ.pop(name, None)
    logging.basicConfig(level=options.log_level)


def install(types, handler, configuration):
    """Loads MiniStack and gives it the registered types."""
    from . import buckets, custom_resources, engine, functions, keys, replicas, versions
    from .cloud_control import CloudControl
    from .resources import Resources
    from .type_actions import Configurations, TypeActions

    try:
        engine.check()
    except engine.EngineChanged as error:
        fail(error)
    configurations = Configurations(types, configuration)
    state = engine.Engine()
    resources = Resources(types, handler, configurations, state)
    engine.install(resources)
    CloudControl(resources).install()
    TypeActions(types, configurations, state).install()
    buckets.install()
    replicas.install()
    versions.install()
    keys.install()
    functions.install()
    custom_resources.install(state)


async def serve(listener, ready):
    """Serves until SIGTERM or SIGINT."""
    from hypercorn.asyncio import serve as hypercorn
    from hypercorn.config import Config
    from ministack.app import app

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 0.5
    config.shutdown_timeout = 5
    config.loglevel = os.environ["LOG_LEVEL"]
    server = asyncio.create_task(hypercorn(app, config, shutdown_trigger=stop.wait))
    if await answering(listener.getsockname()[1], server):
        print(ready, flush=True)
    await server


async def answering(port, server):
    """Waits until the health endpoint answers; False when the server ended before."""
    while not server.done():
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /_ministack/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            line = await asyncio.wait_for(reader.readline(), 5)
            writer.close()
            if b" 200" in line:
                return True
        except (OSError, asyncio.TimeoutError):
            pass
        await asyncio.sleep(0.02)
    return False


def main():
    """The command."""
    options = arguments()
    if not (options.account.isdigit() and len(options.account) == 12):
        fail(f"account {options.account} is not twelve digits")
    try:
        types = load(options.schemas)
        configuration = (json.loads(options.type_configuration.read_text(encoding="utf-8"))
                         if options.type_configuration else None)
    except SchemaError as error:
        fail(error)
    except OSError as error:
        fail(f"type configuration {options.type_configuration}: {error.strerror}")
    except ValueError as error:
        fail(f"type configuration {options.type_configuration} is not JSON: {error}")
    functions = dict(name.split("=", 1) if "=" in name else ("", name) for name in options.function)
    handler = Handler(options.lambda_endpoint, functions,
                      Limits(options.retries, options.retry_delay, options.invocation_timeout,
                             options.operation_timeout))
    listener = listen(options.port)
    port = listener.getsockname()[1]
    configure(options, port)
    install(types, handler, configuration)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(serve(listener, READY.format(port=port, count=len(types))))
    # An operation may still wait for its handler on a thread; leaving the interpreter in order would wait with it.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
