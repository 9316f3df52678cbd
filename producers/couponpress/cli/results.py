"""The command `results`: what became of every spec of a run, as lines or as pictures in a folder."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Final, Literal, cast

import typer

from couponpress.catalog import HeaderMapping
from couponpress.cli.console import DONE, ENDED_BADLY, open_output, stderr, unwritable
from couponpress.cli.counters import picture_counter
from couponpress.client import Client
from couponpress.errors import InputError
from couponpress.language import argument, gettext, gettext_noop, ngettext
from couponpress.outcome import Outcome, RunStatus
from couponpress.partner_option import PartnerOption
from couponpress.plurals import counted
from couponpress.results import BYTE_ORDER_MARK, ResultFormat, survives_excel, write_results, write_results_workbook
from couponpress.settings import ProducerSettings
from couponpress.uploads.joining import OutcomeTable, join_all

_SUFFIXES: Final = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".xlsx": "xlsx"}


def results(
    run: Annotated[str, typer.Argument(help=gettext_noop("The run's name."))],
    format_name: Annotated[
        Literal["csv", "jsonl", "xlsx"] | None,
        typer.Option("--format", help=gettext_noop("Default: by the file's suffix, else csv."), show_default=False),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help=gettext_noop("A file; default: standard output."))
    ] = None,
    download: Annotated[
        Path | None,
        typer.Option(
            help=gettext_noop(
                "Fetch the pictures into this folder; what is there is skipped. With -o, lines are written as well."
            ),
            show_default=False,
        ),
    ] = None,
    join: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CATALOG",
            help=gettext_noop(
                "Write this catalog's own rows with their outcomes, as STEM.results.SUFFIX or -o; repeatable."
            ),
            show_default=False,
        ),
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help=gettext_noop("With --join, as for submit."), show_default=False)
    ] = None,
    sheet: Annotated[
        str | None, typer.Option(help=gettext_noop("With --join, as for submit."), show_default=False)
    ] = None,
    header_row: Annotated[
        int | None, typer.Option(min=1, help=gettext_noop("With --join, as for submit."), show_default=False)
    ] = None,
    maps: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="HEADER=FIELD", help=gettext_noop("With --join, as for submit.")),
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(help=gettext_noop("With --join, as for submit."), show_default=False)
    ] = None,
    empty: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help=gettext_noop("With --join, as for submit."))
    ] = None,
    _: PartnerOption = None,
) -> None:
    """Write one line per spec: row id, task id, outcome, picture URL or reason."""
    if join:
        if format_name is not None or download is not None:
            raise InputError(gettext("--join writes the catalog's own format; leave --format and --download out."))
        if output is not None and len(join) > 1:
            raise InputError(gettext("-o names one file, but several catalogs are joined; leave it out."))
        headers = HeaderMapping.load(mapping, maps or ()) if mapping or maps else None
        with Client() as client:
            table = OutcomeTable(run, client.outcomes(run))
        for path, rows in join_all(
            join,
            output,
            table,
            encoding=encoding,
            sheet=sheet,
            headers=headers,
            header_row=header_row,
            empty=empty or (),
        ):
            stderr().print(
                ngettext(
                    "%(rows)s with its outcome written to %(path)s",
                    "%(rows)s with their outcomes written to %(path)s",
                    rows,
                )
                % {"rows": counted(rows, "row"), "path": path}
            )
        return
    form = format_name or _SUFFIXES.get(output.suffix.lower() if output else "", "csv")
    if form == "xlsx" and output is None:
        raise InputError(gettext("a workbook cannot be written to standard output; name a file with -o."))
    if form != "xlsx" and output is not None and output.suffix.lower() == ".xlsx":
        raise InputError(
            gettext("%(output)s would hold %(form)s under a workbook's name; leave --format out, or name another file.")
            % {"output": output, "form": form}
        )
    with Client() as client:
        status = client.run(run)  # an unknown run must not leave an empty file behind
        if download is not None and output is None:
            raise typer.Exit(_download(client, status, download))
        if output is None:
            terminal = sys.stdout.isatty()
            cast(TextIOWrapper, sys.stdout).reconfigure(encoding=None if terminal else "utf-8", newline="")
            write_results(client.outcomes(run), sys.stdout, cast(ResultFormat, form))
            return
        written = _write(client.outcomes(run), output, form)
        stderr().print(
            gettext("%(written)s written to %(output)s") % {"written": counted(written, "line"), "output": output}
        )
        if download is not None:
            raise typer.Exit(_download(client, status, download))


def _write(outcomes: Iterable[Outcome], output: Path, form: str) -> int:
    if form == "xlsx":
        try:
            return write_results_workbook(outcomes, output)
        except OSError as error:
            raise unwritable(output, error) from None
    changed = False

    def seen() -> Iterator[Outcome]:
        nonlocal changed
        for outcome in outcomes:
            changed = changed or not survives_excel(outcome.row_id) or not survives_excel(outcome.brand_id)
            yield outcome

    with open_output(output) as stream:
        if form != "csv":
            return write_results(outcomes, stream, cast(ResultFormat, form))
        stream.write(BYTE_ORDER_MARK)
        written = write_results(seen(), stream, "csv")
    if changed:
        told = gettext(
            "Excel and WPS change ids of %(output)s, long ones and leading zeros; -o %(workbook)s keeps them"
        )
        stderr().print(told % {"output": output, "workbook": argument(output.with_suffix(".xlsx"))})
    return written


def _download(client: Client, status: RunStatus, directory: Path) -> int:
    """Fetch a run's pictures, and return the exit code."""
    from couponpress.cli import downloading  # noqa: PLC0415 - loads an HTTP client

    rule = ProducerSettings.load().proxy_rule
    there = 0
    with picture_counter(stderr(), status.succeeded) as on_progress:

        def count(is_there: bool) -> None:
            nonlocal there
            there += is_there
            on_progress()

        try:
            done = downloading.download(client.outcomes(status.run), directory, rule=rule, on_progress=count)
        except KeyboardInterrupt:
            stderr().print(
                gettext("%(there)s of %(succeeded)s are there; the same command goes on")
                % {"there": f"{there:,}", "succeeded": counted(status.succeeded, "picture")}
            )
            raise
    for row_id, reason in done.failed[:20]:
        stderr().print(gettext("not fetched: %(row_id)s: %(reason)s") % {"row_id": row_id, "reason": reason})
    told = [
        gettext("%(fetched)s fetched into %(directory)s")
        % {"fetched": counted(done.fetched, "picture"), "directory": directory}
    ]
    told += [gettext("%(number)s were there") % {"number": done.there}] if done.there else []
    told += [counted(done.without, "spec has none (yet)", "specs have none (yet)")] if done.without else []
    told += (
        [gettext("%(failed)s could not be fetched; the same command tries them again") % {"failed": len(done.failed)}]
        if done.failed
        else []
    )
    stderr().print(gettext(", ").join(told))
    return ENDED_BADLY if done.failed else DONE
