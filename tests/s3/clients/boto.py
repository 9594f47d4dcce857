"""One object by boto3, checksums calculated and validated: `put BUCKET KEY FILE` or `get BUCKET KEY FILE`.

`get` prints what S3 says of the object, and how boto3 validated it, as JSON.
"""

import json
import sys

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.httpchecksum import StreamingChecksumBody

PART = 5 << 20
verb, bucket, key, path = sys.argv[1:]
s3 = boto3.client("s3")
if verb == "put":
    attributes = {"ContentType": "image/jpeg", "CacheControl": "no-cache", "Metadata": {"author": "boto3"}}
    config = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART)
    s3.upload_file(path, bucket, key, {**attributes, "ChecksumAlgorithm": "CRC64NVME"}, Config=config)
else:
    answer = s3.get_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    with open(path, "wb") as file:
        for chunk in answer["Body"].iter_chunks(1 << 20):
            file.write(chunk)
    print(json.dumps({
        "content_type": answer["ContentType"],
        "cache_control": answer.get("CacheControl"),
        "metadata": answer["Metadata"],
        # A wrong one would have been an exception.
        "validated": isinstance(answer["Body"], StreamingChecksumBody),
    }))
