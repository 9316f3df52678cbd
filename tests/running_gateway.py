"""A real gateway in a process of its own, with tokens, for the length of a block."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from couponpress.gateway.tokens import add_token
from couponpress_worker.runtime.redis_server import free_port
from tests import processes
from tests.builders import MCHID

START_SECONDS = 60


@dataclass
class RunningGateway:
    """One gateway."""

    url: str
    tokens: dict[str, str]
    tokens_file: Path
    log: Path
    process: subprocess.Popen

    def caller(self, token="shop", **options):
        """An HTTP client that presents a token."""
        headers = {"Authorization": f"Bearer {self.tokens[token]}"} if token else {}
        return httpx.Client(base_url=f"{self.url}/v1", headers=headers, timeout=30, **options)

    def stop(self):
        """End it as an operator does; returns its exit code."""
        self.process.terminate()
        return self.process.wait(30)


@contextmanager
def running_gateway(directory, redis_url, program=("-m", "couponpress"), **env):
    """`shop` is for two brands, `other` for all; `small` shares the runs of `shop`, for one brand and 5 specs a day.

    Of the roles, `viewer`, `operator` and `auditor` see the specs of one brand in every run, `chief` and `admin` all.
    """
    path, log = directory / "tokens.toml", directory / "gateway.log"
    tokens = {
        "shop": add_token(path, "shop", brands=["120344", "120345"], quota=None, namespace=None),
        "other": add_token(path, "other", brands=None, quota=None, namespace=None),
        "small": add_token(path, "small", brands=["120344"], quota=5, namespace="shop"),
        "viewer": add_token(path, "viewer", brands=["120344"], quota=None, namespace="*", role="viewer"),
        "operator": add_token(path, "operator", brands=["120344"], quota=None, namespace="*", role="operator"),
        "chief": add_token(path, "chief", brands=None, quota=None, namespace="*", role="operator"),
        "auditor": add_token(path, "auditor", brands=["120344"], quota=None, namespace="*", role="admin"),
        "admin": add_token(path, "admin", brands=None, quota=None, namespace="*", role="admin"),
    }
    settings = {"REDIS_URL": redis_url, "MCHID": MCHID, "GATEWAY_TOKENS_FILE": str(path)} | env
    with started(settings, tokens, path, log, program) as gateway:
        yield gateway


@contextmanager
def started(settings, tokens, path, log, program=("-m", "couponpress")):
    """A gateway with these settings, which takes requests."""
    port = free_port()
    with log.open("wb") as output:
        process = processes.start(
            [sys.executable, *program, "gateway", "--port", str(port)],
            env=os.environ | {f"COUPONPRESS_{name}": text for name, text in settings.items()},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    gateway = RunningGateway(f"http://127.0.0.1:{port}", tokens, path, log, process)
    try:
        _wait(gateway)
        yield gateway
    finally:
        process.kill()
        process.wait()


def _wait(gateway):
    deadline = time.monotonic() + START_SECONDS
    while "taking requests" not in gateway.log.read_text() or not _answers(gateway):
        assert gateway.process.poll() is None, gateway.log.read_text()
        assert time.monotonic() < deadline, gateway.log.read_text()
        time.sleep(0.05)


def _answers(gateway):
    try:
        return httpx.get(f"{gateway.url}/v1/health").status_code == 200
    except httpx.TransportError:
        return False
