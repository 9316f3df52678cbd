"""The results as a table, as JSON, as Markdown, and as a picture of the rate over time."""

import dataclasses
import json
from pathlib import Path

from rich.table import Table

from tests.benchmarks.bench import Bench, Line
from tests.benchmarks.machine import SIGNATURE_THERE_MS, Machine
from tests.benchmarks.picture import draw

COLUMNS = ("figure", "what", "median", "spread", "unit", "goal", "of goal", "")


def table(lines: list[Line]) -> Table:
    """Return the table for a terminal."""
    drawn = Table(*COLUMNS, title=None)
    for line in lines:
        colour = {"met": "green", "missed": "red"}.get(line.verdict)
        drawn.add_row(*_cells(line)[:-1], f"[{colour}]{line.verdict}[/]" if colour else "")
    return drawn


def notes(lines: list[Line]) -> list[str]:
    """Return what a reader must know to judge the lines, one sentence for each that has it."""
    return [f"{line.name}: {line.note}." for line in lines if line.note]


def write(directory: Path, lines: list[Line], failed: list[str], machine: Machine, bench: Bench) -> None:
    """Write `results.json`, `README.md` and, when there is something to draw, `rate.png`."""
    directory.mkdir(parents=True, exist_ok=True)
    told = {
        "machine": dataclasses.asdict(machine) | {"factor": round(machine.factor, 2)},
        "options": {name: getattr(bench, name) for name in ("quick", "seed", "waiting", "backlog", "lateness_ms")},
        "failed": failed,
        "lines": [
            dataclasses.asdict(line) | {"median": line.median, "ratio": line.ratio, "verdict": line.verdict}
            for line in lines
        ],
    }
    (directory / "results.json").write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    pictured = draw(directory / "rate.png", bench.arrivals) if bench.arrivals else False
    (directory / "README.md").write_text(markdown(lines, failed, machine, bench, pictured=pictured), encoding="utf-8")


def markdown(lines: list[Line], failed: list[str], machine: Machine, bench: Bench, *, pictured: bool) -> str:
    """Return the page: machine and load first, for they decide what the figures are worth."""
    kind = "quick" if bench.quick else "full"
    load = (
        f"A {kind} run of {machine.seconds} s that began {machine.began}, on {machine.cores} cores of a virtual "
        f"machine ({machine.processor}), {machine.memory_gb} GB, Python {machine.python}. Redis, sandbox, workers and "
        f"the bench share these cores. Load average before the run {machine.load_before} (other work on the machine), "
        f"{machine.load_after} at its end. An RSA-2048 signature took {machine.signature_ms} ms of CPU before the run, "
        f"{machine.factor:.1f} times the {SIGNATURE_THERE_MS} ms of the machine that the goals were set on. "
        f"Seed {bench.seed}, lateness budget {bench.lateness_ms} ms, {bench.waiting} bulk specs before the urgent "
        f"ones, a large backlog of {bench.backlog}."
    )
    page = [
        "# Benchmarks",
        "",
        "Written by `make bench`; `tests/benchmarks/README.md` says what each line means and where it ends.",
        "",
        load,
        "",
        "Median, then least to most and how many repetitions.",
        "",
    ]
    head = ["| what | median | spread | unit | goal | of goal | |", "|---|---|---|---|---|---|---|"]
    for figure in dict.fromkeys(line.figure for line in lines):
        page += [f"## {figure}", "", *head]
        own = [line for line in lines if line.figure == figure]
        page += ["| " + " | ".join(_cells(line)[1:]) + " |" for line in own]
        page += ["", *(f"- {note}" for note in notes(own)), ""]
    if failed:
        page += ["## Not measured", "", *(f"- {one}" for one in failed), ""]
    if pictured:
        page += ["## The rate over time", "", "![requests in the second before each moment](rate.png)", ""]
    return "\n".join(page).rstrip() + "\n"


def _cells(line: Line) -> list[str]:
    goal = "" if line.goal is None else f"{'≤' if line.at_most else '≥'} {_number(line.goal)}"
    share = "" if line.ratio is None else f"{line.ratio:.2f}"
    spread = f"{_number(min(line.values))} - {_number(max(line.values))} ({len(line.values)})"
    return [line.figure, line.name, _number(line.median), spread, line.unit, goal, share, line.verdict]


def _number(value: float) -> str:
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
