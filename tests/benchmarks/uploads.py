"""How much of the platform's upload limit the merchant's own pictures use, and that no second holds more."""

import os
import subprocess
import sys

from tests.benchmarks.bench import Bench, Line
from tests.benchmarks.completion import most_in_any_second
from tests.benchmarks.stage import RUN, stage
from tests.builders import png

UPLOAD_LIMIT = 20
GOAL_SHARE = 0.9


def measure(bench: Bench) -> list[Line]:
    """Submit a catalog whose every row names a picture of its own on the disk; then the same catalog again."""
    count = 120 if bench.quick else 240
    with stage(bench, "uploads", tls=False, upload_limit=UPLOAD_LIMIT) as one:
        rows = ["row_id,brand_id,商品图"]
        for number in range(count):
            (one.directory / f"{number}.png").write_bytes(png(number))
            rows.append(f"{number},120344,{number}.png")
        catalog = one.directory / "pictures.csv"
        catalog.write_text("\n".join(rows), encoding="utf-8")
        for run in (RUN, f"{RUN}-again"):
            command = [sys.executable, "-m", "couponpress", "submit", str(catalog), "--run", run]
            subprocess.run(command, env=os.environ | one.env, check=True, capture_output=True)
        came = one.sandbox.arrivals("upload")["offsets"]
        throttled = one.sandbox.statistics()["calls"]["upload"]["throttled"]
    full = range(1, int(came[-1]))
    bins = [sum(second <= at < second + 1 for at in came) / UPLOAD_LIMIT for second in full]
    return [
        Line(
            "uploads", "share of the upload limit that is used", f"of {UPLOAD_LIMIT}", bins, GOAL_SHARE, at_most=False
        ),
        Line("uploads", "most uploads in any window of 1 s", "requests", [most_in_any_second(came)], UPLOAD_LIMIT),
        Line("uploads", "uploads answered 429", "requests", [throttled], 0),
        Line(
            "uploads",
            "uploads per picture, the same catalog submitted twice",
            "requests",
            [len(came) / count],
            1,
            note="a content is uploaded once",
        ),
    ]
