"""Copies a bucket to a container, as one would with boto3 and azure-storage-blob."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
import requests
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import ContainerClient
from botocore.config import Config
from requests.adapters import HTTPAdapter


def main(bucket: str, tuned: bool) -> None:
    # As they come: boto3 keeps ten connections, and a blob is uploaded block by block.
    threads, parallel, options = 10, 1, {}
    if tuned:
        threads, parallel = 32, 4
        # Requests keeps ten connections too, and would shake hands anew for every other upload.
        session = requests.Session()
        session.mount("https://", HTTPAdapter(pool_connections=4, pool_maxsize=threads * parallel))
        options = {"transport": RequestsTransport(session=session, session_owner=False), "max_block_size": 8 << 20}
    s3 = boto3.client("s3", config=Config(max_pool_connections=threads, s3={"addressing_style": "path"}))
    container = ContainerClient.from_container_url(os.environ["BACKUP_CONTAINER_URL"], **options)

    def copy(key: str) -> None:
        got = s3.get_object(Bucket=bucket, Key=key)
        container.upload_blob(
            key, got["Body"], length=got["ContentLength"], overwrite=True, max_concurrency=parallel
        )

    with ThreadPoolExecutor(threads) as pool:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        keys = (listed["Key"] for page in pages for listed in page.get("Contents", []))
        for _ in pool.map(copy, keys):
            pass


if __name__ == "__main__":
    main(sys.argv[1], "--tuned" in sys.argv)
