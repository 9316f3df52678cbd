"""A process's sign of life: a small file on its own machine, for `couponpress health` and other probes.

It is a file and no key in Redis: a probe must not take a worker for dead because Redis is away, needs no connection,
and asks about one machine. The process holds a lock on its file as long as it lives, so what a killed one leaves is
recognised and removed.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from couponpress.language import gettext
from couponpress.ledger.stored import from_stored
from couponpress.plurals import counted
from couponpress.settings import ProducerSettings
from couponpress.stored_sentences import in_words

log = logging.getLogger(__name__)

#: A sign of life older than this: the process hangs. It is renewed every second.
STALE_SECONDS = 20.0
STUCK = "stuck"
KEYS_UNUSABLE = "keys unusable"
#: The roles of processes that send or recover; the third is `callback`.
SENDERS = frozenset({"worker", "scheduler"})


@dataclass(frozen=True, slots=True)
class Beat:
    """One sign of life.

    Attributes:
        role: `worker`, `scheduler` or `callback`.
        pid: the process.
        state: in a word or two: sending, idle, waiting, held, platform down or unreached, Redis away or full,
            stopping, stuck; of a callback receiver: receiving, Redis away, keys unusable.
        sent: how many requests it has sent.
        in_hand: how many chunks it has in hand.
        at: when, seconds since 1970.
        loop_failures: how many unforeseen errors each background loop ran into and went on after, by its name.
    """

    role: str
    pid: int
    state: str
    sent: int
    in_hand: int
    at: float
    loop_failures: dict[str, int] = field(default_factory=dict)

    def ailment(self, now: float) -> str:
        """Return why the process is not healthy; empty when it is."""
        if (age := now - self.at) > STALE_SECONDS:
            return gettext("no sign of life for %(age)s s") % {"age": f"{age:.0f}"}
        if self.state == KEYS_UNUSABLE:
            return gettext("a key file cannot be used; the log and `couponpress doctor` say which")
        return gettext("work waits and slots are free, but nothing is sent") if self.state == STUCK else ""


def directory() -> Path:
    """Return where this user's processes leave their signs of life."""
    return Path(tempfile.gettempdir()) / f"couponpress-{os.getuid()}"


def fleet_prefix(settings: ProducerSettings) -> str:
    """Return how the files of a fleet begin, so that several fleets can share a machine."""
    return f"{settings.mchid}.{sha256(settings.redis_url_shown.encode()).hexdigest()[:8]}."


class Heartbeat:
    """The file of this process. Losing it costs nothing but the answer of a probe."""

    def __init__(self, home: Path, prefix: str) -> None:
        self._path = home / f"{prefix}{os.getpid()}.json"
        self._file = -1
        self._told = False

    def write(self, beat: Beat) -> None:
        """Say a sign of life; trouble with the file is logged once."""
        try:
            if not self._is_mine():
                self._open()
            content = json.dumps(asdict(beat)).encode()
            os.pwrite(self._file, content.ljust(os.fstat(self._file).st_size), 0)
        except OSError as error:
            if not self._told:
                log.warning("no sign of life can be left for `couponpress health`: %s", error)
                self._told = True

    def close(self) -> None:
        """Remove the file: the process ends in order."""
        if self._file >= 0:
            if self._is_mine():
                self._path.unlink()
            os.close(self._file)
            self._file = -1

    def _is_mine(self) -> bool:
        """Whether the file is still there: something may have cleaned up."""
        try:
            return self._file >= 0 and os.path.samestat(os.fstat(self._file), self._path.lstat())
        except FileNotFoundError:
            return False

    def _open(self) -> None:
        home = self._path.parent
        home.mkdir(mode=0o700, exist_ok=True)
        seen = home.lstat()
        if seen.st_uid != os.getuid() or seen.st_mode & 0o077 or home.is_symlink():
            raise PermissionError(f"{home} must be a directory that is this user's alone")
        if self._file >= 0:
            os.close(self._file)
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def living(home: Path, prefix: str) -> Iterator[Beat]:
    """Yield the last sign of life of every process of a fleet that is still there; remove what others left."""
    for path in sorted(home.glob(f"{prefix}*.json")):
        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                path.unlink()  # nobody holds it any more
        except FileNotFoundError:
            continue
        except BlockingIOError:
            beat = _read(path)
            if beat is not None:
                yield beat


def _read(path: Path) -> Beat | None:
    try:
        return from_stored(Beat, json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):  # ended this moment, just begun, or of another version
        return None


@dataclass(frozen=True, slots=True)
class Health:
    """What `couponpress health` found.

    Attributes:
        healthy: no process is missing, and each one is well.
        processes: each one's last sign of life, with `ailment`, empty for one that is well.
    """

    healthy: bool
    processes: list[dict[str, Any]]

    @property
    def lines(self) -> Iterator[str]:
        """What people are told."""
        for one in self.processes:
            told = f"{one['role']} {one['pid']}: {in_words(one['state'])}"
            if one["role"] in SENDERS:
                told += gettext(", %(sent)s sent, %(chunks)s in hand") % {
                    "sent": one["sent"],
                    "chunks": counted(int(str(one["in_hand"])), "chunk"),
                }
            sign = gettext("FAIL") if one["ailment"] else gettext("ok  ")
            yield f"{sign} {told}: {one['ailment']}" if one["ailment"] else f"{sign} {told}"
        if not self.healthy and not any(one["ailment"] for one in self.processes):
            yield gettext("FAIL no worker or scheduler of this partner runs on this machine")


def health(home: Path, prefix: str, *, pid: int | None = None, now: float | None = None) -> Health:
    """Look at the processes of a fleet on this machine, or at one of them.

    Without `pid` there must be a worker or a scheduler, with it that process.
    """
    moment = time.time() if now is None else now
    beats = [beat for beat in living(home, prefix) if pid in {None, beat.pid}]
    processes = [asdict(beat) | {"ailment": beat.ailment(moment)} for beat in beats]
    there = any(beat.role in SENDERS or pid is not None for beat in beats)
    return Health(there and not any(one["ailment"] for one in processes), processes)
