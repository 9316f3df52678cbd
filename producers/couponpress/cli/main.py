"""The `couponpress` command: what a producer does with it.

Long, for all commands of a producer stand in one place. Decides how input and outcomes are shown to a person, and the
exit code: 0 done, 1 some rows or specs ended badly, 2 bad usage or bad input. The fleet's own commands join through
the entry-point group `couponpress.commands`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import asdict
from importlib.metadata import entry_points, version
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, TextIO, cast

import typer
from rich.console import Console

from couponpress.catalog import OwnHeaders, OwnPictures
from couponpress.cli import catalog
from couponpress.cli.dry_run import dry_run as show_dry_run
from couponpress.cli.reading_progress import reading_progress
from couponpress.cli.run_progress import counts_line, rate_lines, set_aside_lines, summary, watch
from couponpress.client import Client, Receipt
from couponpress.errors import CouponpressError, InputError, OwnPictureFoundError
from couponpress.gateway import commands as gateway_commands
from couponpress.keys import Lane
from couponpress.ledger.flight import write_proof
from couponpress.ledger.pacing import per_second
from couponpress.ledger.reading import Hold
from couponpress.ledger.redriving import RedrivenOutcome
from couponpress.ledger.setting_aside import SetAsideChunk
from couponpress.nightly.commands import app as schedule_commands
from couponpress.outcome import RunStatus
from couponpress.picture_files import PictureChoices
from couponpress.results import BYTE_ORDER_MARK, ResultFormat, write_results
from couponpress.settings import configured_rate
from couponpress.uploads.catalog_upload import CatalogUpload, default_run_name, picture_counter, row_counter
from couponpress.uploads.picture_upload import upload_pictures

DONE, ENDED_BADLY, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

app = typer.Typer(
    help="Submits product-coupon picture tasks at just under the platform's limit.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(catalog.app, name="catalog")

#: Progress and messages go here; standard output is for what was asked for.
#: Names and reasons are shown as they are, whatever they would mean as markup.
stderr = Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)

app.add_typer(schedule_commands, name="schedule")
gateway_commands.join(app)

RunArgument = Annotated[str | None, typer.Argument(help="The run's name.", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
BrandOption = Annotated[str | None, typer.Option(help="A brand's id, instead of a run.", show_default=False)]


@app.command()
def submit(
    files: Annotated[list[str], typer.Argument(help="Catalogs; - for standard input.", metavar="FILE...")],
    run: Annotated[str | None, typer.Option(help="The run's name; default: the first file's stem.")] = None,
    lane: Annotated[Lane, typer.Option(help="urgent overtakes bulk.")] = "bulk",
    format_name: Annotated[
        str | None, typer.Option("--format", help="csv, jsonl or xlsx; default: by the file's suffix.")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="utf-8 or gb18030; default: told by the content.", show_default=False)
    ] = None,
    sheet: Annotated[str | None, typer.Option(help="A workbook's sheet; default: the first.")] = None,
    maps: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="HEADER=FIELD", help="What a header of your own means; repeatable."),
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(help="A TOML file of your own headers, fixed values and words; see docs/catalog.md.")
    ] = None,
    save_mapping: Annotated[Path | None, typer.Option(help="Save what --map and --mapping say to a file.")] = None,
    strict: Annotated[bool, typer.Option(help="Refuse the whole catalog if any row is broken or doubtful.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Check everything and show the first bodies; enqueue nothing.")] = False,
    watch_it: Annotated[bool, typer.Option("--watch", help="Show progress until every spec has its outcome.")] = False,
    errors: Annotated[
        Path | None, typer.Option(help="Where broken rows go; default: beside the catalog, as STEM.errors.SUFFIX.")
    ] = None,
    hook: Annotated[
        str | None, typer.Option(help="A URL that is told when the run is finished.", show_default=False)
    ] = None,
    own_pictures: Annotated[
        bool, typer.Option("--upload/--no-upload", help="Upload the pictures that rows name as files or URLs.")
    ] = True,
    convert: Annotated[bool, typer.Option(help="Scale and convert pictures that the platform would refuse.")] = False,
    private_urls: Annotated[bool, typer.Option(help="Fetch pictures from private networks too.")] = False,
) -> None:
    """Enqueue catalogs as one run. The same catalog again is the same work: nothing is sent twice."""
    run = run or default_run_name(files)
    pictures = OwnPictures("find" if own_pictures else "refuse")
    headers = OwnHeaders.load(mapping, maps or ()) if mapping or maps else None
    upload = CatalogUpload(
        files,
        format_name=format_name,
        encoding=encoding,
        sheet=sheet,
        headers=headers,
        strict=strict,
        errors=errors,
        pictures=pictures,
    )
    upload.check()
    if save_mapping:
        (headers or OwnHeaders()).save(save_mapping)
        stderr.print(f"the mapping is saved: --mapping {save_mapping}")
    if dry_run:
        good = show_dry_run(upload, run, stderr, typer.echo, _pace)
        raise typer.Exit(DONE if good else ENDED_BADLY)
    with Client() as client:
        client.ping()
        try:
            receipt = _enqueue(client, upload, run, lane, hook)
        except OwnPictureFoundError:
            upload_pictures(upload, PictureChoices(convert, private_urls), stderr)
            receipt = _enqueue(client, upload, run, lane, hook)
        stderr.print(upload.report())
        known = f", {receipt.known} known before (the same work)" if receipt.known else ""
        enqueued = receipt.new + receipt.known > 0
        more = f" `couponpress watch {run}` shows its progress." if enqueued else ""
        stderr.print(f"run {run}: {receipt.new} enqueued{known}.{more}")
        ended_badly = _watch(client, run) if watch_it and enqueued else 0
    raise typer.Exit(ENDED_BADLY if upload.broken or ended_badly else DONE)


@app.command()
def status(run: RunArgument = None, as_json: JsonOption = False) -> None:
    """Show a run's progress and why specs ended badly; without a name, every run and every hold."""
    with Client() as client:
        shown = client.runs() if run is None else [client.run(run)]
        holds, aside = client.holds(), client.set_aside_chunks()
        if as_json:
            told = [_as_json(one, holds, aside) for one in shown]
            if run is not None:
                told[0]["reasons"] = client.reasons(run)
            typer.echo(json.dumps(told if run is None else told[0], ensure_ascii=False))
            return
        for line in _status_lines(client, shown, run, holds, aside):
            typer.echo(line)


