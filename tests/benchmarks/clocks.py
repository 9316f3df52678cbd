"""Workers whose wall clocks are wrong."""

import os
import re
import time
from datetime import datetime
from pathlib import Path

from tests.benchmarks.stage import Stage

FOLDER = Path(__file__).with_name("other_clock")
#: Between the line that says that a worker is ready and our look at it.
NEAR_SECONDS = 2.0
_STAMP = re.compile(r"^\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d{3}: .* ready\.$", re.MULTILINE)


def start_worker(one: Stage, ahead_seconds: float) -> None:
    """Start a worker whose clock is so far ahead, and make sure of it by the moments in its log.

    Raises:
        RuntimeError: its clock is another one.
    """
    path = os.pathsep.join(filter(None, (str(FOLDER), os.environ.get("PYTHONPATH"))))
    log = one.directory / f"worker-{len(one.workers)}.log"
    one.start_workers(PYTHONPATH=path, CLOCK_AHEAD_SECONDS=str(ahead_seconds))
    now = time.time()
    stamp = _STAMP.search(log.read_text(encoding="utf-8"))
    seen = datetime.fromisoformat(stamp[1]).astimezone().timestamp() - now if stamp else None
    if seen is None or abs(seen - ahead_seconds) > NEAR_SECONDS:
        raise RuntimeError(f"a worker's clock should be {ahead_seconds:+g} s from this one, its log says {seen} s")
