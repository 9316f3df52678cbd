"""From accepted to an outcome while the platform's callbacks are lost, doubled, late and out of order."""

import sys
import time
from bisect import bisect_right

from couponpress_worker.completion.callback import CALLBACK_PATH
from couponpress_worker.runtime.redis_server import free_port
from tests.benchmarks.bench import Bench, Line
from tests.benchmarks.stage import RUN, Stage, stage

QUERY_LIMIT = 20
#: Short, so that the figure takes a minute: the platform's own span is 13 minutes.
CALLBACK_SPAN_SECONDS = 10
PICTURE_SECONDS = 1.0
FAULTS = {
    "lost_callbacks": 20,
    "doubled_callbacks": 5,
    "late_callbacks": 5,
    "late_seconds": 8,
    "early_callbacks": 5,
    "stale_callbacks": 5,
    "probe_callbacks": 1,
    "fail": 5,
}


def measure(bench: Bench) -> list[Line]:
    """Send specs at the limit and hear of each outcome as it comes."""
    count = 1000 if bench.quick else 2000
    port = free_port()
    behaviour = {
        "notify_url": f"http://127.0.0.1:{port}{CALLBACK_PATH}",
        "callback_interval_seconds": 2,
        "picture_seconds": PICTURE_SECONDS,
        "query_limit": QUERY_LIMIT,
        "faults": FAULTS,
    }
    env = {"COUPONPRESS_CALLBACK_SPAN": str(CALLBACK_SPAN_SECONDS)}
    with stage(bench, "completion", tls=False, env=env, **behaviour) as one:
        one.start([sys.executable, "-m", "couponpress", "callback", "--port", str(port)], 1, "receiving callbacks")
        one.start_workers()
        waits, wrong = _waits(bench, one, count)
        queries = one.sandbox.arrivals("query", tasks=True)
        counted = one.sandbox.statistics()
    asked = len(set(queries["task_ids"]))
    callbacks = counted["callbacks"]
    came = ", ".join(f"{name} {callbacks[name]}" for name in ("lost", "doubled", "late", "early", "stale"))
    seconds = sorted(waits)

    def line(name, unit, value, goal=None, note=""):
        return Line("completion", name, unit, [value], goal, note=note)

    return [
        line("specs without their right outcome", "specs", wrong, 0, f"of {count}; callbacks {came}"),
        line("share of specs that needed no query", "of all", 1 - asked / count),
        line("share of specs that were asked about", "of all", asked / count),
        line("most queries in any window of 1 s", "requests", most_in_any_second(queries["offsets"]), QUERY_LIMIT),
        line("queries answered 429", "requests", counted["calls"]["query"]["throttled"], 0),
        line(
            "typical time from accepted to its outcome in hand",
            "s",
            seconds[len(seconds) // 2],
            note=f"a picture takes up to {PICTURE_SECONDS:g} s; a follower looks once a second",
        ),
        line(
            "longest time from accepted to its outcome in hand",
            "s",
            seconds[-1],
            note=f"asked about after {CALLBACK_SPAN_SECONDS} s of silence, {QUERY_LIMIT} a second: "
            f"at least {CALLBACK_SPAN_SECONDS + asked / QUERY_LIMIT:.0f} s for the last of {asked}",
        ),
    ]


def _waits(bench: Bench, one: Stage, count: int) -> tuple[list[float], int]:
    """Return each spec's seconds from accepted to an outcome in a follower's hand, and how many ended wrongly."""
    ended, outcomes = {}, {}
    with one.client() as client:
        client.enqueue_many(bench.specs(count), run=RUN)
        for outcome in client.outcomes(RUN, follow=True):
            ended[outcome.task_id] = time.time()
            outcomes[outcome.task_id] = outcome
    made = one.sandbox.tasks()
    wrong = sum(
        (state == "SUCCESS") != (outcomes[task_id].outcome == "succeeded")
        or made["image_urls"].get(task_id, "") != outcomes[task_id].image_url
        for task_id, state in made["states"].items()
    )
    arrivals = one.sandbox.arrivals(tasks=True)
    first = one.sandbox.statistics()["first_arrival"]
    accepted = dict(zip(arrivals["task_ids"], arrivals["offsets"], strict=True))
    waits = [moment - first - accepted[task_id] for task_id, moment in ended.items()]
    return waits, wrong + (count - len(ended))


def most_in_any_second(offsets: list[float]) -> int:
    """Return the most arrivals in any closed window of one second."""
    return max(bisect_right(offsets, at) - bisect_right(offsets, at - 1) for at in offsets)
