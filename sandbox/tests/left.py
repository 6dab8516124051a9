"""Lists what stacks make in AWS, for a test to look for what one left: a line for each thing, its region and its description.

Takes the address of the AWS and the regions.
"""

import json
import sys

import boto3

LISTINGS = (("kms", "list_aliases"), ("iam", "list_roles"), ("logs", "describe_log_groups"), ("sns", "list_topics"),
            ("cloudwatch", "describe_alarms"), ("lambda", "list_functions"), ("sqs", "list_queues"),
            ("events", "list_rules"), ("s3", "list_buckets"))

url, *regions = sys.argv[1:]
session = boto3.Session("sandbox", "sandbox")
for region in regions:
    for service, listing in LISTINGS:
        answer = getattr(session.client(service, endpoint_url=url, region_name=region), listing)()
        for things in answer.values():
            for thing in things if isinstance(things, list) else ():
                print(region, service, json.dumps(thing, default=str))
