"""CloudFormation's part for third-party resource types, on top of MiniStack.

Start it with ``python -m registry_types`` (see ``__main__``). Only ``engine`` and ``buckets`` touch MiniStack's
internals; everything else knows schemas, the handler protocol, and nothing of the engine.
"""
