"""The connections and ledgers that the work on nights needs, and the thread that renews the claim of a night.

The claim is renewed as long as the process works on the night and reaches Redis.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

from couponpress.client import Client
from couponpress.errors import UnknownRunError
from couponpress.keys import Keys
from couponpress.ledger.enqueueing import UploadLedger
from couponpress.ledger.pictures import known_url
from couponpress.ledger.progress import ReadingLedger
from couponpress.ledger.scripts import REDIS_AWAY
from couponpress.nightly.claims import LEASE_MS, NightLedger, NightRecord
from couponpress.nightly.row_fingerprints import RowFingerprintLedger
from couponpress.nightly.schedule_file import ScheduleFile
from couponpress.outcome import RunStatus
from couponpress.settings import ProducerSettings


@dataclass(frozen=True, slots=True)
class NightContext:
    """What one process needs to work on nights.

    Attributes:
        file: the schedules.
        client: enqueues, and follows runs.
        nights: the claims and states of nights.
        row_fingerprints: the bodies with which rows last succeeded.
        runs: the runs' numbers.
        uploads: what an interrupted upload left.
        picture_url: where the platform keeps a picture, by the SHA-256 of its content; None when it is not known.
        owner: the name under which this process claims nights.
    """

    file: ScheduleFile
    client: Client
    nights: NightLedger
    row_fingerprints: RowFingerprintLedger
    runs: ReadingLedger
    uploads: UploadLedger
    picture_url: Callable[[bytes], str | None]
    owner: str

    @classmethod
    @contextmanager
    def open(cls, settings: ProducerSettings, file: ScheduleFile) -> Iterator[Self]:
        """Make the connections of a process. They connect when they are first used."""
        keys = Keys(settings.mchid)
        server = settings.redis_address.client(socket_timeout=30, socket_connect_timeout=5)
        owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        with Client(settings) as client:
            nights, row_fingerprints, runs = (
                NightLedger(server, keys),
                RowFingerprintLedger(server, keys),
                ReadingLedger(server, keys),
            )
            try:
                picture_url = partial(known_url, server, keys)
                yield cls(file, client, nights, row_fingerprints, runs, UploadLedger(server, keys), picture_url, owner)
            finally:
                server.close()

    @property
    def folder(self) -> Path:
        """The folder to which the globs of the schedules are relative."""
        return self.file.path.resolve().parent

    @contextmanager
    def in_hand(self, run: str) -> Iterator[threading.Event]:
        """Renew the claim of a night inside a block. Yields an event that is set when the claim is lost."""
        lost, done = threading.Event(), threading.Event()

        def keep() -> None:
            while not done.wait(LEASE_MS / 3000):
                with suppress(*REDIS_AWAY):
                    if not self.nights.keep(run, self.owner):
                        lost.set()
                        return

        keeping = threading.Thread(target=keep, name=f"keeps {run}", daemon=True)
        keeping.start()
        try:
            yield lost
        finally:
            done.set()

    def status(self, run: str) -> RunStatus | None:
        """Return the progress of a run, or None if there is no run of that name."""
        with suppress(UnknownRunError):
            return self.client.run(run)
        return None

    def take_out(self, run: str) -> None:
        """Remove what an unfinished upload has staged. Nothing of it was released."""
        number = self.runs.number_of(run)
        if (token := self.uploads.take_over_upload(number)) is not None:
            self.uploads.discard(number, token)

    def earlier(self, schedule: str, run: str) -> list[str]:
        """Return the runs of a schedule's other nights that are not finished, the oldest first."""
        others = [one.run for one in self.nights.open_nights() if one.schedule == schedule and one.run != run]
        return [one for one in others if (status := self.status(one)) is not None and not status.finished]

    def under_way(self, runs: Iterable[str]) -> dict[bytes, bytes]:
        """Return the rows that these runs have not finished: digest of the row's id -> fingerprint of its body."""
        found = {}
        for run in runs:
            with suppress(UnknownRunError):
                rows = self.row_fingerprints.of_run(self.runs.number_of(run))
                found.update({one.row: one.body for one in rows if not one.state.ended})
        return found

    def remember(self, record: NightRecord) -> None:
        """Remember the rows that succeeded in a night's run so far, and forget those that failed. May be repeated."""
        schedule = self.file.schedules.get(record.schedule)
        if schedule is not None and schedule.diff:
            with suppress(UnknownRunError):
                self.row_fingerprints.record(record.schedule, self.runs.number_of(record.run), self.nights.now())

    def remember_earlier(self, schedule: str, run: str) -> None:
        """Do the same for the other open nights of a schedule, and for its latest, which may have been redriven."""
        records = {one.run: one for one in self.nights.open_nights() if one.schedule == schedule}
        if (latest := self.nights.latest(schedule)) is not None:
            records[latest.run] = latest
        for record in sorted(records.values(), key=lambda one: one.at):
            if record.run != run:
                self.remember(record)