def _status_lines(
    client: Client, shown: list[RunStatus], run: str | None, holds: list[Hold], aside: list[SetAsideChunk]
) -> Iterator[str]:
    """Yield what people are told: counts, reasons, and whatever keeps specs from going on."""
    for one in shown:
        yield counts_line(one)
        if one.hook_trouble:
            yield f"  hook: {one.hook_trouble}; it is tried again as long as the run is kept"
    if run is not None:
        yield from (f"  {count:>8}  {reason}" for reason, count in client.reasons(run).items())
    for hold in holds:
        yield f"held: {hold.shown}: {hold.reason}\n      cure: {hold.cure}"
    if down := client.outage():
        since = time.strftime("%H:%M:%S", time.localtime(down.since))
        yield f"the platform seems to be down since {since} ({down.reason}): only probes are sent"
    yield from set_aside_lines(aside, *client.set_aside_messages(), run)
    if not shown:
        yield "no run yet; `couponpress submit FILE` makes one"


@app.command("watch")
def watch_command(run: RunArgument = None) -> None:
    """Show a run's progress until every spec has its outcome; without a name, the youngest run's."""
    with Client() as client:
        if run is None:
            runs = client.runs()
            if not runs:
                raise InputError("there is no run yet; `couponpress submit FILE` makes one.")
            run = runs[-1].run
        ended_badly = _watch(client, run)
    raise typer.Exit(ENDED_BADLY if ended_badly else DONE)


