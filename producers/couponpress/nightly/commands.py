"""`couponpress schedule`: shows what is scheduled and when it starts next, and starts a night by hand.

Imports what it needs when a command is called, because the package that reads cron expressions belongs to the extra
`couponpress[nightly]`.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from couponpress.errors import InputError
from couponpress.language import gettext, gettext_noop, joined, speaking
from couponpress.ledger.attribution import this_user
from couponpress.nightly.night_sentences import in_words
from couponpress.partner_option import PartnerOption
from couponpress.settings import ProducerSettings
from couponpress.transport.redis_refusals import redis_errors_told

if TYPE_CHECKING:
    from couponpress.nightly.context import NightContext
    from couponpress.nightly.nights import Night
    from couponpress.nightly.schedule_file import Schedule, ScheduleFile
    from couponpress.nightly.starting import Begun

app = typer.Typer(
    help=gettext_noop("Show and start what is submitted by itself; see docs/nightly.md."),
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

FileOption = Annotated[
    Path | None,
    typer.Option(
        "--file", help=gettext_noop("The schedule file; default: COUPONPRESS_SCHEDULE_FILE."), show_default=False
    ),
]
WhyOption = Annotated[
    str, typer.Option("--why", help=gettext_noop("The reason, for the audit log."), show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help=gettext_noop("Print JSON, for scripts."))]


@app.command("list")
def list_command(file: FileOption = None, as_json: JsonOption = False, _: PartnerOption = None) -> None:
    """Show every schedule, its next start, and what came of its latest night."""
    from couponpress.nightly.context import NightContext

    settings, schedules = _read(file)
    told_to = speaking("en") if as_json else nullcontext()
    with told_to, _redis_errors_named(settings), NightContext.open(settings, schedules) as context:
        now = context.nights.now()
        told = [_described(context, one, now) for one in schedules.schedules.values()]
    if as_json:
        typer.echo(json.dumps(told, ensure_ascii=False))
        return
    for one in told:
        when = {"name": one["name"], "cron": one["cron"], "zone": one["time_zone"], "source": joined(one["source"])}
        typer.echo(gettext("%(name)s: %(cron)s %(zone)s, from %(source)s") % when)
        following = gettext("  next: %(moment)s, left out") if one["skipped"] else gettext("  next: %(moment)s")
        typer.echo(following % {"moment": one["next"]})
        if one["trouble"]:
            typer.echo(gettext("  now: %(trouble)s") % {"trouble": one["trouble"]})
        if latest := one["latest"]:
            came = {"run": latest["run"], "state": in_words(latest["state"])}
            line = gettext("  latest: %(run)s: %(state)s") % came
            typer.echo(
                gettext("%(run)s: %(told)s") % {"run": line, "told": in_words(latest["told"])}
                if latest["told"]
                else line
            )


@app.command("next")
def next_command(
    name: Annotated[str | None, typer.Argument(help=gettext_noop("Only this schedule."), show_default=False)] = None,
    count: Annotated[int, typer.Option(min=1, max=1000, help=gettext_noop("How many starts of each."))] = 3,
    file: FileOption = None,
    as_json: JsonOption = False,
    _: PartnerOption = None,
) -> None:
    """Show when schedules start next, in each one's own time zone with its UTC offset."""
    from couponpress.nightly.nights import moments

    schedules = _read(file)[1]
    chosen = schedules.schedules.values() if name is None else [schedules.schedule(name)]
    now = datetime.now(UTC).timestamp()
    starts = [(at, one.name) for one in chosen for at in islice(moments(one.cron, one.time_zone, now), count)]
    starts.sort(key=lambda start: start[0].timestamp())
    if as_json:
        typer.echo(json.dumps([{"schedule": schedule, "at": at.isoformat()} for at, schedule in starts]))
        return
    for at, schedule in starts:
        typer.echo(f"{_shown(at)}  {schedule}")


