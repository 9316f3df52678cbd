"""The command `results`: what became of every spec of a run, as lines or as pictures in a folder."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, cast

import typer

from couponpress.cli.console import DONE, ENDED_BADLY, open_output, stderr
from couponpress.client import Client
from couponpress.outcome import RunStatus
from couponpress.results import BYTE_ORDER_MARK, ResultFormat, write_results
from couponpress.settings import ProducerSettings
from couponpress.uploads.catalog_upload import picture_counter


def results(
    run: Annotated[str, typer.Argument(help="The run's name.")],
    format_name: Annotated[ResultFormat, typer.Option("--format", help="csv or jsonl.")] = "csv",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="A file; default: standard output.")] = None,
    download: Annotated[
        Path | None,
        typer.Option(
            help="Fetch the pictures into this folder; what is there is skipped. With -o, lines are written as well.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write one line per spec: row id, task id, outcome, picture URL or reason."""
    with Client() as client:
        status = client.run(run)  # an unknown run must not leave an empty file behind
        if download is not None and output is None:
            raise typer.Exit(_download(client, status, download))
        if output is None:
            cast(TextIOWrapper, sys.stdout).reconfigure(encoding="utf-8", newline="")
            write_results(client.outcomes(run), sys.stdout, format_name)
            return
        with open_output(output) as stream:
            if format_name == "csv":
                stream.write(BYTE_ORDER_MARK)
            written = write_results(client.outcomes(run), stream, format_name)
        stderr.print(f"{written} lines written to {output}")
        if download is not None:
            raise typer.Exit(_download(client, status, download))


def _download(client: Client, status: RunStatus, directory: Path) -> int:
    """Fetch a run's pictures, and return the exit code."""
    from couponpress.cli import downloading  # noqa: PLC0415 - loads an HTTP client

    rule = ProducerSettings.load().proxy_rule
    with picture_counter(stderr, status.succeeded) as on_progress:
        done = downloading.download(client.outcomes(status.run), directory, rule=rule, on_progress=on_progress)
    for row_id, reason in done.failed[:20]:
        stderr.print(f"not fetched: {row_id}: {reason}")
    told = [f"{done.fetched} pictures fetched into {directory}"]
    told += [f"{done.there} were there"] if done.there else []
    told += [f"{done.without} specs have none (yet)"] if done.without else []
    told += [f"{len(done.failed)} could not be fetched; the same command tries them again"] if done.failed else []
    stderr.print(", ".join(told))
    return ENDED_BADLY if done.failed else DONE