@app.command()
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
        with _written(output) as stream:
            if format_name == "csv":
                stream.write(BYTE_ORDER_MARK)
            written = write_results(client.outcomes(run), stream, format_name)
        stderr.print(f"{written} lines written to {output}")
        if download is not None:
            raise typer.Exit(_download(client, status, download))


@app.command()
def pause(run: RunArgument = None, brand: BrandOption = None) -> None:
    """Stop submitting a run, a brand, or everything; requests in flight end, nothing is lost."""
    with Client() as client:
        held = client.pause(run, brand=brand)
        stderr.print("paused" if held else "it was held already; `couponpress status` says why")


@app.command()
def resume(run: RunArgument = None, brand: BrandOption = None) -> None:
    """Let a run, a brand, or everything, go on from where it stopped."""
    with Client() as client:
        released = client.resume(run, brand=brand)
        stderr.print("goes on" if released else "nothing was held there; `couponpress status` shows holds")


@app.command()
def cancel(
    run: RunArgument = None,
    yes: Annotated[bool, typer.Option("--yes", help="Cancel every run without asking, for scripts.")] = False,
) -> None:
    """Take back what the platform has not accepted, of a run or of every run; accepted specs go on to completion."""
    with Client() as client:
        if run is None and not (yes or _confirmed(client)):
            stderr.print("nothing was cancelled")
            return
        with _counter() as on_progress:
            cancelled = client.cancel(run, on_progress=on_progress)
    stderr.print(f"{cancelled} specs cancelled; what was accepted before goes on to completion")


@app.command()
def redrive(
    run: Annotated[str, typer.Argument(help="The run's name.")],
    code: Annotated[str | None, typer.Option(help="Only specs whose reason has this code.")] = None,
    outcome: Annotated[
        RedrivenOutcome | None, typer.Option(help="Only specs that ended so; default: all that ended badly.")
    ] = None,
) -> None:
    """Send ended specs of a run again, same task_id and bytes, tries anew; never those that succeeded.

    It helps where the cause lay outside the row and is gone: an outage, a permission, a chunk that was set aside. A row
    that is wrong, and a picture that the platform could not make, need a new task_id: submit them under a new run name.
    """
    with Client() as client:
        with _counter() as on_progress:
            again = client.redrive(run, outcome=outcome, code=code, on_progress=on_progress)
        more = f"`couponpress watch {run}` shows its progress." if again else f"`couponpress status {run}` says why."
        stderr.print(f"run {run}: {again} specs go again. {more}")


@app.command()
def limit(
    rate: Annotated[
        str | None,
        typer.Argument(
            help="The new rate, such as 300/second or 600/minute; `default` for the configured one.", show_default=False
        ),
    ] = None,
    as_json: JsonOption = False,
    proof: Annotated[
        Path | None,
        typer.Option(
            help="Write a CSV file of when each request of the last ten minutes was sent.", show_default=False
        ),
    ] = None,
) -> None:
    """Show the rate of the running fleet, or set it by hand: at once, for all workers, without a restart.

    COUPONPRESS_RATE of the workers is the ceiling, unless a rate is set by hand: that one may be lower or higher, and
    stays until `couponpress limit default`. Either way what was learned from the platform's refusals is forgotten.
    When the platform refuses at the rate in force, the fleet finds the limit that is really there by itself, stays
    below it, and climbs back when it is lifted.
    """
    with Client() as client:
        if rate is not None:
            client.set_rate(None if rate == "default" else rate)
        if proof is not None:
            sent = client.flight_record()
            with _written(proof) as stream:
                most = write_proof(sent, stream)
            stderr.print(f"{len(sent)} requests, at most {most} in any 1 s window: {proof}", markup=False)
        told = client.rate()
        if as_json:
            typer.echo(json.dumps({**asdict(told), "in_force": told.in_force, "why": told.why}))
            return
        for line in rate_lines(told):
            typer.echo(line)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"couponpress {version('couponpress')}")
        raise typer.Exit


