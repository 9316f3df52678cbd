"""The command `submit`: catalogs become a run.

It reads the catalogs twice: once to check the headers, before anything is stored, and once to enqueue the rows. With
pictures of the merchant's own it reads them once more, after the upload.
"""

from __future__ import annotations

from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from couponpress.catalog import HeaderMapping, MerchantPictures
from couponpress.cli.connection import client_of_person
from couponpress.cli.console import DONE, ENDED_BADLY, stderr
from couponpress.cli.joining import join_others
from couponpress.cli.reading_progress import reading_progress
from couponpress.client import Client, Receipt
from couponpress.errors import CouponpressError, MerchantPictureFoundError
from couponpress.keys import Keys, Lane
from couponpress.language import argument, gettext, gettext_noop
from couponpress.ledger.rate import per_second
from couponpress.partner_option import PartnerOption
from couponpress.picture_files import PictureChoices
from couponpress.settings import ProducerSettings, configured_rate
from couponpress.transport.server_check import check_server
from couponpress.uploads.catalog_upload import CatalogUpload
from couponpress.uploads.enqueueing import enqueue_rows
from couponpress.uploads.file_names import default_run_name
from couponpress.uploads.picture_upload import upload_pictures


def submit(
    files: Annotated[
        list[str], typer.Argument(help=gettext_noop("Catalogs; - for standard input."), metavar="FILE...")
    ],
    run: Annotated[
        str | None, typer.Option(help=gettext_noop("The run's name; default: the first file's stem."))
    ] = None,
    lane: Annotated[Lane, typer.Option(help=gettext_noop("urgent overtakes bulk."))] = "bulk",
    format_name: Annotated[
        str | None, typer.Option("--format", help=gettext_noop("csv, jsonl or xlsx; default: by the file's suffix."))
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(
            help=gettext_noop("utf-8, gb18030, big5 or utf-16; default: told by the content."), show_default=False
        ),
    ] = None,
    sheet: Annotated[
        str | None, typer.Option(help=gettext_noop("A workbook's sheet, or all; default: the first visible."))
    ] = None,
    header_row: Annotated[
        int | None,
        typer.Option(min=1, help=gettext_noop("The line of the header; default: found among the first lines.")),
    ] = None,
    skip_hidden: Annotated[
        bool, typer.Option(help=gettext_noop("Leave out rows of a workbook that are hidden."))
    ] = False,
    maps: Annotated[
        list[str] | None,
        typer.Option(
            "--map", metavar="HEADER=FIELD", help=gettext_noop("What a header of your own means; repeatable.")
        ),
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(
            help=gettext_noop("A TOML file of your own headers, fixed values and words; see docs/catalog.md.")
        ),
    ] = None,
    save_mapping: Annotated[
        Path | None, typer.Option(help=gettext_noop("Save what --map and --mapping say to a file."))
    ] = None,
    strict: Annotated[
        bool, typer.Option(help=gettext_noop("Refuse the whole catalog if any row is broken or doubtful."))
    ] = False,
    dry_run: Annotated[
        bool, typer.Option(help=gettext_noop("Check everything and show the first bodies; enqueue nothing."))
    ] = False,
    watch_it: Annotated[
        bool, typer.Option("--watch", help=gettext_noop("Show progress until every spec has its outcome."))
    ] = False,
    empty: Annotated[
        list[str] | None,
        typer.Option(
            "--empty",
            metavar="TEXT",
            help=gettext_noop("A cell of this text counts as empty, such as NULL; repeatable."),
        ),
    ] = None,
    errors: Annotated[
        Path | None,
        typer.Option(help=gettext_noop("Where broken rows go; default: beside the catalog, as STEM.errors.SUFFIX.")),
    ] = None,
    hook: Annotated[
        str | None, typer.Option(help=gettext_noop("A URL that is told when the run is finished."), show_default=False)
    ] = None,
    own_pictures: Annotated[
        bool,
        typer.Option("--upload/--no-upload", help=gettext_noop("Upload the pictures that rows name as files or URLs.")),
    ] = True,
    convert: Annotated[
        bool, typer.Option(help=gettext_noop("Scale and convert pictures that the platform would refuse."))
    ] = False,
    private_urls: Annotated[bool, typer.Option(help=gettext_noop("Fetch pictures from private networks too."))] = False,
    _: PartnerOption = None,
) -> None:
    """Enqueue catalogs as one run. The same catalog again is the same work: nothing is sent twice."""
    run = run or default_run_name(files)
    pictures = MerchantPictures("find" if own_pictures else "refuse")
    headers = HeaderMapping.load(mapping, maps or ()) if mapping or maps else None
    upload = CatalogUpload(
        files,
        format_name=format_name,
        encoding=encoding,
        sheet=sheet,
        headers=headers,
        header_row=header_row,
        skip_hidden=skip_hidden,
        strict=strict,
        errors=errors,
        empty=empty or (),
        pictures=pictures,
    )
    upload.run = run
    upload.check()
    if save_mapping:
        (headers or HeaderMapping()).save(save_mapping, mapping)
        stderr().print(gettext("the mapping is saved: --mapping %(save_mapping)s") % {"save_mapping": save_mapping})
    if dry_run:
        from couponpress.cli.dry_run import dry_run as show_dry_run  # noqa: PLC0415 - most uploads are none

        good = show_dry_run(upload, run, stderr(), typer.echo, _pace)
        raise typer.Exit(DONE if good else ENDED_BADLY)
    settings = ProducerSettings.load()
    check_server(settings.redis_address, settings.redis_url_shown, Keys(settings.mchid), "producer")
    with Client(settings) as client:
        enqueue = partial(_enqueue, client, upload, run, lane, hook)
        try:
            receipt = enqueue_rows(upload, enqueue, strict=strict)
        except MerchantPictureFoundError:
            join_others(typer.Typer())
            upload_pictures(upload, PictureChoices(convert, private_urls), stderr())
            receipt = enqueue_rows(upload, enqueue, strict=strict)
        stderr().print(upload.report())
        for line in upload.next_commands(run):
            stderr().print(gettext("mend its rows, then: %(line)s") % {"line": line})
        known = gettext(", %(known)s known before (the same work)") % {"known": receipt.known} if receipt.known else ""
        enqueued = receipt.new + receipt.known > 0
        more = gettext(" `couponpress watch %(run)s` shows its progress.") % {"run": argument(run)} if enqueued else ""
        stderr().print(
            gettext("run %(run)s: %(new)s enqueued%(known)s.%(more)s")
            % {"run": run, "new": receipt.new, "known": known, "more": more}
        )
        ended_badly = 0
        if watch_it and enqueued:
            from couponpress.cli.status import watch_run  # noqa: PLC0415 - slow to load

            ended_badly = watch_run(client, run)
    raise typer.Exit(ENDED_BADLY if upload.broken or ended_badly else DONE)


def _enqueue(client: Client, upload: CatalogUpload, run: str, lane: Lane, hook: str | None) -> Receipt:
    try:
        with reading_progress(upload, stderr()), closing(upload.specs()) as specs:
            return client.enqueue_many(
                specs,
                run=run,
                lane=lane,
                hook=hook,
                on_wait=lambda: stderr().print(
                    gettext("another upload into this run was just under way; waiting for its end")
                ),
            )
    except KeyboardInterrupt:
        stderr().print(gettext("interrupted; give the same command again, nothing is done twice"))
        raise


def _pace() -> tuple[float, int]:
    """Ask the fleet for its rate and what waits; without settings, Redis or workers, the configured rate has to do."""
    rate, waiting = None, 0
    with suppress(CouponpressError), client_of_person() as client:
        rate = client.rate().effective_per_second
        waiting = sum(one.waiting + one.retrying for one in client.runs())
    return rate or per_second(configured_rate()), waiting
