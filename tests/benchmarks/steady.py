"""A steady state, measured in windows: what one accepted submission took of whom."""

import time
from collections import Counter
from dataclasses import dataclass

from couponpress_worker.settings import Secrets
from tests.benchmarks import processes
from tests.benchmarks.machine import Signatures
from tests.benchmarks.stage import Stage


@dataclass(frozen=True)
class Sample:
    """The counters of one moment."""

    at: float
    accepted: int
    received: int
    workers_cpu: float
    redis_cpu: float
    sandbox_cpu: float
    redis_commands: int


@dataclass(frozen=True)
class Window:
    """What lies between two samples, per accepted submission; times in seconds of CPU."""

    rate: float
    workers_cpu: float
    redis_cpu: float
    sandbox_cpu: float
    redis_commands: float
    signature_cpu: float

    @property
    def in_signatures(self) -> float:
        """CPU of all worker processes per accepted submission, in signatures timed in the same seconds."""
        return self.workers_cpu / self.signature_cpu


def sample(stage: Stage) -> Sample:
    """Read every counter."""
    counted = stage.sandbox.statistics()
    return Sample(
        at=time.monotonic(),
        accepted=counted["accepted"],
        received=counted["received"],
        workers_cpu=processes.cpu_seconds(process.pid for process in stage.workers),
        redis_cpu=processes.cpu_seconds_of(stage.redis_process.pid),
        sandbox_cpu=processes.cpu_seconds_of(stage.sandbox.process.pid),
        redis_commands=stage.redis.info("stats")["total_commands_processed"],
    )


def between(before: Sample, after: Sample, signature_cpu: float) -> Window:
    """Return what one accepted submission took between two samples."""
    accepted = after.accepted - before.accepted
    if not accepted:
        raise RuntimeError("nothing was accepted within a window; the workers' logs say why")
    return Window(
        rate=accepted / (after.at - before.at),
        workers_cpu=(after.workers_cpu - before.workers_cpu) / accepted,
        redis_cpu=(after.redis_cpu - before.redis_cpu) / accepted,
        sandbox_cpu=(after.sandbox_cpu - before.sandbox_cpu) / max(after.received - before.received, 1),
        redis_commands=(after.redis_commands - before.redis_commands) / accepted,
        signature_cpu=signature_cpu,
    )


def windows(stage: Stage, signatures: Signatures, *, count: int, seconds: float) -> list[Window]:
    """Measure windows one after the other; in each second a few signatures are timed beside the work."""
    found = []
    for _ in range(count):
        before = sample(stage)
        until = time.monotonic() + seconds
        while (rest := until - time.monotonic()) > 0:
            time.sleep(min(1.0, rest))
            signatures.burst()
        found.append(between(before, sample(stage), signatures.take()))
    return found


def signatures_of(stage: Stage) -> Signatures:
    """Return the means to time signatures with the fleet's own key."""
    return Signatures(Secrets.read(stage.settings).private_key)


def commands_sent(stage: Stage, seconds: float) -> tuple[float, Counter[str]]:
    """Watch Redis for a while: commands that clients sent per accepted submission, and which; not those in scripts."""
    sent: Counter[str] = Counter()
    before = stage.sandbox.statistics()["accepted"]
    until = time.monotonic() + seconds
    with stage.redis.monitor() as monitor:
        while time.monotonic() < until:
            heard = monitor.next_command()
            if heard["client_type"] != "lua":
                sent[_kind(heard["command"])] += 1
    accepted = max(stage.sandbox.statistics()["accepted"] - before, 1)
    return sum(sent.values()) / accepted, Counter({name: n / accepted for name, n in sent.items()})


def _kind(command: str) -> str:
    """Name a command; a script by what it is for, which its keys tell."""
    name = command.split(" ", 1)[0].upper()
    if name != "EVALSHA":
        return name
    return (
        "script for slots"
        if ":bucket:" in command
        else "script for moves"
        if ":reasons:" in command
        else "other script"
    )