@app.callback()
def options(
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    """Take the options that every command shares."""


def _enqueue(client: Client, upload: CatalogUpload, run: str, lane: Lane, hook: str | None) -> Receipt:
    try:
        with reading_progress(upload, stderr), closing(upload.specs()) as specs:
            return client.enqueue_many(
                specs,
                run=run,
                lane=lane,
                hook=hook,
                on_wait=lambda: stderr.print("another upload into this run was just under way; waiting for its end"),
            )
    except KeyboardInterrupt:
        stderr.print("interrupted; give the same command again, nothing is done twice")
        raise


def _pace() -> tuple[float, int]:
    """Ask the fleet for its rate and what waits; without settings, Redis or workers, the configured rate has to do."""
    rate, waiting = None, 0
    with suppress(CouponpressError), Client() as client:
        rate = client.rate().effective_per_second
        waiting = sum(one.waiting + one.retrying for one in client.runs())
    return rate or per_second(configured_rate()), waiting


@contextmanager
def _written(path: Path) -> Iterator[TextIO]:
    try:
        with path.open("w", encoding="utf-8", newline="") as stream:
            yield stream
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); choose another place for it.") from None


def _download(client: Client, status: RunStatus, directory: Path) -> int:
    """Fetch a run's pictures, and return the exit code."""
    from couponpress.cli import downloading  # noqa: PLC0415 - loads an HTTP client

    with picture_counter(stderr, status.succeeded) as on_progress:
        done = downloading.download(client.outcomes(status.run), directory, on_progress=on_progress)
    for row_id, reason in done.failed[:20]:
        stderr.print(f"not fetched: {row_id}: {reason}")
    told = [f"{done.fetched} pictures fetched into {directory}"]
    told += [f"{done.there} were there"] if done.there else []
    told += [f"{done.without} specs have none (yet)"] if done.without else []
    told += [f"{len(done.failed)} could not be fetched; the same command tries them again"] if done.failed else []
    stderr.print(", ".join(told))
    return ENDED_BADLY if done.failed else DONE


def _watch(client: Client, run: str) -> int:
    last = watch(lambda: client.run(run), stderr)
    stderr.print(summary(last, client.reasons(run)))
    return last.ended_badly


def _as_json(one: RunStatus, holds: list[Hold], aside: list[SetAsideChunk]) -> dict[str, Any]:
    # A brand is held in every run.
    of_run = [asdict(hold) for hold in holds if hold.kind != "run" or hold.scope == one.run]
    set_aside = sum(chunk.run == one.run for chunk in aside)
    return {**asdict(one), "finished": one.finished, "holds": of_run, "chunks_set_aside": set_aside}


def _confirmed(client: Client) -> bool:
    open_runs = [one for one in client.runs() if not one.finished]
    specs = sum(one.waiting + one.retrying + one.looking for one in open_runs)
    if not sys.stdin.isatty():
        raise InputError(f"that would cancel {specs} specs of {len(open_runs)} runs; name one run, or give --yes.")
    return typer.confirm(f"Cancel {specs} specs of {len(open_runs)} runs?", err=True)


def _counter() -> AbstractContextManager[Callable[[int], None] | None]:
    return row_counter(stderr) if stderr.is_terminal else nullcontext()


def main() -> None:
    """Run the command; every error that couponpress raises on purpose is one sentence and exit code 2."""
    for entry in entry_points(group="couponpress.commands"):
        entry.load()(app)
    # A terminal that lacks a letter shows its number instead.
    cast(TextIOWrapper, sys.stdout).reconfigure(errors="backslashreplace")
    try:
        app()
    except CouponpressError as error:
        stderr.print(f"couponpress: {error}")
        sys.exit(BAD_INPUT)
    except KeyboardInterrupt:
        stderr.print("couponpress: interrupted")
        sys.exit(INTERRUPTED)
