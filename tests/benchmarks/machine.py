"""How fast this machine is just now, in two fixed pieces of work that every figure can be divided by."""

import dataclasses
import hashlib
import json
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from cryptography.hazmat.primitives.asymmetric import rsa

from couponpress_worker.wechatpay.client import SUBMIT_TARGET
from couponpress_worker.wechatpay.signing import new_nonce, request_message, sign

#: CPU of one RSA-2048 signature on the machine that the goals were set on, milliseconds.
SIGNATURE_THERE_MS = 0.33
_BODY = b'{"brand_id":"120344","image_generation_type":"CUT_OUT","task_id":"cp_bench"}'


class Signatures:
    """Times signatures of the message that a worker signs, in CPU time of this thread."""

    def __init__(self, key=None, body: bytes = _BODY):
        self._key = key or rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._body = body
        self.seconds: list[float] = []

    def burst(self, count: int = 20) -> None:
        """Sign a few times, so that the cost is known for this very moment of a shared machine."""
        self._sign(3)  # warm
        began = time.thread_time()
        self._sign(count)
        self.seconds.append((time.thread_time() - began) / count)

    def take(self) -> float:
        """Return the median cost since the last call, seconds."""
        taken, self.seconds = self.seconds, []
        return median(taken)

    def _sign(self, count: int) -> None:
        for _ in range(count):
            sign(self._key, request_message("POST", SUBMIT_TARGET, int(time.time()), new_nonce(), self._body))


def reference_loops_per_second(count: int = 20_000) -> float:
    """Return how often a second this thread writes a small object as JSON and hashes it, in CPU time."""
    row = {"row_id": "SP-1", "brand_id": "120344", "offer": {"threshold": 19900, "discount": 2000}, "color": "#ff5733"}
    began = time.thread_time()
    for _ in range(count):
        hashlib.sha256(json.dumps(row).encode()).digest()
    return count / (time.thread_time() - began)


@dataclass(frozen=True)
class Machine:
    """What a reader must know of the machine; nothing that says whose it is."""

    processor: str
    cores: int
    memory_gb: int
    python: str
    began: str
    signature_ms: float
    load_before: float
    load_after: float = 0.0
    seconds: int = 0

    @classmethod
    def look(cls) -> "Machine":
        """Describe the machine before the bench loads it."""
        signatures = Signatures()
        for _ in range(10):
            signatures.burst()
        return cls(
            processor=_processor(),
            cores=len(os.sched_getaffinity(0)),
            memory_gb=round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30),
            python=platform.python_version(),
            began=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            signature_ms=round(signatures.take() * 1000, 3),
            load_before=round(os.getloadavg()[0], 1),
        )

    def at_the_end(self, seconds: float) -> "Machine":
        """Return the same with what is known afterwards."""
        return dataclasses.replace(self, load_after=round(os.getloadavg()[0], 1), seconds=round(seconds))

    @property
    def factor(self) -> float:
        """How much slower this machine signs than the one that the goals were set on."""
        return self.signature_ms / SIGNATURE_THERE_MS


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
