"""A catalog in the browser: taken into a folder, checked row by row without enqueueing, then submitted.

Uploads live in this process, and their names say which process that is. Another gateway cannot show or submit them;
after a restart a person uploads the file again, and nothing is sent twice. Reading
happens in a thread of its own, so the page can show how far it is.
"""

from __future__ import annotations

import json
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Literal

from couponpress.catalog import BrokenRow
from couponpress.client import Client, Receipt
from couponpress.errors import CouponpressError, InputError
from couponpress.keys import Lane
from couponpress.language import Language, gettext, speaking
from couponpress.serialized_spec import SerializedSpec
from couponpress.uploads.catalog_upload import CatalogUpload
from couponpress.uploads.enqueueing import enqueue_rows
from couponpress.uploads.file_names import default_run_name

#: How long an upload is kept after it was last used.
KEPT_SECONDS = 6 * 3600
#: Uploads that are kept at a time.
MOST_UPLOADS = 50
#: Broken rows that the page shows.
BROKEN_SHOWN = 20
#: Brands that a person may not submit for, of which the page names so many.
FOREIGN_SHOWN = 20

Phase = Literal["checking", "checked", "submitting", "submitted", "failed"]


@dataclass
class Upload:
    """One catalog, and how far it is.

    Attributes:
        number: its name in addresses; nobody guesses it.
        owner: the token that uploaded it.
        name: the file's name, as the browser gave it.
        run: the run that it will be.
        phase: what is done with it now.
        trouble: why it failed.
        broken: the first broken rows.
        report: what was read, in lines.
        new: specs enqueued; known: those that were known before.
        brands: the brands that the person may submit for; None for every brand.
        foreign: other brands in the catalog, the first of them; with one, nothing is submitted.
    """

    number: str
    owner: str
    name: str
    folder: Path
    run: str
    lane: Lane
    language: Language
    phase: Phase = "checking"
    trouble: str = ""
    broken: list[tuple[str, str, str]] = field(default_factory=list)
    report: list[str] = field(default_factory=list)
    good: int = 0
    bad: int = 0
    share: float = 0.0
    new: int = 0
    known: int = 0
    brands: frozenset[str] | None = None
    foreign: list[str] = field(default_factory=list)
    used_at: float = field(default_factory=time.monotonic)
    error_file: Path | None = None

    @property
    def path(self) -> Path:
        """Where the catalog lies."""
        return self.folder / self.name

    def note_brand(self, spec: SerializedSpec) -> bool:
        """Note the brand of a spec; False when the person may not submit for it."""
        if self.brands is None or (brand := _brand_of(spec)) in self.brands:
            return True
        if brand not in self.foreign and len(self.foreign) < FOREIGN_SHOWN:
            self.foreign.append(brand)
        return False

    def shown(self, told: str) -> str:
        """Return a sentence without the folder, which says nothing to a person."""
        return told.replace(f"{self.folder}/", "")