@app.command("run")
def run_command(
    name: Annotated[str, typer.Argument(help=gettext_noop("The schedule's name."))],
    full: Annotated[bool, typer.Option("--full", help=gettext_noop("Send every row, changed or not."))] = False,
    dry_run: Annotated[
        bool, typer.Option(help=gettext_noop("Read the source and show the plan; enqueue nothing."))
    ] = False,
    why: WhyOption = "",
    file: FileOption = None,
    as_json: JsonOption = False,
    _: PartnerOption = None,
) -> None:
    """Start a schedule now, from this machine's files. Within the same minute it is the same night, and starts once."""
    from rich.console import Console

    from couponpress.nightly.by_hand import start_now
    from couponpress.nightly.context import NightContext
    from couponpress.nightly.nights import this_minute
    from couponpress.nightly.source import trouble_of
    from couponpress.nightly.starting import planned
    from couponpress.uploads.picture_upload import picture_progress

    settings, schedules = _read(file)
    schedule = schedules.schedule(name)
    told_to = speaking("en") if as_json else nullcontext()
    with told_to, _redis_errors_named(settings), NightContext.open(settings, schedules) as context:
        if dry_run:
            night = this_minute(name, schedule.time_zone, context.nights.now())
            begun = planned(context, schedule, night, full=full)
        else:
            stderr = Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)
            client = context.client.acting_as(this_user("cli"))
            shown = picture_progress(stderr)
            night, begun = start_now(context, schedule, client, full=full, why=why, shown=shown)
    if begun.state == "failed":
        told = trouble_of(schedule, schedules.path.resolve().parent) or in_words(begun.told)
        raise InputError(gettext("night %(run)s failed: %(told)s") % {"run": night.run, "told": told})
    if as_json:
        written = {"run": night.run, **asdict(begun), "dry_run": dry_run}
        typer.echo(json.dumps(written, ensure_ascii=False))
    else:
        for line in _lines(night, begun, dry_run=dry_run):
            typer.echo(line)
    raise typer.Exit(1 if begun.state == "skipped" or begun.counts.broken else 0)


@app.command("skip")
def skip_command(
    name: Annotated[str, typer.Argument(help=gettext_noop("The schedule's name."))],
    why: WhyOption = "",
    file: FileOption = None,
    _: PartnerOption = None,
) -> None:
    """Leave out the next night of a schedule; the one after it starts as usual."""
    from couponpress.nightly.by_hand import skip_next
    from couponpress.nightly.context import NightContext

    settings, schedules = _read(file)
    schedule = schedules.schedule(name)
    with _redis_errors_named(settings), NightContext.open(settings, schedules) as context:
        night = skip_next(context, schedule, context.client.acting_as(this_user("cli")), why=why)
    typer.echo(
        gettext("%(run)s is left out; `couponpress schedule next %(name)s` shows the starts")
        % {"run": night.run, "name": name}
    )


def _lines(night: Night, begun: Begun, *, dry_run: bool) -> Iterator[str]:
    if begun.report:
        yield begun.report
    yield gettext("%(run)s: %(told)s") % {"run": night.run, "told": in_words(begun.told)}
    if dry_run:
        yield gettext("dry run: nothing was enqueued")
    elif begun.state == "sent":
        yield gettext("`couponpress watch %(run)s` shows its progress") % {"run": night.run}


def _described(context: NightContext, schedule: Schedule, now: float) -> dict[str, Any]:
    from couponpress.nightly.nights import Night, moments
    from couponpress.nightly.source import trouble_of

    at, latest = next(moments(schedule.cron, schedule.time_zone, now)), context.nights.latest(schedule.name)
    return {
        "name": schedule.name,
        "cron": schedule.cron,
        "time_zone": schedule.time_zone.key,
        "source": list(schedule.source),
        "lane": schedule.lane,
        "diff": schedule.diff,
        "next": _shown(at),
        "skipped": context.nights.is_skipped(Night(schedule.name, at).run),
        "trouble": trouble_of(schedule, context.folder),
        "latest": {"run": latest.run, "state": latest.state, "told": latest.told} if latest else None,
    }


def _shown(at: datetime) -> str:
    offset = f"{at:%z}"
    return f"{at:%Y-%m-%d %H:%M} {offset[:3]}:{offset[3:5]}"


def _read(file: Path | None) -> tuple[ProducerSettings, ScheduleFile]:
    try:
        from couponpress.nightly.schedule_file import read_schedules
    except ModuleNotFoundError as error:
        raise InputError(
            gettext("schedules need the package %(name)s; install it with: pip install 'couponpress[nightly]'")
            % {"name": error.name}
        ) from None
    settings = ProducerSettings.load()
    path = file or settings.schedule_file
    if path is None:
        raise InputError(
            gettext("no schedule file: set COUPONPRESS_SCHEDULE_FILE, or give --file; see docs/nightly.md.")
        )
    return settings, read_schedules(path)


def _redis_errors_named(settings: ProducerSettings) -> AbstractContextManager[None]:
    return redis_errors_told(settings.redis_url_shown)
