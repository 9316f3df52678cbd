"""How soon an urgent spec is on the wire while a great many bulk ones wait."""

import random
import time
from statistics import quantiles

from tests.benchmarks.bench import Bench, Line
from tests.benchmarks.processes import Others
from tests.benchmarks.stage import Stage, stage

GOAL_P99_MS = 250.0
SAMPLES = 120


def measure(bench: Bench) -> list[Line]:
    """Enqueue urgent specs one by one, at moments that keep step with nothing, and look when each arrived."""
    chance = random.Random(bench.seed)
    with stage(bench, "urgent") as one:
        one.start_workers()
        one.enqueue(bench, bench.waiting)
        one.wait_for_sending(3)
        others = Others()
        returned, took = _enqueue_urgent(one, chance)
        beside = str(others)
        still_waiting = _waiting(one)
        arrived = _arrivals(one)
        counted = one.sandbox.statistics()
    after_return = sorted((arrived[task_id] - at) * 1000 for task_id, at in returned.items())
    in_all = sorted((arrived[task_id] - at) * 1000 + took[task_id] for task_id, at in returned.items())
    note = (
        f"{SAMPLES} samples beside {bench.waiting} bulk specs ({still_waiting} waiting at the end); at most "
        f"{counted['most_in_any_second']} requests in any second, 429: {counted['throttled']}; {beside}"
    )
    return [
        Line("urgent", "from enqueue's return to the wire, p50", "ms", [_percentile(after_return, 50)], note=note),
        Line("urgent", "from enqueue's return to the wire, p99", "ms", [_percentile(after_return, 99)], GOAL_P99_MS),
        Line("urgent", "the slowest", "ms", [after_return[-1]]),
        Line("urgent", "from enqueue's call to the wire, p99", "ms", [_percentile(in_all, 99)]),
    ]


def _enqueue_urgent(one: Stage, chance: random.Random) -> tuple[dict[str, float], dict[str, float]]:
    returned, took = {}, {}
    with one.client() as client:
        client.enqueue(_spec("urgent_first"), run="urgent")  # connections are opened and scripts are known
        for number in range(SAMPLES):
            time.sleep(chance.uniform(0.05, 0.12))
            task_id = f"urgent_{number}"
            began = time.time()
            client.enqueue(_spec(task_id), run="urgent")
            returned[task_id] = time.time()
            took[task_id] = (returned[task_id] - began) * 1000
    return returned, took


def _spec(task_id: str) -> dict[str, object]:
    picture = {"image_url": f"https://wxpaylogo.qpic.cn/wxpaylogo/{task_id}.png"}
    return {"brand_id": "120344", "task_id": task_id, "image_generation_type": "CUT_OUT", "cut_out": picture}


def _arrivals(one: Stage) -> dict[str, float]:
    """Return when each urgent spec first arrived, seconds since 1970 on this machine's clock."""
    wanted = {f"urgent_{number}" for number in range(SAMPLES)}
    deadline = time.monotonic() + 30
    while True:
        told = one.sandbox.arrivals(tasks=True)
        first = one.sandbox.statistics()["first_arrival"]
        found: dict[str, float] = {}
        for offset, task_id in zip(told["offsets"], told["task_ids"], strict=True):
            if task_id in wanted:
                found.setdefault(task_id, first + offset)
        if found.keys() == wanted:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(wanted - found.keys())} urgent specs did not arrive within 30 s")
        time.sleep(0.5)


def _waiting(one: Stage) -> int:
    with one.client() as client:
        return next(status.waiting for status in client.runs() if status.run == "bench")


def _percentile(ordered: list[float], percent: int) -> float:
    return quantiles(ordered, n=100, method="inclusive")[percent - 1]
