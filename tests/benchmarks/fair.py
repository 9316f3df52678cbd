"""How soon ten rows of one brand are on the wire behind a great many of another, and what fair shares cost.

One worker and a limit of 500 a second. First one brand alone has work, then small runs of other brands come one after
the other, then many brands wait at once.
"""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from couponpress.ledger.chunks import CHUNK_SIZE
from couponpress_worker.submission.leased_chunk import CHUNKS_IN_HAND
from tests.benchmarks import steady
from tests.benchmarks.bench import Bench, Line
from tests.benchmarks.processes import Others
from tests.benchmarks.rate import GOAL_SHARE, LIMIT
from tests.benchmarks.stage import Stage, stage
from tests.chaos.audit import surely_in_any_second

#: What a brand may wait beyond the time that the chunks in hand take.
GOAL_SECONDS = 2.0
#: The same in rows, which a slow machine does not change.
GOAL_ROWS = CHUNKS_IN_HAND * CHUNK_SIZE + GOAL_SECONDS * LIMIT
#: What fair shares may cost each submission, in commands of clients.
GOAL_COMMANDS = 0.05
SMALL_RUNS, SMALL_ROWS = 5, 10
#: The brands that wait at once at the end, with so many rows each.
BRANDS, ROWS = 20, 2_000
SETTLE_SECONDS = 3.0


def measure(bench: Bench) -> list[Line]:
    """Enqueue the large brand, start a worker, and measure one brand alone, small runs behind it, and many brands."""
    with stage(bench, "fair") as one, one.client() as client:
        began = time.monotonic()
        client.enqueue_many(_rows("large", bench.backlog, "1"), run="large")
        seconds = time.monotonic() - began
        one.start_workers()
        one.wait_for_sending(SETTLE_SECONDS)
        others = Others()
        alone = _windows(bench, one)
        waits, before = [], []
        for number in range(SMALL_RUNS):
            name = f"small_{number}"
            client.enqueue_many(_rows(name, SMALL_ROWS, str(100 + number)), run=name)
            waited, others_sent = _until_on_the_wire(one, name, time.time())
            waits.append(waited)
            before.append(others_sent)
        left = client.run("large").waiting
        rows = (row for at in range(BRANDS) for row in _rows(f"many_{at}", ROWS, str(200 + at)))
        client.enqueue_many(rows, run="many")
        time.sleep(SETTLE_SECONDS)
        many = _windows(bench, one)
        beside = str(others)
        counted, surely = one.sandbox.statistics(), surely_in_any_second(one.sandbox.calls())
    in_hand = CHUNKS_IN_HAND * CHUNK_SIZE / alone.rate
    note = (
        f"{SMALL_RUNS} runs of {SMALL_ROWS} rows, the last row of each, from enqueue's return; {left} of the large "
        f"brand waited after it; {CHUNKS_IN_HAND} chunks in hand take {in_hand:.1f} s; {beside}"
    )
    more = "commands per submission, many brands minus one"
    return [
        Line("fair", f"ten rows behind {bench.backlog} are on the wire after", "s", waits, note=note),
        Line("fair", "the slowest, beyond the chunks in hand", "s", [max(0.0, max(waits) - in_hand)], GOAL_SECONDS),
        Line("fair", "rows of others that were sent meanwhile, at most", "rows", [max(before)], GOAL_ROWS),
        Line(
            "fair",
            "one brand alone: share of the limit that is used",
            "of 500",
            [alone.rate / LIMIT],
            GOAL_SHARE,
            at_most=False,
            note="median over one-second bins",
        ),
        Line("fair", f"{BRANDS + 1} brands: share of the limit that is used", "of 500", [many.rate / LIMIT]),
        Line("fair", "commands per submission, one brand, as clients send them", "commands", alone.sent),
        Line(
            "fair",
            f"{more}, as clients send them",
            "commands",
            [after - before for before, after in zip(alone.sent, many.sent, strict=True)],
            GOAL_COMMANDS,
        ),
        Line(
            "fair",
            f"{more}, inside scripts too",
            "commands",
            [after - before for before, after in zip(alone.inside, many.inside, strict=True)],
        ),
        Line("fair", "most in any window of 1 s", "requests", [counted["most_in_any_second"]], float(LIMIT)),
        Line(
            "fair",
            "of these surely",
            "requests",
            [surely],
            float(LIMIT),
            note="without bunches that the sandbox made by being late itself",
        ),
        Line("fair", f"time to enqueue {bench.backlog}", "s", [seconds]),
    ]


@dataclass(frozen=True)
class _Seen:
    rate: float
    sent: list[float]
    inside: list[float]


def _windows(bench: Bench, one: Stage) -> _Seen:
    """Measure the rate and the commands while work waits."""
    rate = _rate(one, 3 * bench.window_seconds)
    inside = [
        window.redis_commands
        for window in steady.windows(one, steady.signatures_of(one), count=bench.windows, seconds=bench.window_seconds)
    ]
    return _Seen(rate, [steady.commands_sent(one, bench.window_seconds)[0] for _ in range(bench.windows)], inside)


def _rate(one: Stage, seconds: float) -> float:
    """Return what arrived in a second, the median over so many of them."""
    first = len(one.sandbox.arrivals()["offsets"])
    time.sleep(seconds)
    offsets = one.sandbox.arrivals()["offsets"][first:]
    if not offsets:
        raise RuntimeError(f"nothing arrived for {seconds:g} s; the worker's log says why")
    bins = Counter(int(offset - offsets[0]) for offset in offsets)
    return median(bins[second] for second in range(int(offsets[-1] - offsets[0])))


def _until_on_the_wire(one: Stage, name: str, returned: float) -> tuple[float, int]:
    """Wait until all rows of a small run have arrived; returns the seconds, and how many others arrived meanwhile."""
    began = returned - one.sandbox.statistics()["first_arrival"]
    arrivals: list[tuple[float, str]] = []
    own: list[float] = []

    def arrived() -> bool:
        told = one.sandbox.arrivals(tasks=True)
        arrivals[:] = zip(told["offsets"], told["task_ids"], strict=True)
        own[:] = [at for at, task_id in arrivals if task_id.startswith(f"{name}_")]
        return len(own) >= SMALL_ROWS

    one.wait_until(arrived, f"the rows of {name} on the wire")
    last = own[SMALL_ROWS - 1]
    return last - began, sum(began < at < last for at, _ in arrivals) - SMALL_ROWS + 1


def _rows(name: str, count: int, brand: str) -> Iterator[dict[str, object]]:
    picture = {"image_url": "https://wxpaylogo.qpic.cn/wxpaylogo/7.png"}
    task = {"brand_id": brand, "image_generation_type": "CUT_OUT", "cut_out": picture}
    return ({**task, "task_id": f"{name}_{number}"} for number in range(count))
