"""Uploads the merchant's own pictures before the rows that name them are enqueued.

The catalogs are read for their pictures, the pictures are uploaded, and then the catalogs are read again with the URLs.
A row's body is made once and holds the picture's URL, so the picture comes first. Nothing is enqueued before all
pictures are settled. Uploads are remembered, so after an interruption the same command continues.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TypeAlias

from rich.console import Console

from couponpress.catalog import MerchantPictures
from couponpress.errors import InputError, PictureError
from couponpress.language import gettext, joined
from couponpress.picture_files import (
    PICTURE_LIMIT_BYTES,
    PictureChoices,
    Settled,
    joined_upload,
    picture_suffix,
    read_picture_file,
)
from couponpress.plurals import counted
from couponpress.uploads.catalog_upload import CatalogUpload
from couponpress.uploads.progress import LinePace, bar

#: This many refused pictures are named; the rest are counted.
_NAMED = 8


#: Told of each settled picture; made for so many, and left when all of them are settled or uploading has failed.
Shown: TypeAlias = Callable[[int], AbstractContextManager[Callable[[Settled], None]]]


def upload_pictures(upload: CatalogUpload, choices: PictureChoices, console: Console) -> None:
    """Upload every picture that good rows of the catalogs name, and show how far that is; see `settle_pictures`."""
    settle_pictures(upload, choices, picture_progress(console))


def settle_pictures(upload: CatalogUpload, choices: PictureChoices, shown: Shown) -> None:
    """Upload every picture that good rows of the catalogs name; afterwards `upload.specs()` knows their URLs.

    Raises:
        CatalogError, InputError: as `gather_pictures`; or nothing can upload pictures here.
        CouponpressError: uploading cannot go on; the sentence says why. What was uploaded is remembered.
        Exception: whatever the callable of `shown` raises; nothing more is uploaded then.
    """
    pictures = gather_pictures(upload)
    if pictures.sources:
        store = joined_upload()
        with shown(len(pictures.sources)) as show:

            def settled(one: Settled) -> None:
                pictures.settle(one)
                show(one)

            store(pictures.sources, choices, settled)
    pictures.phase = "settled"


def gather_pictures(upload: CatalogUpload) -> MerchantPictures:
    """Read the catalogs for the pictures that their good rows name; returns them.

    Raises:
        CatalogError: as `CatalogUpload.specs`.
        InputError: a catalog comes from standard input.
    """
    if upload.from_standard_input:
        raise InputError(
            gettext(
                "a catalog that names pictures of your own is read more than once, and standard input "
                "cannot be: save it to a file first."
            )
        )
    upload.pictures.phase = "gather"
    for _ in upload.specs():
        pass
    return upload.pictures


def check_files(pictures: MerchantPictures, console: Console) -> int:
    """Look at the gathered pictures that are files; name those that cannot be uploaded, and return how many."""
    refused = 0
    for source in pictures.sources:
        if "://" in source:
            continue
        try:
            picture_suffix(read_picture_file(source, PICTURE_LIMIT_BYTES))
        except PictureError as error:
            refused += 1
            if refused <= _NAMED:
                console.print(f"{source}: {error}")
    unseen = gettext(", %(refused)s of them cannot be") % {"refused": refused} if refused else ""
    console.print(
        gettext("%(pictures)s would be uploaded first%(unseen)s; URLs were not fetched")
        % {"pictures": counted(len(pictures.sources), "picture"), "unseen": unseen}
    )
    return refused


def picture_progress(console: Console) -> Shown:
    """Return the display of an upload: a bar on a terminal, otherwise plain lines."""
    return partial(_bar, console) if console.is_terminal else partial(picture_lines, console.print)


@contextmanager
def picture_lines(tell: Callable[[str], None], total: int) -> Iterator[Callable[[Settled], None]]:
    """Print the progress of an upload, one line every few seconds and one at the end."""
    pace = LinePace()
    with _counted(tell, total) as count:

        def line(one: Settled) -> None:
            told = count(one)
            if pace.due():
                tell(gettext("pictures, of %(total)s: %(told)s") % {"total": total, "told": told})

        yield line


@contextmanager
def _bar(console: Console, total: int) -> Iterator[Callable[[Settled], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415 - slow

    told = TextColumn("{task.description}")
    columns = (TextColumn(gettext("pictures")), BarColumn(), MofNCompleteColumn(), told, TimeRemainingColumn())
    with _counted(console.print, total) as count, bar(console, *columns, total=total) as update:
        yield lambda one: update(advance=1, description=count(one))


@contextmanager
def _counted(tell: Callable[[str], None], total: int) -> Iterator[Callable[[Settled], str]]:
    """Count the settled pictures and print the total at the end, also after an interruption."""
    counts = {gettext("uploaded"): 0, gettext("known before"): 0, gettext("refused"): 0}

    def count(one: Settled) -> str:
        name = gettext("refused") if not one.url else gettext("known before") if one.known else gettext("uploaded")
        counts[name] += 1
        return joined(f"{name} {number:,}" for name, number in counts.items())

    try:
        yield count
    finally:
        told = joined(f"{name} {number}" for name, number in counts.items() if number) or gettext("none settled")
        tell(
            gettext("%(settled)s of %(total)s pictures: %(told)s")
            % {"settled": sum(counts.values()), "total": total, "told": told}
        )
