"""The command `audit`: who did what to the fleet, when and why, and what was refused."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields
from datetime import UTC, datetime
from io import TextIOWrapper
from typing import Annotated, Final, TextIO, cast

import typer

from couponpress.cli.connection import client_of_person
from couponpress.cli.console import BAD_INPUT, JsonOption, stderr
from couponpress.cli.run_lines import shown_moment
from couponpress.language import current, gettext, gettext_noop, joined
from couponpress.ledger.audit import AuditEntry
from couponpress.ledger.moments import read_past
from couponpress.partner_option import PartnerOption
from couponpress.results import BYTE_ORDER_MARK
from couponpress.stored_sentences import in_words as stored_in_words

#: The acts, in words.
_ACTS: Final = {
    "pause": gettext_noop("pause"),
    "resume": gettext_noop("resume"),
    "cancel": gettext_noop("cancel"),
    "redrive": gettext_noop("send again"),
    "limit": gettext_noop("change the limit"),
    "hook": gettext_noop("set a hook"),
    "delete-dead-letters": gettext_noop("delete dead letters"),
    "schedule-start": gettext_noop("start a schedule"),
    "schedule-skip": gettext_noop("skip a night"),
    "stop": gettext_noop("stop an act"),
    "share": gettext_noop("set a brand's share"),
    "denied": gettext_noop("denied"),
}


def audit(
    since: Annotated[
        str | None,
        typer.Option(
            help=gettext_noop("Only from this moment on: 06:00, 2026-11-30, 2026-11-30T06:00, or 2d for two days ago.")
        ),
    ] = None,
    until: Annotated[str | None, typer.Option(help=gettext_noop("Only before this moment."))] = None,
    who: Annotated[str | None, typer.Option(help=gettext_noop("Only what this token, user or process did."))] = None,
    act: Annotated[
        str | None, typer.Option(help=gettext_noop("Only this act, such as pause, cancel, limit or denied."))
    ] = None,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help=gettext_noop("Print CSV, for a spreadsheet."))] = False,
    _: PartnerOption = None,
) -> None:
    """Show what people and the fleet did, the latest first: who, by which way, when and why; and what was refused."""
    if as_json and as_csv:
        stderr().print(gettext("couponpress: give --json or --csv, not both."))
        raise typer.Exit(BAD_INPUT)
    now = datetime.now().astimezone()
    first, last = (None if text is None else read_past(text, now) for text in (since, until))
    with client_of_person() as client:
        entries = client.audit(since=first, until=last, who=who, act=act)
        if as_json:
            for entry in entries:
                typer.echo(json.dumps(asdict(entry), ensure_ascii=False))
        elif as_csv:
            if not sys.stdout.isatty():
                cast(TextIOWrapper, sys.stdout).reconfigure(encoding="utf-8", newline="")
                sys.stdout.write(BYTE_ORDER_MARK)
            write_csv(entries, sys.stdout)
        else:
            for line in lines(entries):
                typer.echo(line)


def write_csv(entries: Iterable[AuditEntry], stream: TextIO) -> None:
    """Write entries as CSV. A text that a spreadsheet would take for a formula gets an apostrophe before it."""
    names = [field.name for field in fields(AuditEntry)]
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(names)
    for entry in entries:
        told = asdict(entry) | {"at": datetime.fromtimestamp(entry.at, UTC).isoformat(timespec="milliseconds")}
        writer.writerow([_harmless(str(told[name])) for name in names])


def lines(entries: Iterable[AuditEntry]) -> Iterator[str]:
    """Yield an entry as one line for people."""
    for entry in entries:
        moment = shown_moment(entry.at)
        detail = stored_in_words(entry.detail)
        target = " ".join(part for part in (_target(entry), detail) if part) or gettext("everything")
        who = ", ".join(part for part in (entry.door, entry.address) if part)
        because = stored_in_words(entry.why) if entry.door == "fleet" else entry.why
        why = f": {because}" if because else ""
        what = f"{_act(entry.act)} {target}  {stored_in_words(entry.result)}"
        yield f"{moment}  {what}  {entry.who} ({who}){why}"


def _act(act: str) -> str:
    """Return an act as --act takes it, with the reader's word for it where that is another one."""
    word = gettext(_ACTS[act]) if act in _ACTS else act
    return act if current() == "en" or word == act else f"{word} ({act})"


def _target(entry: AuditEntry) -> str:
    told = [gettext("run %(run)s") % {"run": entry.run}] if entry.run else []
    told += [gettext("brand %(brand)s") % {"brand": entry.brand}] if entry.brand else []
    return joined(told)


def _harmless(text: str) -> str:
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text
