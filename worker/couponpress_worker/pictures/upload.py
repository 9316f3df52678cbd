"""Uploads a catalog's pictures to the platform before its rows are enqueued.

This runs where the catalog is submitted, not in the fleet's workers: a row's body holds the picture's URL, and the
body is made once, when the row is enqueued. Pictures are read a few at a time, converted if asked, and sent within the
upload limit, which is shared with every other upload of the same partner. On Ctrl-C, uploads on the wire are finished.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from couponpress.keys import Keys
from couponpress.ledger.pictures import PictureLedger
from couponpress.picture_files import PICTURE_LIMIT_BYTES, PictureChoices, Settled, read_picture_file
from couponpress.transport.redis_refusals import redis_errors_told
from couponpress_worker.pictures.convert import READ_LIMIT_BYTES, fitting, require_converter
from couponpress_worker.pictures.fetch import Fetcher
from couponpress_worker.pictures.uploader import AT_ONCE, PictureUploader, Read
from couponpress_worker.runtime.factories import limiter_redis_for, paced, platform_for, redis_for
from couponpress_worker.settings import Secrets, Settings

#: How many are read at once when they are converted, each up to some 300 MB of memory.
CONVERTED_AT_ONCE: Final = 2


def upload_pictures(
    sources: Iterable[str],
    choices: PictureChoices,
    on_settled: Callable[[Settled], None],
    settings: Settings | None = None,
) -> None:
    """Settle pictures (absolute paths and URLs), telling of each; what was uploaded before is not uploaded again.

    On Ctrl-C nothing new is sent, what is on the wire is brought to its end and remembered, then KeyboardInterrupt
    is raised; a second Ctrl-C ends at once.

    Raises:
        SettingsError, KeyFileError: the fleet's settings are not all there, or a key file is not usable.
        InputError: `choices` ask to convert, and Pillow is not installed.
        PictureUploadError: the platform takes no pictures now, or from us.
        RedisUnavailableError: Redis did not answer.
    """
    settings = settings or Settings.load()
    secret_keys = Secrets.read(settings)
    if choices.convert:
        require_converter()
    with redis_errors_told(settings.redis_url_shown):
        interrupted = asyncio.run(_upload(sources, choices, on_settled, settings, secret_keys))
    if interrupted:
        raise KeyboardInterrupt


async def _upload(
    sources: Iterable[str],
    choices: PictureChoices,
    on_settled: Callable[[Settled], None],
    settings: Settings,
    secret_keys: Secrets,
) -> bool:
    """Wire and run one uploader; returns whether a person interrupted it."""
    keys, stopped, interrupted = Keys(settings.mchid), asyncio.Event(), False
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        nonlocal interrupted
        interrupted = True
        stopped.set()
        loop.remove_signal_handler(signal.SIGINT)  # the second one ends at once

    redis_client, limiter_client = redis_for(settings), limiter_redis_for(settings)
    platform = platform_for(settings, secret_keys)
    fetcher = Fetcher(private_urls=choices.private_urls, rule=settings.proxy_rule)
    pace, slots = paced(settings, limiter_client, keys, "upload", settings.upload_rate)
    uploader = PictureUploader(
        ledger=PictureLedger(redis_client, keys),
        platform=platform,
        slots=slots,
        read=_reader(fetcher, convert=choices.convert),
        stopped=stopped,
    )
    # Only the main thread may handle signals.
    with suppress(RuntimeError, ValueError, NotImplementedError):
        loop.add_signal_handler(signal.SIGINT, interrupt)
    try:
        await uploader.settle_all(sources, on_settled)
    finally:
        with suppress(RuntimeError, ValueError, NotImplementedError):
            loop.remove_signal_handler(signal.SIGINT)
        await slots.close()
        await pace.close()
        for opened in (fetcher, platform, limiter_client, redis_client):
            await opened.aclose()
    return interrupted


def _reader(fetcher: Fetcher, *, convert: bool) -> Read:
    limit_bytes = READ_LIMIT_BYTES if convert else PICTURE_LIMIT_BYTES
    turns = asyncio.Semaphore(CONVERTED_AT_ONCE if convert else AT_ONCE)

    async def read(source: str) -> bytes:
        async with turns:
            if "://" in source:
                content = await fetcher.fetch(source, limit_bytes)
            else:
                content = await asyncio.to_thread(read_picture_file, source, limit_bytes)
            return await asyncio.to_thread(fitting, content) if convert else content

    return read
