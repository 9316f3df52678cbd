"""The command line of the bench: which figures, how long, where the results go."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from tests.benchmarks import (
    backlog,
    callbacks,
    catalogs,
    completion,
    console,
    cost,
    enqueue,
    fair,
    flat,
    gateway,
    memory,
    night,
    overview,
    partners,
    peers,
    rate,
    report,
    throttled,
    unthrottled,
    uploads,
    urgent,
    workers,
)
from tests.benchmarks.bench import Bench
from tests.benchmarks.machine import Machine

FIGURES = {
    "cost": cost.measure,
    "unthrottled": unthrottled.measure,
    "enqueue": enqueue.measure,
    "catalogs": catalogs.measure,
    "memory": memory.measure,
    "overview": overview.measure,
    "console": console.measure,
    "callbacks": callbacks.measure,
    "completion": completion.measure,
    "uploads": uploads.measure,
    "gateway": gateway.measure,
    "urgent": urgent.measure,
    "backlog": backlog.measure,
    "flat": flat.measure,
    "fair": fair.measure,
    "rate": rate.measure,
    "throttled": throttled.measure,
    "night": night.measure,
    "partners": partners.measure,
    "peers": peers.measure,
    "workers": workers.measure,
}
#: Measured only where they are asked for by name: a night takes eleven minutes and fair shares three, partners want
#: the machine to themselves, and npm installs the peer.
ONLY_BY_NAME = {"fair", "night", "partners", "peers"}


def main():
    """Measure what was asked for; a whole run is also written down."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "figures",
        nargs="*",
        metavar="FIGURE",
        help=f"of {', '.join(FIGURES)}; all but {' and '.join(sorted(ONLY_BY_NAME))} without any",
    )
    parser.add_argument("--quick", action="store_true", help="shorter windows and a backlog of 100,000, not 1,000,000")
    parser.add_argument("--seed", type=int, default=1, help="of the catalogs and of the sandbox's faults")
    parser.add_argument("--waiting", type=int, help="bulk specs that wait while urgent ones are timed")
    parser.add_argument("--backlog", type=int, help="the large backlog, specs")
    parser.add_argument("--lateness-ms", type=int, default=20, help="the fleet's lateness budget J")
    parser.add_argument("--out", type=Path, help="write the results there; a whole run goes to docs/benchmarks")
    options = parser.parse_args()
    unknown = set(options.figures) - FIGURES.keys()
    if unknown:
        parser.error(f"there is no figure {', '.join(sorted(unknown))}; there are {', '.join(FIGURES)}")
    names = options.figures or [name for name in FIGURES if name not in ONLY_BY_NAME]
    out = options.out or (None if options.figures else Path("docs/benchmarks"))
    terminal = Console(soft_wrap=True, highlight=False)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="couponpress-bench-") as directory:
        bench = Bench(
            directory=Path(directory),
            quick=options.quick,
            seed=options.seed,
            waiting=options.waiting or (20_000 if options.quick else 200_000),
            backlog=options.backlog or (100_000 if options.quick else 1_000_000),
            lateness_ms=options.lateness_ms,
            say=terminal.print,
        )
        machine = Machine.look()
        lines, failed = [], []
        for name in names:
            bench.say(f"[{time.monotonic() - began:4.0f} s] {name}")
            try:
                lines += FIGURES[name](bench)
            except Exception as error:  # noqa: BLE001 - the other figures are worth having; the run ends with 1
                terminal.print_exception()
                failed.append(f"{name}: {type(error).__name__}")
        machine = machine.at_the_end(seconds=time.monotonic() - began)
    Console(width=max(terminal.width, 150), highlight=False).print(report.table(lines))
    for note in report.notes(lines):
        terminal.print(note)
    if out is not None:
        report.write(out, lines, failed, machine, bench)
        terminal.print(f"written to {out}/")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
