"""The command `show`: everything that is known of one spec, with its history."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from couponpress.cli.console import JsonOption
from couponpress.client import Client
from couponpress.errors import InputError
from couponpress.language import gettext, gettext_noop, quoted
from couponpress.ledger.history import SpecEvent
from couponpress.ledger.lookup import SpecHistory
from couponpress.partner_option import PartnerOption
from couponpress.plurals import counted
from couponpress.spec import generated_task_id
from couponpress.spec_sentences import event_sentence, state_name
from couponpress.stored_sentences import in_words
from couponpress.time_zone import offset


def show(
    spec: Annotated[str, typer.Argument(help=gettext_noop("A task_id; with --run also a row's id."))],
    run: Annotated[
        str | None, typer.Option(help=gettext_noop("The run that holds the row."), show_default=False)
    ] = None,
    as_json: JsonOption = False,
    _: PartnerOption = None,
) -> None:
    """Show one spec: where it is, each try and answer with its moment and Request-ID, callbacks, and the request."""
    with Client() as client:
        found = client.spec(spec)
        if found is None and run is not None:
            found = client.spec(generated_task_id(run, spec))
    if found is None or run not in {None, found.run}:
        hint = gettext("give a task_id, or a row's id with --run; results of old runs are deleted in time.")
        raise InputError(gettext("no spec %(spec)s is known: %(hint)s") % {"spec": quoted(spec), "hint": hint})
    if as_json:
        typer.echo(json.dumps(asdict(found), ensure_ascii=False))
        return
    for line in _lines(found):
        typer.echo(line)


def _lines(found: SpecHistory) -> Iterator[str]:
    line = found.line
    yield f"{line.row_id}  {state_name(found.state)}"
    facts = [
        (gettext("run"), found.run),
        ("task_id", line.task_id),
        (gettext("brand"), line.brand_id),
        (gettext("tries"), str(line.attempts)),
        (gettext("code"), line.code),
        (gettext("message"), in_words(line.message) if line.message else ""),
        (gettext("picture"), line.image_url),
        (gettext("in hand of"), found.owner),
        (gettext("next at"), _moment(found.due)),
        (gettext("paused until"), _moment(found.paused_until)),
    ]
    yield from (f"  {name}: {told}" for name, told in facts if told)
    yield gettext("history (times in %(offset)s):") % {"offset": offset()}
    for at, event in enumerate(found.events):
        yield f"  {_moment(event.at)}  {_told(event)}"
        if at == 0 and found.older_events:
            yield "  " + gettext("… %(events)s") % {"events": counted(found.older_events, "older event")}
    yield gettext("request:")
    yield json.dumps(found.body, ensure_ascii=False, indent=2)


def _told(event: SpecEvent) -> str:
    ids = [
        event.code,
        f"Request-ID {event.request_id}" if event.request_id else "",
        gettext("callback %(notice_id)s") % {"notice_id": event.notice_id} if event.notice_id else "",
    ]
    told = "  ".join(one for one in ids if one)
    return event_sentence(event) + (f"  ({told})" if told else "")


def _moment(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{datetime.fromtimestamp(seconds, UTC).astimezone():%Y-%m-%d %H:%M:%S.%f}"[:-3]
