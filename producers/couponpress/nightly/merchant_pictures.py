"""Uploads the merchant's own pictures of a night, before its rows are compared and enqueued.

A row's body holds the URL of its picture. The same picture gets the same URL again, so an unchanged row stays
unchanged. A process that has lost the night uploads nothing more.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Event

from couponpress.catalog import NOT_UPLOADED_YET
from couponpress.errors import NightLostError, PictureError
from couponpress.nightly.schedule_file import Schedule
from couponpress.picture_files import (
    PICTURE_LIMIT_BYTES,
    PictureChoices,
    Settled,
    picture_suffix,
    read_picture_file,
)
from couponpress.uploads.catalog_upload import CatalogUpload
from couponpress.uploads.picture_upload import Shown, gather_pictures, picture_lines, settle_pictures

log = logging.getLogger(__name__)


def upload_of_night(schedule: Schedule, run: str, lost: Event, shown: Shown | None, upload: CatalogUpload) -> None:
    """Upload what a night's catalogs name; without `shown` the log tells how far that is.

    Raises:
        NightLostError: another process has the night now.
        CouponpressError: as `settle_pictures`.
    """

    def tell(told: str) -> None:
        log.info("night %s: %s", run, told)

    @contextmanager
    def watched(total: int) -> Iterator[Callable[[Settled], None]]:
        with (shown or partial(picture_lines, tell))(total) as show:

            def settled(one: Settled) -> None:
                show(one)
                if lost.is_set():
                    raise NightLostError(run)

            yield settled

    settle_pictures(upload, PictureChoices(schedule.convert, schedule.private_urls), watched)


def settle_as_known(schedule: Schedule, url_of: Callable[[bytes], str | None], upload: CatalogUpload) -> None:
    """Settle what a night's catalogs name without uploading or fetching anything, for a plan.

    A picture that is not known to be at the platform counts as a new one: so do all URLs, and with `convert` all files.
    `url_of` is asked with the SHA-256 of a content.
    """
    pictures = gather_pictures(upload)
    for source in pictures.sources:
        if schedule.convert or "://" in source:
            pictures.settle(Settled(source, NOT_UPLOADED_YET))
            continue
        try:
            content = read_picture_file(source, PICTURE_LIMIT_BYTES)
            picture_suffix(content)
        except PictureError as error:
            pictures.settle(Settled(source, reason=str(error)))
        else:
            pictures.settle(Settled(source, url_of(hashlib.sha256(content).digest()) or NOT_UPLOADED_YET))
    pictures.phase = "settled"
