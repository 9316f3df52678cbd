"""Pictures of the merchant's own go to the platform, each once, within the upload limit.

Decides when a picture counts as uploaded, refused, or worth another try, and when uploading as a whole cannot go on.
Runs where a catalog is submitted, not in the fleet's workers: a body holds the picture's URL and is made once, when
its row is enqueued. The limit is shared with whoever else uploads for the same partner.
Long, for uploading one picture, all of them, and their wiring stand together.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import signal
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Final

from couponpress.errors import PictureError, RedisUnavailableError
from couponpress.keys import Keys
from couponpress.ledger.pictures import PictureLedger
from couponpress.ledger.scripts import REDIS_AWAY
from couponpress.pictures import (
    PICTURE_LIMIT_BYTES,
    STORED_AT,
    PictureChoices,
    Settled,
    picture_suffix,
    read_picture_file,
)
from couponpress_worker.errors import PictureUploadError
from couponpress_worker.fetching import Fetcher
from couponpress_worker.judgement import (
    Accepted,
    Again,
    Answer,
    Judgement,
    NoAnswer,
    Rejected,
    Stop,
    Throttled,
    judge,
    retry_delay_seconds,
)
from couponpress_worker.picture_scaling import READ_LIMIT_BYTES, fitting, require_converter
from couponpress_worker.process import limiter_redis_for, paced, platform_for, redis_for
from couponpress_worker.recovery import rest
from couponpress_worker.settings import Secrets, Settings
from couponpress_worker.slots import Slot, Slots, SlotsClosedError
from couponpress_worker.wechatpay import SlotPassed, WeChatPay

log = logging.getLogger(__name__)

#: How many pictures are under way at once, each up to some 4 MB of memory: with answers after a second or less, that is
#: more than the limit lets through.
AT_ONCE: Final = 24
#: How many are read at once when they are converted, each up to some 300 MB of memory.
CONVERTED_AT_ONCE: Final = 2
#: When so many pictures in a row used up their tries, it is not the pictures.
GIVEN_UP_IN_A_ROW: Final = 5

Read = Callable[[str], Awaitable[bytes]]


class PictureUploader:
    """Settles pictures one by one; everything it needs is handed in.

    Args:
        ledger: what is at the platform already.
        platform: takes pictures.
        slots: of the upload limit.
        read: returns a source's content, or raises PictureError.
        stopped: set when nothing new is to be sent.
    """

    def __init__(
        self, *, ledger: PictureLedger, platform: WeChatPay, slots: Slots, read: Read, stopped: asyncio.Event
    ) -> None:
        self._ledger = ledger
        self._platform = platform
        self._slots = slots
        self._read = read
        self._stopped = stopped
        self._under_way: dict[bytes, asyncio.Future[str]] = {}
        self._given_up = 0

    async def settle_all(self, sources: Iterable[str], on_settled: Callable[[Settled], None]) -> None:
        """Settle every source, AT_ONCE of them at a time; return early when stopped.

        Raises:
            PictureUploadError: the platform takes no pictures now, or from us; what was uploaded is remembered.
            redis.exceptions.RedisError: Redis is away; the same.
        """
        waiting = iter(sources)
        failures: list[Exception] = []

        async def settle_some() -> None:
            for source in waiting:
                if self._stopped.is_set():
                    return
                try:
                    on_settled(await self.settle(source))
                except SlotsClosedError:
                    return
                except Exception as error:  # noqa: BLE001 - raised below, once the others have ended theirs
                    failures.append(error)
                    self._stopped.set()

        async def close_when_stopped() -> None:
            await self._stopped.wait()
            await self._slots.close()

        closing = asyncio.create_task(close_when_stopped())
        await asyncio.gather(*(settle_some() for _ in range(AT_ONCE)))
        self._stopped.set()
        await closing
        if failures:
            raise failures[0]

    async def settle(self, source: str) -> Settled:
        """Bring one picture to the platform, unless it is there.

        Raises:
            PictureUploadError, redis.exceptions.RedisError: as `settle_all`.
            SlotsClosedError: stopped while it waited.
        """
        try:
            content = await self._read(source)
            suffix = picture_suffix(content)
            digest = await asyncio.to_thread(lambda: hashlib.sha256(content).digest())
            same = self._under_way.get(digest)
            if same is not None:
                return Settled(source, await same, known=True)
            if url := await self._ledger.url_of(digest):
                return Settled(source, url, known=True)
            same = self._under_way.get(digest)  # another source may have been quicker to ask Redis
            if same is not None:
                return Settled(source, await same, known=True)
            return Settled(source, await self._once(digest, f"{digest.hex()[:32]}.{suffix}", content))
        except PictureError as error:
            return Settled(source, reason=str(error))

    async def _once(self, digest: bytes, file_name: str, content: bytes) -> str:
        """Upload a picture; whoever has the same content meanwhile waits for the same end."""
        end = self._under_way[digest] = asyncio.get_running_loop().create_future()
        try:
            url = await self._uploaded(file_name, content)
            await self._ledger.remember(digest, url)
        except Exception as error:
            end.set_exception(error)
            end.exception()  # seen, even if nobody else waits for it
            raise
        else:
            end.set_result(url)
            return url
        finally:
            del self._under_way[digest]

    async def _uploaded(self, file_name: str, content: bytes) -> str:
        tries = 0
        while True:
            slot = await self._slots.take()
            try:
                answer = await self._platform.upload(file_name, content, partial(self._gate, slot))
            except SlotPassed:
                continue
            judgement = judge(answer)
            if isinstance(judgement, Throttled):
                self._slots.throttled(slot, judgement.retry_after_seconds)
                continue
            self._slots.answered(slot)
            if isinstance(judgement, Accepted) and (url := _stored_url(answer)):
                self._given_up = 0
                return url
            tries += 1
            await self._wait_before(tries, _why_again(judgement))

    async def _wait_before(self, tries: int, why: str) -> None:
        """Wait for the next try.

        Raises:
            PictureError: there is none left.
            PictureUploadError: nor was there for the pictures before.
            SlotsClosedError: stopped meanwhile.
        """
        delay_seconds = retry_delay_seconds(tries, 0.5)
        if delay_seconds is None:
            self._given_up += 1
            if self._given_up >= GIVEN_UP_IN_A_ROW:
                raise PictureUploadError(
                    f"{self._given_up} pictures in a row could not be uploaded, the last one: {why}",
                    "See that the platform can be reached (`couponpress doctor`), then submit again.",
                )
            raise PictureError(f"could not be uploaded in {tries} tries, the last one: {why}")
        log.info("a picture could not be uploaded and is tried again in %.0f s: %s", delay_seconds, why)
        await rest(self._stopped, delay_seconds)
        if self._stopped.is_set():
            raise SlotsClosedError

    async def _gate(self, slot: Slot) -> None:
        if not await self._slots.due(slot):
            raise SlotPassed


def _stored_url(answer: Answer | NoAnswer) -> str:
    told = answer.content if isinstance(answer, Answer) else {}
    url = told.get("image_url") or told.get("media_url")  # an older page has the second name
    return url if isinstance(url, str) and url.startswith(STORED_AT) else ""


def _why_again(judgement: Judgement) -> str:
    """Return why an upload is to be repeated.

    Raises:
        PictureError: it is not: the platform refuses the picture.
        PictureUploadError: it is not: the platform refuses us.
    """
    match judgement:
        case Stop(code=code, message=message, cure=cure):
            raise PictureUploadError(f"{code} {message}", cure)
        case Rejected(code=code, message=message):
            raise PictureError(f"is refused by the platform: {code} {message}")
        case Again(code=code, message=message):
            return f"{code} {message}"
        case _:
            return f"the answer holds no image_url that begins {STORED_AT}"


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
    try:
        interrupted = asyncio.run(_upload(sources, choices, on_settled, settings, secret_keys))
    except REDIS_AWAY as error:
        raise RedisUnavailableError(settings.redis_url_shown, error) from error
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
    fetcher = Fetcher(private_urls=choices.private_urls)
    pace, slots = paced(settings, limiter_client, keys, "upload", settings.upload_rate)
    uploader = PictureUploader(
        ledger=PictureLedger(redis_client, keys),
        platform=platform,
        slots=slots,
        read=_reader(fetcher, convert=choices.convert),
        stopped=stopped,
    )
    # Only a main thread may handle signals; elsewhere whoever started it decides.
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
