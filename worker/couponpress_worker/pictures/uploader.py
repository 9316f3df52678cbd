"""Uploads pictures to the platform, each once, within the upload limit.

A picture ends as uploaded, as refused, or as given up after several tries. Uploading as a whole ends when the platform
refuses the partner, when several pictures in a row are given up, or when the platform answers every upload for minutes
with "too fast", as it does once a day's quota is used up. What was uploaded by then is remembered.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from couponpress.errors import PictureError
from couponpress.language import gettext
from couponpress.ledger.pictures import PictureLedger
from couponpress.picture_files import STORED_AT, Settled, picture_suffix
from couponpress.plurals import counted
from couponpress.stopping import rest
from couponpress_worker.errors import PictureUploadError
from couponpress_worker.events import Tell, unheard
from couponpress_worker.rate.call import PacedCall
from couponpress_worker.rate.slots import Slots, SlotsClosedError
from couponpress_worker.wechatpay.client import Gate, WeChatPay
from couponpress_worker.wechatpay.judgement import (
    Accepted,
    Answer,
    Hold,
    Judgement,
    NoAnswer,
    Rejected,
    Retry,
    Throttled,
    judge,
)
from couponpress_worker.wechatpay.retry import retry_delay_seconds

log = logging.getLogger(__name__)

#: How many pictures are under way at once, each up to some 4 MB of memory: with answers after a second or less, that is
#: more than the limit lets through.
AT_ONCE: Final = 24
#: When this many pictures in a row used up their tries, the fault is not in the pictures.
GIVEN_UP_IN_A_ROW: Final = 5

#: After this time with no answer but "too fast", a daily quota is used up and waiting does not help.
THROTTLED_SECONDS: Final = 120.0
#: How often the person is told that the platform answers "too fast".
TOLD_EVERY_SECONDS: Final = 15.0

Read = Callable[[str], Awaitable[bytes]]


class PictureUploader:
    """Settles pictures one by one; everything it needs is handed in.

    Args:
        ledger: what is at the platform already.
        platform: takes pictures.
        slots: of the upload limit.
        read: returns a source's content, or raises PictureError.
        stopped: set when nothing new is to be sent.
        throttled_seconds: how long the platform may answer nothing but "too fast".
        tell: hears of each upload.
    """

    def __init__(
        self,
        *,
        ledger: PictureLedger,
        platform: WeChatPay,
        slots: Slots,
        read: Read,
        stopped: asyncio.Event,
        throttled_seconds: float = THROTTLED_SECONDS,
        tell: Tell = unheard,
    ) -> None:
        self._throttled_seconds = throttled_seconds
        self._throttled_since: float | None = None
        self._throttled_told = -math.inf
        self._ledger = ledger
        self._platform = platform
        self._slots = slots
        self._call = PacedCall("upload", slots, judge, tell)
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
            same = self._under_way.get(digest)  # another source with the same content may have asked Redis first
            if same is not None:
                return Settled(source, await same, known=True)
            return Settled(source, await self._once(digest, f"{digest.hex()[:32]}.{suffix}", content))
        except PictureError as error:
            return Settled(source, reason=str(error))

    async def _once(self, digest: bytes, file_name: str, content: bytes) -> str:
        """Upload a picture. Others with the same content wait for the same result."""
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
        def upload(gate: Gate) -> Awaitable[Answer | NoAnswer]:
            return self._platform.upload(file_name, content, gate)

        tries = 0
        while True:
            answered = await self._call.in_time(upload)
            answer, judgement = answered.answer, answered.judgement
            if isinstance(judgement, Throttled):
                self._note_throttled(answer)
                continue
            self._throttled_since = None
            if isinstance(judgement, Accepted) and (url := _stored_url(answer)):
                self._given_up = 0
                return url
            tries += 1
            await self._wait_before(tries, _why_again(judgement))

    def _note_throttled(self, answer: Answer | NoAnswer) -> None:
        """Tell a person now and then that the platform says "too fast".

        Raises:
            PictureUploadError: it has said nothing else for too long.
        """
        now = asyncio.get_running_loop().time()
        said = f"429 {answer.code} {answer.message}".rstrip() if isinstance(answer, Answer) else "429"
        if self._throttled_since is None:
            self._throttled_since = now
        elif now - self._throttled_since >= self._throttled_seconds:
            raise PictureUploadError(
                gettext("for %(seconds)s s the platform answered nothing but %(said)s")
                % {"seconds": f"{self._throttled_seconds:.0f}", "said": said},
                gettext("If the day's quota is used up, submit again tomorrow; the upload goes on where it ended."),
            )
        if now - self._throttled_told >= TOLD_EVERY_SECONDS:
            self._throttled_told = now
            log.warning("the platform takes no picture at the moment, and is asked again: %s", said)

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
                    gettext("%(number)s pictures in a row could not be uploaded, the last one: %(why)s")
                    % {"number": self._given_up, "why": why},
                    gettext("See that the platform can be reached (`couponpress doctor`), then submit again."),
                )
            raise PictureError(
                gettext("could not be uploaded in %(tries)s, the last one: %(why)s")
                % {"tries": counted(tries, "try", "tries"), "why": why}
            )
        log.info("a picture could not be uploaded and is tried again in %.0f s: %s", delay_seconds, why)
        await rest(self._stopped, delay_seconds)
        if self._stopped.is_set():
            raise SlotsClosedError


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
        case Hold(code=code, message=message, cure=cure):
            raise PictureUploadError(f"{code} {message}", cure)
        case Rejected(code=code, message=message):
            raise PictureError(
                gettext("is refused by the platform: %(code)s %(message)s") % {"code": code, "message": message}
            )
        case Retry(code=code, message=message):
            return f"{code} {message}"
        case _:
            return gettext("the answer holds no image_url that begins %(start)s") % {"start": STORED_AT}
