"""The pages about runs and specs, holds and dead letters. Nothing here changes anything."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, RedirectResponse, Response, StreamingResponse

from couponpress.gateway.console.context import Looking, RefusedError, TheConsole, render, require
from couponpress.gateway.console.now import columns, now_values
from couponpress.gateway.console.parts import (
    MOST_RUNS,
    RUN_PATTERN,
    RUNS_ON_NOW,
    RUNS_SHOWN,
    run_values,
    runs_values,
    the_run,
)
from couponpress.gateway.console.specs import SpecFilter
from couponpress.gateway.console.viewer import Viewer
from couponpress.gateway.console.wiring import Console
from couponpress.language import gettext
from couponpress.ledger.dead_letters import DEAD_LETTER_CODE
from couponpress.ledger.send_log import write_proof
from couponpress.outcome import Outcome
from couponpress.overview.send_rate import SPAN_SECONDS
from couponpress.results import result_lines, write_results_workbook

router = APIRouter()

#: Lines of results that are sent at a time.
_LINES_AT_ONCE = 500

#: Where a page of specs begins: a chunk, counted from 1, and a position in it.
Cursor = Annotated[str, Query(pattern=r"^([1-9]\d{0,8}\.\d{1,3})?$")]
RunNumber = Annotated[str, InPath(pattern=f"^{RUN_PATTERN}$")]


@router.get("/")
def show_now(request: Request, console: TheConsole, viewer: Looking) -> Response:
    """Show how fast the fleet sends and what bounds it; who sees some brands only, is led to the runs."""
    if not viewer.sees_all:
        return RedirectResponse(f"{console.home}runs", 303)
    seen = console.overview.get()
    values = now_values(seen) | runs_values(console, viewer, RUNS_ON_NOW)
    return render(request, "now.html", page="", columns=columns(seen, SPAN_SECONDS), **values)


@router.get("/runs")
def show_runs(request: Request, console: TheConsole, viewer: Looking, all: str = "") -> Response:  # noqa: A002 - a query's name
    """Show the youngest runs."""
    return render(request, "runs.html", page="runs", **runs_values(console, viewer, MOST_RUNS if all else RUNS_SHOWN))


@router.get("/runs/by-name")
def find_run(console: TheConsole, viewer: Looking, run: str) -> Response:
    """Lead to a run by its name."""
    number = console.reading.number_of(run)
    the_run(console, viewer, number)
    return RedirectResponse(f"{console.home}runs/{number}", 303)


@router.get("/runs/{number}")
def show_run(request: Request, console: TheConsole, viewer: Looking, number: RunNumber) -> Response:
    """Show one run."""
    return render(request, "run.html", page="runs", **run_values(console, viewer, number))


@router.get("/runs/{number}/specs")
def show_specs(
    request: Request,
    console: TheConsole,
    viewer: Looking,
    number: RunNumber,
    state: str = "",
    code: str = "",
    brand: str = "",
    text: str = "",
    cursor: Cursor = "",
) -> Response:
    """Show the specs of a run that fit a filter."""
    run = the_run(console, viewer, number)
    wanted = SpecFilter(state.strip(), code.strip(), brand.strip(), text.strip())
    found = console.specs.page(number, wanted, viewer.sees_brand, cursor)
    next_query = urlencode(wanted.query() | {"cursor": found.next_cursor}) if found.next_cursor else ""
    values: dict[str, Any] = {
        "run": run,
        "run_number": number,
        "wanted": wanted,
        "specs": found.specs,
        "next_query": next_query,
    }
    return render(request, "specs.html", page="runs", **values)


@router.get("/specs/{task_id}")
def show_spec(request: Request, console: TheConsole, viewer: Looking, task_id: str) -> Response:
    """Show everything that is known of one spec."""
    spec = console.client.spec(task_id)
    if spec is None or not viewer.sees_brand(spec.line.brand_id):
        raise RefusedError(404, gettext("There is no such spec"), gettext("It is forgotten, or not yours to see."))
    return render(request, "spec.html", page="runs", spec=spec)


@router.get("/runs/{number}/gallery")
def show_gallery(
    request: Request,
    console: TheConsole,
    viewer: Looking,
    number: RunNumber,
    cursor: Cursor = "",
) -> Response:
    """Show the pictures of a run; the browser fetches them only from hosts that the operator allows."""
    run = the_run(console, viewer, number)
    found = console.specs.page(number, SpecFilter(state="succeeded"), viewer.sees_brand, cursor)
    pictures, refused = [], set()
    for one in found.specs:
        parts = urlsplit(one.line.image_url)
        host = parts.hostname or ""
        shown = parts.scheme == "https" and parts.port in (None, 443) and host in console.settings.picture_hosts
        if not shown:
            refused.add(host)
        url = one.line.image_url if parts.scheme in ("http", "https") else ""
        pictures.append({"shown": shown, "url": url, "row_id": one.line.row_id, "task_id": one.line.task_id})
    next_query = urlencode({"cursor": found.next_cursor}) if found.next_cursor else ""
    values: dict[str, Any] = {"run": run, "run_number": number, "pictures": pictures, "refused_hosts": sorted(refused)}
    return render(request, "gallery.html", page="runs", next_query=next_query, **values)


@router.get("/runs/{number}/results.csv")
def download_results(console: TheConsole, viewer: Looking, number: RunNumber) -> Response:
    """Send a run's results as CSV."""
    run = the_run(console, viewer, number)
    return _csv(_seen(console, viewer, number), f"{run.run}.csv")


