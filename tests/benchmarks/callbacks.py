"""How many callbacks one receiver takes on one core, beside what verifying and opening them costs at least."""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from functools import partial
from statistics import median

from couponpress_worker.completion.callback import CALLBACK_PATH
from couponpress_worker.runtime.redis_server import free_port
from couponpress_worker.sandbox import notices
from couponpress_worker.sandbox.credentials import Credentials
from couponpress_worker.sandbox.signatures import Signatures
from couponpress_worker.wechatpay.signing import FRESHNESS_SECONDS, answer_message, signature_holds, unseal
from tests.benchmarks.bench import Bench, Line
from tests.benchmarks.processes import Others, cpu_seconds_of
from tests.benchmarks.stage import Stage, stage

GOAL_PER_SECOND = 1000.0
#: The platform waits 5 s.
GOAL_MOST_SECONDS = 1.0
CONNECTIONS = 64
RUN = "callbacks"


def measure(bench: Bench) -> list[Line]:
    """Bring callbacks for specs that wait to a receiver on a core of its own, as fast as it takes them."""
    count = 4000 if bench.quick else 8000
    with stage(bench, "callbacks", tls=False) as one:
        per_second, cpu, of_pair, slowest, typical = [], [], [], [], []
        process, port = _receiver(one)
        others = Others()
        for number in range(bench.windows):
            requests, pair_seconds = _requests(bench, one, count, f"{RUN}-{number}", port)
            before, began = cpu_seconds_of(process.pid), time.monotonic()
            took, statuses = asyncio.run(_send(requests, port))
            seconds = time.monotonic() - began
            cpu_seconds = (cpu_seconds_of(process.pid) - before) / count
            if statuses != {204: count}:
                raise RuntimeError(f"not every callback was taken: {dict(statuses)}")
            per_second.append(count / seconds)
            cpu.append(cpu_seconds * 1000)
            of_pair.append(cpu_seconds / pair_seconds)
            slowest.append(max(took))
            typical.append(median(took) * 1000)
            with one.client() as client:
                status = client.run(f"{RUN}-{number}")
            if status.succeeded != count:
                raise RuntimeError(f"only {status.succeeded} of {count} are stored")
        beside = str(others)

    line = partial(Line, "callbacks")
    return [
        line(
            "callbacks of one receiver on one core",
            "/s",
            per_second,
            GOAL_PER_SECOND,
            at_most=False,
            note=f"{count} over {CONNECTIONS} connections, each stored before its answer; the sender and Redis share "
            f"the other cores; {beside}",
        ),
        line("CPU of the receiver per callback", "ms", cpu),
        line(
            "the same in verifications of RSA-2048 with opening of AES-GCM",
            "pairs",
            of_pair,
            note="one pair is what the message itself costs, timed in the same seconds on the bench's core",
        ),
        line("longest wait for an answer", "s", slowest, GOAL_MOST_SECONDS, note="the platform waits 5 s"),
        line("typical wait for an answer at that load", "ms", typical),
    ]


def _receiver(one: Stage):
    port = free_port()
    words = [sys.executable, "-m", "couponpress", "callback", "--port", str(port)]
    core = max(os.sched_getaffinity(0))
    (process,) = one.start(words, 1, "receiving callbacks", core=core)
    return process, port


def _requests(bench: Bench, one: Stage, count: int, run: str, port: int) -> tuple[list[bytes], float]:
    """Enqueue specs, and write the callbacks that end them, byte for byte as they go; and time the pair of checks."""
    with one.client() as client:
        client.enqueue_many(bench.specs(count), run=run)
    credentials = Credentials.prepare(one.sandbox.directory)
    signatures = Signatures(credentials.public_key_id, credentials.platform_key, time.time)
    written, messages = [], []
    for body in bench.bodies(count, run):
        spec = json.loads(body)
        part = "combine_image_result" if spec["image_generation_type"] == "COMBINE_IMAGE" else "cut_out_result"
        task = {name: spec[name] for name in ("brand_id", "task_id", "image_generation_type")}
        task |= {"task_state": "SUCCESS", part: {"image_url": f"https://wxpaylogo.qpic.cn/{spec['task_id']}/0"}}
        notice = notices.write(notices.PICTURE, task, apiv3_key=credentials.apiv3_key, now=time.time()).body
        headers = signatures.headers(notice)
        messages.append((headers, notice))
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        written.append(
            f"POST {CALLBACK_PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n{head}"
            f"Content-Length: {len(notice)}\r\n\r\n".encode()
            + notice
        )
    return written, _pair_seconds(credentials, messages[:500])


def _pair_seconds(credentials: Credentials, messages) -> float:
    """CPU seconds of one verification and one opening, of these very messages."""
    key, opened = credentials.platform_key.public_key, 0
    began = time.thread_time()
    for headers, body in messages:
        message = answer_message(headers["Wechatpay-Timestamp"], headers["Wechatpay-Nonce"], body)
        assert signature_holds(key, message, headers["Wechatpay-Signature"])
        resource = json.loads(body)["resource"]
        nonce, data = resource["nonce"].encode(), resource["associated_data"].encode()
        opened += bool(unseal(credentials.apiv3_key, nonce, resource["ciphertext"], data))
    assert opened == len(messages)
    return (time.thread_time() - began) / len(messages)


async def _send(requests: list[bytes], port: int) -> tuple[list[float], Counter]:
    """Send all of them over a few connections, one at a time on each; returns waits and statuses."""
    waiting = iter(requests)
    took: list[float] = []
    statuses: Counter = Counter()

    async def lane():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in waiting:
            began = time.monotonic()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            took.append(time.monotonic() - began)
            statuses[int(head.split(b" ", 2)[1])] += 1
        writer.close()

    async with asyncio.timeout(FRESHNESS_SECONDS):
        await asyncio.gather(*(lane() for _ in range(CONNECTIONS)))
    return took, statuses