class Uploads:
    """The uploads of one process."""

    def __init__(self, folder: Path, client: Client) -> None:
        self._folder = folder
        self._client = client
        self._kept: dict[str, Upload] = {}
        self._lock = threading.Lock()
        #: How the names of this process's uploads begin.
        self._process = f"{secrets.token_hex(4)}-"

    def took(self, number: str) -> bool:
        """Whether this process took the upload of that name, whether it is still there or not."""
        return number.startswith(self._process)

    def close(self) -> None:
        """Remove every file."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def make(
        self, owner: str, brands: frozenset[str] | None, name: str, run: str, lane: Lane, language: Language
    ) -> Upload:
        """Make room for a catalog of that name.

        Raises:
            InputError: the file has no usable name.
        """
        shown = PurePath(name.replace("\\", "/")).name.strip().lstrip(".")[-120:]
        if not shown:
            raise InputError(gettext("Choose a file."))
        with self._lock:
            self._forget_old()
            number = self._process + secrets.token_urlsafe(16)
            folder = self._folder / number
            folder.mkdir(parents=True, mode=0o700)
            made = Upload(number, owner, shown, folder, run or default_run_name([shown]), lane, language, brands=brands)
            self._kept[number] = made
            return made

    def find(self, owner: str, number: str) -> Upload | None:
        """Return an upload of that person; None when there is none any more."""
        found = self._kept.get(number)
        if found is None or found.owner != owner:
            return None
        found.used_at = time.monotonic()
        return found

    def check(self, upload: Upload) -> None:
        """Read the catalog in a thread, enqueueing nothing."""
        self._start(upload, self._check)

    def submit(self, upload: Upload) -> None:
        """Enqueue the good rows in a thread."""
        upload.phase = "submitting"
        self._start(upload, self._submit)

    def _start(self, upload: Upload, work: Callable[[Upload], None]) -> None:
        def run() -> None:
            with speaking(upload.language):
                try:
                    work(upload)
                except CouponpressError as error:
                    upload.phase, upload.trouble = "failed", upload.shown(str(error))
                except Exception:
                    upload.phase, upload.trouble = "failed", gettext("The console failed; its log says more.")
                    raise

        threading.Thread(target=run, name="console-upload", daemon=True).start()

    def _reading(self, upload: Upload) -> CatalogUpload:
        upload.broken.clear()

        def note(row: BrokenRow) -> None:
            upload.bad += 1
            if len(upload.broken) < BROKEN_SHOWN:
                problem = row.problems[0]
                upload.broken.append((str(row.line), problem.field, problem.rule))

        upload.good = upload.bad = 0
        reading = CatalogUpload([str(upload.path)], on_broken=note)
        reading.run = upload.run

        def read() -> None:
            upload.good = reading.good
            if reading.size:
                upload.share = reading.bytes_read / reading.size

        reading.on_read = read
        return reading

    def _check(self, upload: Upload) -> None:
        reading = self._reading(upload)
        reading.check()
        with closing(reading.specs()) as specs:
            for spec in specs:
                upload.note_brand(spec)
        self._read_to_end(upload, reading)
        upload.phase = "checked"

    def _submit(self, upload: Upload) -> None:
        reading = self._reading(upload)

        def enqueue() -> Receipt:
            upload.good = upload.bad = 0
            upload.broken.clear()
            with closing(reading.specs()) as specs:
                return self._client.enqueue_many(_own(upload, specs), run=upload.run, lane=upload.lane)

        receipt = enqueue_rows(reading, enqueue, names_run=upload.brands is None)
        self._read_to_end(upload, reading)
        upload.new, upload.known, upload.phase = receipt.new, receipt.known, "submitted"

    @staticmethod
    def _read_to_end(upload: Upload, reading: CatalogUpload) -> None:
        upload.good, upload.bad, upload.share = reading.good, reading.broken, 1.0
        upload.report = [upload.shown(line) for line in reading.report().splitlines()]
        upload.error_file = reading.error_files[0] if reading.error_files else None

    def _forget_old(self) -> None:
        by_age: Iterable[Upload] = sorted(self._kept.values(), key=lambda one: one.used_at)
        for one in by_age:
            old = time.monotonic() - one.used_at > KEPT_SECONDS
            if (old or len(self._kept) >= MOST_UPLOADS) and one.phase not in ("checking", "submitting"):
                del self._kept[one.number]
                shutil.rmtree(one.folder, ignore_errors=True)


def _own(upload: Upload, specs: Iterable[SerializedSpec]) -> Iterator[SerializedSpec]:
    """Yield the specs; the first of a brand that is not the person's ends the upload, and nothing of it is stored."""
    for spec in specs:
        if not upload.note_brand(spec):
            raise InputError(gettext("The catalog has rows of brands that are not yours."))
        yield spec


def _brand_of(spec: SerializedSpec) -> str:
    return str(json.loads(spec.head + b"-" + spec.tail)["brand_id"])
