#!/usr/bin/env python3
"""What `make redrive` and `make destroy` do with a deployed stack.

    stack.py redrive STACK            send the events in the failure queue to the function again
    stack.py destroy STACK [--empty]  remove the stack; with --empty its buckets and all that is in them, too

Wants boto3, which comes with the SAM CLI.
"""

import argparse
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote_plus

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

# Seconds: more than an invocation can last (900), less than a message stays hidden while it is worked on (960).
INVOCATION_ENDS_WITHIN = 920
# Invocations at once: enough to be quick, few enough to leave the function to new images.
AT_ONCE = 8
# The error type of the function's own answer, src/lambda/answer.rs.
RECORDS_FAILED = "RecordsFailed"
HIDDEN = "ApproximateNumberOfMessagesNotVisible"


def resources(stack):
    """Logical ID to physical ID of what the stack consists of."""
    pages = boto3.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
    summaries = (summary for page in pages for summary in page["StackResourceSummaries"])
    there = (s for s in summaries if s.get("PhysicalResourceId") and s["ResourceStatus"] != "DELETE_COMPLETE")
    return {s["LogicalResourceId"]: s["PhysicalResourceId"] for s in there}


def redrive(stack):
    """Every message goes to the function as it is: it knows the record of an on-failure destination, and copies what has
    ended it before. A message is deleted when the function has answered, and not before."""
    parts = resources(stack)
    queue, function = parts["Failures"], parts["Optimizer"]
    sqs = boto3.client("sqs")
    config = Config(
        read_timeout=INVOCATION_ENDS_WITHIN,
        retries={"total_max_attempts": 1},
        max_pool_connections=AT_ONCE,
        tcp_keepalive=True,
    )
    lambda_ = boto3.client("lambda", config=config)

    def invoke(event):
        response = lambda_.invoke(FunctionName=function, Payload=json.dumps(event).encode())
        return json.load(response["Payload"]), "FunctionError" in response

    def again(message):
        event = json.loads(message["Body"])
        answer, failed = invoke(event)
        if failed and answer.get("errorType") != RECORDS_FAILED:
            # It has ended the function just now: told so, the function copies.
            ended = {"functionError": "Unhandled"}
            answer, failed = invoke({"requestPayload": event, "responseContext": ended, "responsePayload": answer})
        if failed:
            return False, f"failed again: {answer.get('errorMessage')}"
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return True, ", ".join(record["outcome"] for record in answer["records"]) or "nothing to do"

    def told(message):
        try:
            well, outcome = again(message)
        except Exception as error:  # Whatever one message does, the others are sent.
            well, outcome = False, f"failed again: {error}"
        print(f"{objects(message['Body'])}: {outcome}", flush=True)
        return well

    done, failed = 0, {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        # Two empty answers in a row: one alone may only mean that other parts of the queue were asked.
        empty = 0
        while empty < 2:
            answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=AT_ONCE, WaitTimeSeconds=2)
            messages = [m for m in answer.get("Messages", []) if m["MessageId"] not in failed]
            empty = 0 if messages else empty + 1
            for message, well in zip(messages, pool.map(told, messages)):
                done += well
                if not well:
                    failed[message["MessageId"]] = message["ReceiptHandle"]
    for receipt in failed.values():
        # For the next redrive to find it at once.
        sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=receipt, VisibilityTimeout=0)
    print(f"{done} done, {len(failed)} failed again" + (" and still in the queue" if failed else ""))
    hidden = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=[HIDDEN])["Attributes"][HIDDEN]
    if int(hidden):
        print(f"{hidden} more are being processed elsewhere; those that fail return within 16 minutes")
    return 1 if failed else 0


def objects(body):
    """The objects that an event, or the record around it, is about."""
    try:
        event = json.loads(body)
        while "requestPayload" in event:
            event = event["requestPayload"]
        of = (record["s3"] for record in event["Records"])
        return ", ".join(f"s3://{s3['bucket']['name']}/{unquote_plus(s3['object']['key'])}" for s3 in of)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return f"not an S3 event: {body[:80]}"


def destroy(stack, empty):
    """The template keeps the buckets when the stack goes, so they are emptied and removed after it, if at all."""
    parts = resources(stack)
    created = [parts[name] for name in ("SourceBucket", "DestinationBucket") if name in parts]
    sam = Path(sys.executable).with_name("sam")
    code = subprocess.run([sam, "delete", "--stack-name", stack, "--no-prompts"], check=False).returncode
    if code:
        return code
    for name in created:
        if empty:
            remove(boto3.resource("s3").Bucket(name))
            print(f"s3://{name} is removed, with all its objects")
        else:
            print(f"s3://{name} stays, with all its objects; to remove it: aws s3 rb --force s3://{name}")
    return 0


def remove(bucket):
    try:
        for upload in bucket.multipart_uploads.all():
            upload.abort()
        bucket.object_versions.delete()
        bucket.delete()
    except bucket.meta.client.exceptions.NoSuchBucket:
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("redrive", "destroy"):
        command = commands.add_parser(name)
        command.add_argument("stack")
        if name == "destroy":
            command.add_argument("--empty", action="store_true")
    args = parser.parse_args()
    try:
        return redrive(args.stack) if args.command == "redrive" else destroy(args.stack, args.empty)
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"error: stack {args.stack}: {error}")
    except KeyError as missing:
        sys.exit(f"error: stack {args.stack} has no {missing}: is it one of Karui's?")


if __name__ == "__main__":
    sys.exit(main())
