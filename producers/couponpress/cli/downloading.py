"""Fetches the pictures of a run into a folder, several at a time, and goes on where it was interrupted.

A file is named after its row and its task, and is renamed to that name once it is whole. A file that is there is not
fetched again. `picture_http` fetches one picture.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from couponpress.cli.picture_http import Way, content_of
from couponpress.errors import InputError, PictureError, system_error
from couponpress.language import gettext
from couponpress.outcome import Outcome, State
from couponpress.picture_files import whole_picture_suffix
from couponpress.transport.proxy import ProxyRule

AT_ONCE: Final = 8
#: A file is written under its name and this, and renamed when it is whole.
UNFINISHED: Final = ".part"
_SUFFIXES: Final = (".png", ".jpg", ".bmp", ".gif", ".webp")


@dataclass(slots=True)
class Downloaded:
    """What became of a run's pictures.

    Attributes:
        fetched: new files.
        there: files that were there before.
        without: specs that have no picture, ended or not.
        failed: row id and reason of each picture that could not be fetched.
    """

    fetched: int = 0
    there: int = 0
    without: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)


def download(
    outcomes: Iterable[Outcome],
    directory: Path,
    *,
    rule: ProxyRule | None = None,
    on_progress: Callable[[bool], None] = lambda _: None,
) -> Downloaded:
    """Fetch the picture of every spec that succeeded, AT_ONCE at a time; what is there is skipped.

    Args:
        outcomes: read as far as there is room for more, in constant memory.
        directory: made if need be.
        rule: which proxy a URL goes through; None goes directly.
        on_progress: called for each picture, with whether it is there now: fetched, or there before.

    Raises:
        InputError: the directory cannot be written.
    """
    done, stopped, there = Downloaded(), threading.Event(), _stems(directory)
    way = Way(rule or ProxyRule())
    threads = _FetchThreads(AT_ONCE, stopped)

    def start(outcome: Outcome) -> Future[None]:
        return threads.submit(partial(_fetch, way, outcome.image_url, directory / file_stem(outcome), stopped))

    try:
        for outcome, future in _started(outcomes, there, done, start, on_progress):
            try:
                future.result()
            except PictureError as error:
                done.failed.append((outcome.row_id, str(error)))
                on_progress(False)
            else:
                done.fetched += 1
                on_progress(True)
    except OSError as error:
        raise _unwritable(directory, error) from None
    finally:
        stopped.set()
        threads.close()
    return done


class _FetchThreads:
    """Threads that the end of the process does not wait for.

    A server that stalls would keep it for half a minute after Ctrl-C. What such a thread leaves behind is an
    unfinished file, which the next download removes.
    """

    def __init__(self, count: int, stopped: threading.Event) -> None:
        self._calls: SimpleQueue[tuple[Future[None], Callable[[], None]] | None] = SimpleQueue()
        self._stopped = stopped
        self._threads = [
            threading.Thread(target=self._run, name=f"download-{number}", daemon=True) for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, act: Callable[[], None]) -> Future[None]:
        """Let a thread call `act`; the future has what came of it."""
        future: Future[None] = Future()
        self._calls.put((future, act))
        return future

    def close(self) -> None:
        """End the threads; one that is in a call ends after it."""
        for _ in self._threads:
            self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None and not self._stopped.is_set():
            future, act = call
            try:
                act()
            except BaseException as error:  # noqa: BLE001 - whoever waits for the future raises it
                future.set_exception(error)
            else:
                future.set_result(None)


def _started(
    outcomes: Iterable[Outcome],
    there: set[str],
    done: Downloaded,
    start: Callable[[Outcome], Future[None]],
    on_progress: Callable[[bool], None],
) -> Iterator[tuple[Outcome, Future[None]]]:
    """Start what is to be fetched, some way ahead of the one that is yielded."""
    under_way: deque[tuple[Outcome, Future[None]]] = deque()
    for outcome in outcomes:
        if outcome.outcome != State.SUCCEEDED:
            done.without += 1
        elif file_stem(outcome) in there:
            done.there += 1
            on_progress(True)
        else:
            under_way.append((outcome, start(outcome)))
            if len(under_way) > 4 * AT_ONCE:
                yield under_way.popleft()
    yield from under_way


def file_stem(outcome: Outcome) -> str:
    r"""Return a picture's file name without its suffix: the row id as far as it is safe, then the task_id.

    >>> file_stem(Outcome("../SP 1/红", "cp_000001", "", "succeeded"))
    'SP_1_红.cp_000001'
    """
    safe = re.sub(r"[^\w.-]+", "_", outcome.row_id).strip("._-")
    safe = safe.encode()[:120].decode(errors="ignore")  # a file system takes 255 bytes
    return f"{safe}.{outcome.task_id}" if safe and safe != outcome.task_id else outcome.task_id


def _stems(directory: Path) -> set[str]:
    """Return what is there already; a file that was not finished is no longer."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        found = set()
        for path in directory.iterdir():
            if path.name.endswith(UNFINISHED) and path.name.startswith("."):
                path.unlink()
            elif path.suffix in _SUFFIXES:
                found.add(path.stem)
    except OSError as error:
        raise _unwritable(directory, error) from None
    return found


def _unwritable(directory: Path, error: OSError) -> InputError:
    return InputError(
        gettext("%(directory)s cannot be written (%(reason)s); choose another place.")
        % {"directory": directory, "reason": system_error(error)}
    )


def _fetch(way: Way, url: str, target: Path, stopped: threading.Event) -> None:
    """Fetch one picture into `target` with the suffix of its kind.

    Raises:
        PictureError: it could not be fetched, or is no picture.
        OSError: the file cannot be written.
    """
    content = content_of(way, url, stopped)
    suffix = _kind(content)
    unfinished = target.with_name(f".{target.name}{UNFINISHED}")
    unfinished.write_bytes(content)
    unfinished.replace(target.with_name(f"{target.name}.{suffix}"))


def _kind(content: bytes) -> str:
    """Return the suffix of a picture's kind. The platform does not say which kind it makes."""
    if content.startswith((b"GIF87a", b"GIF89a")) and content.endswith(b";"):
        return "gif"
    if (
        content[:4] == b"RIFF"
        and content[8:12] == b"WEBP"
        and int.from_bytes(content[4:8], "little") + 8 <= len(content)
    ):
        return "webp"
    try:
        return whole_picture_suffix(content)
    except PictureError as error:
        raise PictureError(gettext("what was sent %(error)s") % {"error": error}) from None
