"""The page of schedules: the next night, the last one, skip it, start it now."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.responses import Response

from couponpress.errors import CouponpressError
from couponpress.gateway.console.context import Looking, RefusedError, TheConsole, TheForm, back_to, render, require
from couponpress.gateway.console.wiring import Console
from couponpress.language import gettext
from couponpress.nightly.by_hand import skip_next, start_now
from couponpress.nightly.claims import NightRecord
from couponpress.nightly.context import NightContext
from couponpress.nightly.night_sentences import in_words
from couponpress.nightly.nights import Night, moments
from couponpress.nightly.schedule_file import Schedule, read_schedules
from couponpress.nightly.source import trouble_of

log = logging.getLogger(__name__)
router = APIRouter(prefix="/schedules")


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A schedule, its next start and its latest night.

    Attributes:
        skipped: whether the next night is skipped.
        told: the last note about the latest night, in the viewer's language.
        figures: what the latest night found in its source, by names for people.
    """

    schedule: Schedule
    next_at: str
    skipped: bool
    latest: NightRecord | None
    told: str
    figures: list[tuple[str, int]]
    trouble: str | None


@contextmanager
def _opened(console: Console) -> Iterator[NightContext]:
    path = console.settings.schedule_file
    if path is None:
        raise RefusedError(
            404,
            gettext("There are no schedules"),
            gettext("The gateway has no schedule file."),
            gettext("Set COUPONPRESS_SCHEDULE_FILE for the gateway too; docs/nightly.md says what stands in it."),
        )
    with NightContext.open(console.settings, read_schedules(path)) as context:
        yield context


@router.get("")
def show_schedules(request: Request, console: TheConsole, viewer: Looking) -> Response:
    """Show every schedule."""
    require(viewer, "viewer")
    with _opened(console) as context:
        now = context.nights.now()
        found = [_scheduled(context, one, now) for one in context.file.schedules.values()]
    return render(request, "schedules.html", page="schedules", schedules=found)


def _scheduled(context: NightContext, schedule: Schedule, now: float) -> Scheduled:
    at = next(moments(schedule.cron, schedule.time_zone, now))
    latest = context.nights.latest(schedule.name)
    return Scheduled(
        schedule,
        f"{at:%Y-%m-%d %H:%M %z}",
        context.nights.is_skipped(Night(schedule.name, at).run),
        latest,
        in_words(latest.told) if latest else "",
        _figures(latest),
        trouble_of(schedule, context.folder),
    )


def _figures(latest: NightRecord | None) -> list[tuple[str, int]]:
    """Return what a night found; nothing until its source is read."""
    found = json.loads(latest.figures) if latest is not None and latest.figures else {}
    names = {
        "rows": gettext("rows"),
        "changed": gettext("changed"),
        "unchanged": gettext("unchanged"),
        "under_way": gettext("still under way"),
        "broken": gettext("broken"),
    }
    return [(name, found[key]) for key, name in names.items() if key in found]


@router.post("/skip")
def skip(console: TheConsole, viewer: Looking, form: TheForm) -> Response:
    """Skip the next night of a schedule."""
    require(viewer, "operator")
    with _opened(console) as context:
        schedule = context.file.schedule(str(form.get("name", "")))
        skip_next(context, schedule, console.client.acting_as(viewer.actor))
    return back_to(console, form, "skipped")


@router.post("/start")
def start(console: TheConsole, viewer: Looking, form: TheForm) -> Response:
    """Start a schedule now, in the background: reading its source may take minutes."""
    require(viewer, "operator")
    with _opened(console) as context:
        name = context.file.schedule(str(form.get("name", ""))).name

    def work() -> None:
        try:
            with _opened(console) as context:
                start_now(context, context.file.schedule(name), console.client.acting_as(viewer.actor))
        except (CouponpressError, RefusedError) as error:
            log.warning("the schedule %s was not started from the console: %s", name, error)

    threading.Thread(target=work, name=f"starts {name}", daemon=True).start()
    return back_to(console, form, "started")
