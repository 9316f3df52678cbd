"""Writes the records of this version: `python -m tests.records`, once, when a release is made."""

import json
import socket
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import redis

from couponpress_worker.runtime import redis_server
from tests.records import HOME, dump, make, told

with tempfile.TemporaryDirectory() as directory:
    port = redis_server.free_port()
    server = redis_server.start(Path(directory), port)
    try:
        url = f"redis://127.0.0.1:{port}/0"
        make(url)
        with redis.Redis.from_url(url) as plain:
            held = {"records": dump(plain), "told": told(url)}
    finally:
        redis_server.stop(server)
path = HOME / f"{version('couponpress')}.json"
text = json.dumps(held, ensure_ascii=True, indent=1).replace(f"@{socket.gethostname()}", "@ops-1")
path.write_text(f"{text}\n", encoding="ascii")
sys.stdout.write(f"{path}: {len(held['records'])} keys\n")
