#!/usr/bin/env python3
"""What the deployment's test does with boto3, a client that is not ours. Each command prints JSON.

    aws.py put BUCKET FIXTURES   fifty objects as users put them; how many there are
    aws.py put-slow BUCKET KEY   a PNG of noise that no machine recompresses in a second
    aws.py put-large BUCKET KEY  a PNG of 36 megapixels in a small file
    aws.py describe STACK        what is deployed: outputs, function, permissions, buckets, queue, logs
    aws.py waiting URL           the messages in a queue, left there
    aws.py left                  what there is in the account
"""

import gzip
import io
import json
import random
import struct
import sys
import zlib
from pathlib import Path

import boto3

MIB = 1 << 20


def png(width, height, rows):
    """An 8-bit RGB PNG of these rows, packed in haste."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packer = zlib.compressobj(1)
    data = b"".join(packer.compress(b"\0" + row) for row in rows) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def objects(fixtures):
    """Key, body and the rest of the request."""
    files = {file.name: file.read_bytes() for file in sorted(fixtures.iterdir()) if file.suffix in SUFFIXES}
    photo, gray, picture = files["photo-420.jpg"], files["gray.jpg"], files["photo.png"]
    noise = random.Random(1).randbytes

    yield from ((f"fixtures/{name}", body, {}) for name, body in files.items())
    # Odd keys.
    for number, key in enumerate(ODD_KEYS):
        yield key, (gray, picture, b"text %d" % number)[number % 3], {}
    # What belongs to an object.
    yield "tagged.jpg", photo, {"Tagging": "project=a%20b%2Bc%2F%C3%A9&empty="}
    yield "tagged.txt", b"text", {"Tagging": "a=1&b=2&c=3"}
    yield "infrequent.jpg", photo, {"StorageClass": "STANDARD_IA", "ContentType": "application/octet-stream"}
    yield "instant.txt", b"text", {"StorageClass": "GLACIER_IR"}
    yield "headers.png", picture, HEADERS
    yield "headers.txt", b"text", HEADERS
    yield "packed.svg", gzip.compress(b"<svg/>", mtime=0), {"ContentEncoding": "gzip", "ContentType": "image/svg+xml"}
    # Broken images, and what is none.
    yield "empty.jpg", b"", {}
    yield "folder/", b"", {}
    yield "half.jpg", photo[: len(photo) // 2], {}
    yield "half.png", picture[: len(picture) // 2], {}
    yield "noise.jpg", noise(50_000), {}
    yield "page.png", b"<!doctype html><title>404</title>", {}
    yield "wrong.png", photo, {"ContentType": "image/png"}
    # Duplicates: the same bytes under two keys, and one key that is put twice.
    yield "copy 1.jpg", photo, {}
    yield "copy 2.jpg", photo, {}
    yield "twice.jpg", b"not yet an image", {"Metadata": {"put": "first"}}
    yield "twice.jpg", photo, {"Metadata": {"put": "second"}}
    # More than goes in one request of boto3's own uploads.
    yield "large.bin", noise(20 * MIB), {}


SUFFIXES = {".jpg", ".png", ".gif", ".txt"}
ODD_KEYS = [
    "a b.jpg", "a+b.png", "100%.jpg", "%2F.jpg", "(1) [2] {3}.png", "写真/回転.jpg", "é.jpg", "e\u0301.png", "a//b.txt",
    "/lead.jpg", "q?x=1&y#z.png", "tilde~'\"!*;:@=,$.jpg", "😀.jpg", "no extension", "UPPER.JPG", "../up.jpg",
    "a/../b.png", " spaces ", "k" * 1024,
]  # fmt: skip
HEADERS = {
    "CacheControl": "public, max-age=31536000, immutable",
    "ContentDisposition": 'attachment; filename="a b.jpg"',
    "ContentLanguage": "ja, de",
    "Metadata": {"artist": "Ueda", "empty": ""},
    "WebsiteRedirectLocation": "/elsewhere.html",
}


def put(bucket, fixtures):
    s3 = boto3.client("s3")
    keys = set()
    for key, body, options in objects(Path(fixtures)):
        if len(body) > 8 * MIB:
            boto3.resource("s3").Object(bucket, key).upload_fileobj(io.BytesIO(body))
        else:
            s3.put_object(Bucket=bucket, Key=key, Body=body, **options)
        keys.add(key)
    return len(keys)


def put_slow(bucket, key):
    width = height = 3000
    noise = random.Random(1).randbytes
    return put_one(bucket, key, png(width, height, (noise(3 * width) for _ in range(height))))


def put_large(bucket, key):
    width = height = 6000
    row = random.Random(1).randbytes(3 * width)
    return put_one(bucket, key, png(width, height, (row for _ in range(height))))


def put_one(bucket, key, body):
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=body)
    return len(body)


def describe(stack):
    cloudformation, s3 = boto3.client("cloudformation"), boto3.client("s3")
    parts = cloudformation.describe_stack_resources(StackName=stack)["StackResources"]
    ids = {part["LogicalResourceId"]: part["PhysicalResourceId"] for part in parts}
    outputs = cloudformation.describe_stacks(StackName=stack)["Stacks"][0].get("Outputs", [])
    iam, role = boto3.client("iam"), ids["Role"]
    policies = iam.list_role_policies(RoleName=role)["PolicyNames"]
    documents = (iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in policies)
    lambda_, latest = boto3.client("lambda"), {"FunctionName": ids["Optimizer"], "Qualifier": "$LATEST"}
    return {
        "template": cloudformation.get_template(StackName=stack, TemplateStage="Processed")["TemplateBody"],
        "outputs": {output["OutputKey"]: output["OutputValue"] for output in outputs},
        "function": lambda_.get_function_configuration(FunctionName=ids["Optimizer"]),
        "on_failure": lambda_.get_function_event_invoke_config(**latest)["DestinationConfig"],
        "may_invoke": json.loads(lambda_.get_policy(FunctionName=ids["Optimizer"])["Policy"])["Statement"],
        "statements": [statement for document in documents for statement in document["Statement"]],
        "attached": iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"],
        "buckets": {
            name: {
                "encryption": s3.get_bucket_encryption(Bucket=ids[name])["ServerSideEncryptionConfiguration"]["Rules"],
                "public": s3.get_public_access_block(Bucket=ids[name])["PublicAccessBlockConfiguration"],
                "policy": json.loads(s3.get_bucket_policy(Bucket=ids[name])["Policy"])["Statement"],
                "triggers": s3.get_bucket_notification_configuration(Bucket=ids[name]).get("LambdaFunctionConfigurations"),
            }
            for name in ("SourceBucket", "DestinationBucket")
            if name in ids
        },
        "queue": boto3.client("sqs").get_queue_attributes(QueueUrl=ids["Failures"], AttributeNames=["All"])["Attributes"],
        "logs": boto3.client("logs").describe_log_groups(logGroupNamePrefix=ids["LogGroup"])["logGroups"],
    }


def waiting(url):
    sqs = boto3.client("sqs")
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0).get("Messages", [])
    return [json.loads(message["Body"]) for message in messages]


def left():
    cloudformation = boto3.client("cloudformation")
    summaries = cloudformation.list_stacks()["StackSummaries"]
    return {
        "stacks": [s["StackName"] for s in summaries if s["StackStatus"] != "DELETE_COMPLETE"],
        "buckets": [bucket["Name"] for bucket in boto3.client("s3").list_buckets()["Buckets"]],
        "functions": [f["FunctionName"] for f in boto3.client("lambda").list_functions()["Functions"]],
        "queues": boto3.client("sqs").list_queues().get("QueueUrls", []),
        "roles": [role["RoleName"] for role in boto3.client("iam").list_roles()["Roles"]],
        "logs": [group["logGroupName"] for group in boto3.client("logs").describe_log_groups()["logGroups"]],
    }


COMMANDS = {command.__name__.replace("_", "-"): command for command in (put, put_slow, put_large, describe, waiting, left)}

if __name__ == "__main__":
    print(json.dumps(COMMANDS[sys.argv[1]](*sys.argv[2:]), default=str))