@router.get("/runs/{number}/bad.csv")
def download_bad(console: TheConsole, viewer: Looking, number: RunNumber) -> Response:
    """Send what ended badly as CSV."""
    run = the_run(console, viewer, number)
    bad = (line for line in _seen(console, viewer, number) if line.outcome not in ("", "succeeded"))
    return _csv(bad, f"{run.run}.bad.csv")


@router.get("/runs/{number}/results.xlsx")
def download_workbook(console: TheConsole, viewer: Looking, number: RunNumber) -> Response:
    """Send a run's results as a workbook."""
    run = the_run(console, viewer, number)
    folder = TemporaryDirectory(prefix="couponpress-")
    path = Path(folder.name) / "results.xlsx"
    write_results_workbook(_seen(console, viewer, number), path)
    return FileResponse(path, filename=f"{run.run}.xlsx", background=BackgroundTask(folder.cleanup))


def _seen(console: Console, viewer: Viewer, number: str) -> Iterator[Outcome]:
    return (line for line in console.reading.outcomes(number) if viewer.sees_brand(line.brand_id))


def _csv(outcomes: Iterable[Outcome], name: str) -> Response:
    lines = result_lines(iter(outcomes), "csv")
    blocks = iter(lambda: "".join(islice(lines, _LINES_AT_ONCE)).encode(), b"")
    quoted = name.replace("\\", "_").replace('"', "_").encode("ascii", "replace").decode().replace("?", "_")
    told = {"Content-Disposition": f"attachment; filename=\"{quoted}\"; filename*=UTF-8''{_percent(name)}"}
    return StreamingResponse(_with_mark(blocks), media_type="text/csv; charset=utf-8", headers=told)


def _with_mark(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Begin with a byte order mark, so that Excel reads the file as UTF-8."""
    yield "\ufeff".encode()
    yield from blocks


def _percent(name: str) -> str:
    return urlencode({"": name})[1:].replace("+", "%20")


@router.get("/holds")
def show_holds(request: Request, console: TheConsole, viewer: Looking) -> Response:
    """Show every hold."""
    require(viewer, "viewer")
    return render(request, "holds.html", page="holds", holds=console.client.holds())


@router.get("/dead-letters")
def show_dead_letters(request: Request, console: TheConsole, viewer: Looking) -> Response:
    """Show chunks and messages that were taken out of the work."""
    require(viewer, "viewer")
    count, messages = console.client.dead_letter_messages()
    values: dict[str, Any] = {
        "chunks": console.client.dead_letter_chunks(),
        "messages": messages,
        "message_count": count,
        "to_delete": sum(console.client.delete_dead_letters(dry_run=True)),
        "code": DEAD_LETTER_CODE,
    }
    return render(request, "dead_letters.html", page="dead-letters", **values)


@router.get("/proof.csv")
def download_proof(console: TheConsole, viewer: Looking) -> Response:
    """Send the record of when each request of the last ten minutes left."""
    require(viewer, "viewer")
    stream = io.StringIO(newline="")
    write_proof(console.client.flight_record(), stream)
    return Response(
        stream.getvalue(), media_type="text/csv", headers={"Content-Disposition": 'attachment; filename="sent.csv"'}
    )
