"""What an overview and a scrape cost: Redis commands and time, with a run of 1,000 specs and with a large one."""

import time
from statistics import median

from couponpress.metrics.exposition import exposition
from couponpress.overview.reading import OverviewReader
from tests.benchmarks.bench import Bench, Line
from tests.benchmarks.stage import Stage, stage

SMALL = 1_000
GOAL_RATIO = 1.10
GOAL_SCRAPE_MS = 50.0
READINGS = 200


def measure(bench: Bench) -> list[Line]:
    """Read overviews of the same fleet with a small run and with a large one, in turns, and compare."""
    with stage(bench, "overview-small", tls=False) as small, stage(bench, "overview-large", tls=False) as large:
        small.enqueue(bench, SMALL)
        large.enqueue(bench, bench.backlog)
        few, many = OverviewReader(small.redis, small.keys), OverviewReader(large.redis, large.keys)
        commands = [_commands(one, reader) for one, reader in ((small, few), (large, many))]
        in_redis = [_redis_us(one, reader) for one, reader in ((small, few), (large, many))]
        # In turns, so that whatever else the machine does meets both.
        times = [(_milliseconds(few.read), _milliseconds(many.read)) for _ in range(READINGS)]
        scraped = scrapes(large, bench)
    small_ms, large_ms = median(pair[0] for pair in times), median(pair[1] for pair in times)
    note = f"medians of {READINGS} readings in turns"
    return [
        Line("overview", f"Redis commands per overview, a run of {SMALL}", "commands", [commands[0]]),
        Line("overview", f"Redis commands per overview, a run of {bench.backlog}", "commands", [commands[1]]),
        Line("overview", "commands, large by small", "ratio", [commands[1] / commands[0]], GOAL_RATIO),
        Line("overview", f"time in Redis per overview, a run of {SMALL}", "µs", [in_redis[0]]),
        Line("overview", f"time in Redis per overview, a run of {bench.backlog}", "µs", [in_redis[1]]),
        Line("overview", f"time per overview, a run of {SMALL}", "ms", [small_ms], note=note),
        Line("overview", f"time per overview, a run of {bench.backlog}", "ms", [large_ms], note=note),
        Line("overview", "time, large by small", "ratio", [large_ms / small_ms], GOAL_RATIO),
        Line("overview", f"a scrape, a run of {bench.backlog}", "ms", scraped, GOAL_SCRAPE_MS),
    ]


def scrapes(one: Stage, bench: Bench) -> list[float]:
    """Return how long scrapes of the metrics take, in milliseconds."""
    with one.client() as client:
        exposition(client)
        found = []
        for _ in range(bench.windows):
            time.sleep(1.0)  # the overview is shared for a second: each scrape reads one
            found.append(_milliseconds(lambda: exposition(client)))
    return found


def _commands(one: Stage, reader: OverviewReader) -> float:
    reader.read()
    before = _stats(one)
    reader.read()
    after = _stats(one)
    return sum(calls for calls, _ in after.values()) - sum(calls for calls, _ in before.values())


def _redis_us(one: Stage, reader: OverviewReader) -> float:
    before = _stats(one)
    for _ in range(READINGS):
        reader.read()
    after = _stats(one)
    return (sum(spent for _, spent in after.values()) - sum(spent for _, spent in before.values())) / READINGS


def _stats(one: Stage) -> dict[str, tuple[int, int]]:
    """Return how often each command ran and how long, less INFO, which tells it."""
    told = one.redis.info("commandstats")
    return {name: (seen["calls"], seen["usec"]) for name, seen in told.items() if name != "cmdstat_info"}


def _milliseconds(act) -> float:
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1000
