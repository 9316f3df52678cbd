"""The command line of chaos: how long, which seed, how many specs."""

import argparse
import signal
import sys
import time
from pathlib import Path

from rich.console import Console

from tests.chaos import plan, report
from tests.chaos.audit import audit
from tests.chaos.run import carry_out

#: What the default machine sends in about a third of the time; the rest is for what goes wrong.
SPECS_PER_SECOND = 80


def main() -> int:
    """Make the plan, carry it out, audit what came of it; 0 when every promise was kept, else 1."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--duration", type=float, default=600, help="seconds in which things go wrong; then all ends")
    parser.add_argument("--seed", type=int, default=1, help="of the plan, the catalogs and the sandbox's faults")
    parser.add_argument("--specs", type=int, help=f"how many are enqueued; else {SPECS_PER_SECOND} per second")
    parser.add_argument("--workers", type=int, default=3, help="worker processes")
    parser.add_argument("--patience", type=float, default=240, help="seconds for the end, once nothing goes wrong")
    parser.add_argument("--dir", type=Path, default=Path("chaos-run"), help="for logs, Redis's file and the record")
    parser.add_argument("--plan", action="store_true", help="show the plan and do nothing")
    options = parser.parse_args()
    if options.duration < 40:
        parser.error("--duration must be 40 or more: the first kill comes after some seconds, and is to be recovered")
    console = Console(soft_wrap=True, highlight=False)
    specs = options.specs or round(options.duration * SPECS_PER_SECOND)
    made = plan.make(options.seed, options.duration, workers=options.workers, specs=specs)
    console.print(f"seed {made.seed}: {made.specs} specs in {len(made.pieces)} pieces, {len(made.acts)} acts")
    for act in made.acts:
        console.print(str(act), markup=False)
    if options.plan:
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    directory = options.dir / time.strftime("%Y%m%d-%H%M%S")
    directory.mkdir(parents=True)
    (directory / "plan.json").write_text(made.as_json(), encoding="utf-8")
    outcome = carry_out(
        made, directory, patience_seconds=options.patience, say=lambda line: console.print(line, markup=False)
    )
    found = audit(outcome.evidence)
    report.write(directory / "record.json", found, outcome)
    console.print(report.table(found, outcome))
    for sentence in report.sentences(found, outcome):
        console.print(sentence, markup=False)
    kept = found.kept and not outcome.unfinished
    console.print(f"{'every promise was kept' if kept else 'BROKEN'}; plan, logs and record: {directory}/")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
