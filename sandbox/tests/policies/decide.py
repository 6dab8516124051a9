"""Decides requests to a bucket by its policy, as MiniStack's evaluator of policies does.

Takes a JSON file: the policy, the caller, and requests, each with its condition keys. Prints a decision for each.
"""

import json
import sys
from pathlib import Path

from ministack.core.iam_evaluator import EvalContext, evaluate_resource_policy

asked = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
decisions = []
for request in asked["requests"]:
    keys = request["keys"]
    context = EvalContext(
        principal_arn=asked["caller"], principal_type="AssumedRole", principal_account="000000000000",
        action=request["action"], resource_arn=request["resource"], region="us-east-1",
        secure_transport=keys.pop("aws:SecureTransport", "true") == "true",
        service_context={name.lower(): value for name, value in keys.items()})
    decisions.append(evaluate_resource_policy(asked["policy"], context).decision)
print(json.dumps(decisions))
