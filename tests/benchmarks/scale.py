"""What one Redis carries as partners are added, by simulation: it prints the tables of docs/scale.md.

Redis works off one command after the other. Each partner sends short commands for its submissions (slots, moves,
hints) and, when a catalog is enqueued, longer ones. The simulation lets them arrive at random moments, serves them in
order, and tells how long they wait. A slot must come back well within the lateness budget, so the waits decide how many
partners a server carries, before its core is full. What a command takes is what `make bench BENCH=cost` measured.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
from bisect import bisect_left
from dataclasses import dataclass, replace
from functools import cache

#: Seconds of a week, for which results are kept unless COUPONPRESS_RESULT_TTL says otherwise.
WEEK = 7 * 86400
DAY = 86400


@dataclass(frozen=True)
class Costs:
    """What was measured; docs/benchmarks.

    Attributes:
        redis_ms: CPU of Redis for each submission, in all.
        commands: commands that clients send for each submission.
        long_ms: the longest command that comes again and again: a chunk of 100 specs that is stored.
        long_share: the share of Redis's time that goes to such commands.
        bytes_finished: memory of a finished spec.
        bytes_waiting: memory of a waiting one.
        worker_ms: CPU of a worker for each submission.
        callback_ms: CPU of a receiver for each callback.
        lateness_ms: the lateness budget, of which half may be spent on waiting for Redis.
    """

    redis_ms: float = 0.08
    commands: float = 0.46
    long_ms: float = 2.0
    long_share: float = 0.1
    bytes_finished: float = 245
    bytes_waiting: float = 107
    worker_ms: float = 2.1
    callback_ms: float = 0.42
    lateness_ms: float = 20


@dataclass(frozen=True)
class Carried:
    """How a server does with so many partners: waits in ms, and the share of its core that is busy."""

    partners: int
    busy: float
    median_ms: float
    p999_ms: float

    def keeps_slots(self, costs: Costs) -> bool:
        """Say whether all slots but one in a thousand come back within half of the lateness budget."""
        return self.busy < 1 and self.p999_ms <= costs.lateness_ms / 2


@cache
def carried(partners: int, rate: float, costs: Costs, *, commands: int = 50_000, seed: int = 1) -> Carried:
    """Let so many partners send for a while at their full rate, and measure how long their commands wait."""
    chance = random.Random(seed)
    busy = partners * rate * costs.redis_ms / 1000
    short_each = costs.redis_ms * (1 - costs.long_share) / costs.commands
    short_per_second = partners * rate * costs.commands
    long_per_second = partners * rate * costs.redis_ms * costs.long_share / costs.long_ms
    per_second = short_per_second + long_per_second
    waits, free_at, now = [], 0.0, 0.0
    for gap in (chance.expovariate(per_second) for _ in range(commands)):
        now += gap
        waits.append(max(0.0, free_at - now) * 1000)
        is_long = chance.random() < long_per_second / per_second
        took = costs.long_ms if is_long else chance.expovariate(1 / short_each)
        free_at = max(free_at, now) + took / 1000
    waits.sort()
    return Carried(partners, busy, waits[len(waits) // 2], waits[int(len(waits) * 0.999)])


def most_carried(rate: float, costs: Costs) -> int:
    """Return how many partners one server carries at their full rate."""
    never = math.ceil(1000 / (rate * costs.redis_ms))  # these would take all of its time
    return bisect_left(range(1, never), True, key=lambda few: not carried(few, rate, costs).keeps_slots(costs))


@dataclass(frozen=True)
class Fleet:
    """What many partners need, at their full rate day and night unless `hours` says otherwise."""

    partners: int
    rate: float
    hours: float
    ttl: float
    costs: Costs

    @property
    def specs_kept(self) -> float:
        """Specs whose results are kept at a time."""
        return self.partners * self.rate * self.hours * 3600 * self.ttl / DAY

    @property
    def gigabytes(self) -> float:
        """Memory of all servers for results, GB of 10⁹ bytes."""
        return self.specs_kept * self.costs.bytes_finished / 1e9

    @property
    def servers(self) -> int:
        """Redis servers, by their one thread."""
        return math.ceil(self.partners / max(most_carried(self.rate, self.costs), 1))

    @property
    def worker_cores(self) -> float:
        """Cores of all workers at 70 percent of their time."""
        return self.partners * self.rate * self.costs.worker_ms / 1000 / 0.7

    @property
    def workers(self) -> int:
        """Worker processes: those of each partner, and one more for each."""
        each = math.ceil(self.rate * self.costs.worker_ms / 1000 / 0.7) + 1
        return self.partners * each

    @property
    def receiver_cores(self) -> float:
        """Cores of all callback receivers at 70 percent of their time."""
        return self.partners * self.rate * self.costs.callback_ms / 1000 / 0.7


def table_of_partners(rate: float, costs: Costs, numbers: list[int]) -> list[str]:
    """Return the table of docs/scale.md that says how a server does with more and more partners."""
    lines = ["| partners on one Redis | its core is busy | wait of a command, median | 99.9 % wait at most | slots |"]
    lines.append("|---|---|---|---|---|")
    for one in (carried(number, rate, costs) for number in numbers):
        if one.busy >= 1:
            lines.append(f"| {one.partners} | {one.busy:.0%} | grows | grows | lost: the rates are not reached |")
            continue
        slots = "kept" if one.keeps_slots(costs) else "some are late, and lost"
        lines.append(f"| {one.partners} | {one.busy:.0%} | {one.median_ms:.2f} ms | {one.p999_ms:.1f} ms | {slots} |")
    return lines


def table_of_memory(rate: float, costs: Costs) -> list[str]:
    """Return the table of docs/scale.md that says what the results of one partner take."""
    lines = [
        "| one partner sends | results kept for | specs kept | Redis memory | with room for the rewrite of its AOF |"
    ]
    lines.append("|---|---|---|---|---|")
    for hours, ttl, told in ((24, WEEK, "7 days"), (24, DAY, "1 day"), (24, 3600, "1 hour"), (2, WEEK, "7 days")):
        fleet = Fleet(1, rate, hours, ttl, costs)
        when = "day and night" if hours == 24 else f"{hours} hours a night"
        kept, size = f"{fleet.specs_kept / 1e6:.1f} million", f"{fleet.gigabytes:.1f} GB"
        lines.append(f"| {when} | {told} | {kept} | {size} | {2 * fleet.gigabytes:.1f} GB |")
    return lines


def table_of_fleets(rate: float, costs: Costs) -> list[str]:
    """Return the table of docs/scale.md that says what many partners cost."""
    lines = [
        "| partners | workers | their cores | cores of receivers | Redis servers by CPU | memory, kept for a day |"
    ]
    lines.append("|---|---|---|---|---|---|")
    for number in (1, 10, 100):
        one = Fleet(number, rate, 24, DAY, costs)
        lines.append(
            f"| {number} | {one.workers} | {one.worker_cores:.1f} | {one.receiver_cores:.1f} | {one.servers} "
            f"| {one.gigabytes:,.0f} GB |"
        )
    return lines


def tables(rate: float = 500, costs: Costs | None = None) -> list[list[str]]:
    """Return the tables of docs/scale.md."""
    told = costs or Costs()
    return [
        table_of_partners(rate, told, [1, 4, 8, 12, 15, 18, 20, 24, 28]),
        table_of_memory(rate, told),
        table_of_fleets(rate, told),
    ]


def main() -> None:
    """Print the tables for the figures that are given."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.scale", description=__doc__)
    parser.add_argument("--rate", type=float, default=500, help="of each partner, a second")
    for name, value in Costs.__dataclass_fields__.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=value.default)
    options = vars(parser.parse_args())
    rate = options.pop("rate")
    sys.stdout.write("\n\n".join("\n".join(lines) for lines in tables(rate, replace(Costs(), **options))) + "\n")


if __name__ == "__main__":
    main()
