"""Reads catalog files for one upload: valid rows become specs, broken rows go to the error file; both are counted.

The client takes the specs from here one by one; nothing here speaks to Redis. An error file that an earlier reading
left is removed when its catalog has no broken row any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from couponpress import catalog
from couponpress.errors import CatalogError, InputError
from couponpress.language import argument, gettext, joined
from couponpress.ledger.chunks import identified_in
from couponpress.plurals import counted
from couponpress.serialized_spec import SerializedSpec
from couponpress.uploads.conflicts import place_of, without_conflict
from couponpress.uploads.file_names import default_run_name, error_path

#: A report names this many notes and columns, and counts the rest.
_NAMED = 8
#: This many reasons of broken rows are named when no row is valid.
_REASONS = 3
#: This many unused columns are named; the rest are counted.
_LISTED = 20
#: After how many rows `on_read` is called.
_TOLD_EVERY = 500


class CatalogUpload:
    """One or several catalogs that are uploaded into a run.

    Attributes:
        good: rows that became specs so far.
        broken: rows that did not.
        error_files: where the broken ones went.
        on_read: called while rows are read, every few hundred.
    """

    def __init__(
        self,
        files: Sequence[str],
        *,
        format_name: str | None = None,
        encoding: str | None = None,
        sheet: str | None = None,
        headers: catalog.HeaderMapping | None = None,
        header_row: int | None = None,
        skip_hidden: bool = False,
        strict: bool = False,
        errors: Path | None = None,
        empty: Sequence[str] = (),
        on_broken: Callable[[catalog.BrokenRow], None] = lambda _: None,
        pictures: catalog.MerchantPictures | None = None,
    ) -> None:
        if errors is not None and len(files) > 1:
            raise InputError(gettext("--errors names one file, but several catalogs were given; leave it out."))
        self._files = files
        self._known_parts: list[catalog.Part] = []
        self._format_name = format_name
        self._encoding = encoding
        self._sheet = sheet
        self._headers = headers
        self._header_row = header_row
        self._skip_hidden = skip_hidden
        self._summaries: dict[str, list[str]] = {}
        self._strict = strict
        self._errors = errors
        self._empty = empty
        self._on_broken = on_broken
        #: Those of the merchant's own; where none were handed in, their rows are broken.
        self.pictures = pictures or catalog.MerchantPictures("refuse")
        self._notes: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        #: task_id -> why its row is broken: the ledger knows it with another body in `run`.
        self.conflicts: dict[str, str] = {}
        self.run = ""
        self._unused: dict[str, tuple[str, ...]] = {}
        self.good = self.broken = 0
        self.error_files: list[Path] = []
        self.on_read: Callable[[], None] = lambda: None
        self._opened_now: list[catalog.Catalog] = []

    @property
    def rows(self) -> int:
        """How many rows were read so far."""
        return self.good + self.broken

    @property
    def bytes_read(self) -> int:
        """How many bytes of the catalogs were read so far."""
        return sum(one.bytes_read for one in self._opened_now)

    @property
    def size(self) -> int | None:
        """How many bytes the catalogs have, once they are opened; None if that is not known."""
        sizes = [one.size for one in self._opened_now]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    @property
    def from_standard_input(self) -> bool:
        """Whether a catalog comes from standard input, so that the catalogs can be read only once."""
        return "-" in self._files

    def check(self) -> None:
        """Open every catalog and read its header, before anything else is done.

        Raises:
            CatalogError: one of them cannot be read as a whole.
        """
        for part in self._parts():
            if part.name != "-":  # standard input can be read but once
                self._opened(part).close()

    def specs(self) -> Generator[SerializedSpec, None, None]:
        """Yield the spec of each good row, written down, in order, in constant memory.

        Who may stop before the end closes the generator, and with it the files.

        Raises:
            CatalogError: a catalog cannot be read, or with strict: at least one row is broken (said at the end, when
                the error file names them all).
            MerchantPictureFoundError: a row names a picture that must be uploaded first; see `MerchantPictures`.
        """
        self.good = self.broken = 0
        self.error_files.clear()
        self._notes.clear()
        self._reasons.clear()
        with ExitStack() as opened:
            # All are opened first, so that a misspelt second name does not show after the first million rows.
            parts = self._parts()
            seen = opened.enter_context(catalog.DuplicateIds())
            files = [one for one in parts if not one.is_sheet]
            of_files = {one: opened.enter_context(self._opened(one, self.pictures, seen)) for one in files}
            self._opened_now = list(of_files.values())
            for part in parts:
                if one := of_files.get(part):
                    yield from self._specs_of(part, one)
                    continue
                # Each sheet holds the texts that all share, so that only one is open.
                with self._opened(part, self.pictures, seen) as one:
                    self._opened_now = [one]
                    yield from self._specs_of(part, one)
        if not self.rows:
            raise CatalogError(gettext("no sheet has a row below its header; nothing can be enqueued."))
        if self._strict and self.broken:
            where = joined(map(str, self.error_files))
            raise CatalogError(
                gettext(
                    "%(broken)s of %(rows)s (see %(where)s); nothing was enqueued. Mend them, or leave --strict out "
                    "to let the good rows go on."
                )
                % {"broken": counted(self.broken, "broken row"), "rows": f"{self.rows:,}", "where": where}
            )

    def _parts(self) -> list[catalog.Part]:
        """Return the files, or with `--sheet all` their sheets.

        Raises:
            CatalogError: a workbook cannot be opened.
            InputError: `--errors` names one file for several sheets.
        """
        if not self._known_parts:
            parts = catalog.parts_of(self._files, self._sheet, format_name=self._format_name, headers=self._headers)
            if self._errors is not None and len(parts) > 1:
                raise InputError(gettext("--errors names one file, but several sheets are read; leave it out."))
            self._known_parts = parts
        return self._known_parts

    def _opened(
        self,
        part: catalog.Part,
        pictures: catalog.MerchantPictures | None = None,
        seen: catalog.DuplicateIds | None = None,
    ) -> catalog.Catalog:
        one = catalog.read(
            part.name,
            format=self._format_name,
            encoding=self._encoding,
            sheet=part.sheet,
            headers=self._headers,
            header_row=self._header_row,
            skip_hidden=self._skip_hidden,
            strict=self._strict,
            row_prefix=part.row_prefix,
            pictures=pictures,
            seen=seen,
            empty=self._empty,
        )
        if part.is_sheet:
            one.summary.other_sheets = part.unread
            one.may_be_empty = True
        return one

    def _specs_of(self, part: catalog.Part, one: catalog.Catalog) -> Iterator[SerializedSpec]:
        path = self._errors or error_path(one, part)
        identified = identified_in(self.run)
        gathering = self.pictures.phase == "gather"
        with catalog.ErrorFile(path, one) as errors:
            conflicts = self.conflicts
            for number, read in enumerate(one, 1):
                row = without_conflict(read, conflicts, identified) if conflicts else read
                if gathering:
                    self.pictures.note_row(good=isinstance(row, catalog.Row))
                if isinstance(row, catalog.BrokenRow):
                    self.broken += 1
                    errors.write(row)
                    self._reasons.update(problem.broken for problem in row.problems)
                    self._on_broken(row)
                else:
                    self.good += 1
                    yield row.serialized_spec
                if not number % _TOLD_EVERY:
                    self.on_read()
        if errors.written:
            self.error_files.append(path)
        elif self._errors is None:
            path.unlink(missing_ok=True)  # its catalog is mended
        self._notes.update(one.notes)
        self._unused[one.name] = tuple(one.unused_columns)
        self._summaries[one.name] = one.summary.lines()

    def row_of(self, task_id: str) -> str | None:
        """Read the catalogs again for the row with this task_id; returns its file, line and row id for a sentence."""
        for part in self._parts():
            with self._opened(part, self.pictures) as rows:
                if place := place_of(rows, task_id, identified_in(self.run)):
                    return place
        return None

    def next_commands(self, run: str) -> list[str]:
        """Return the commands to run after the broken rows are corrected."""
        return [
            f"couponpress submit {argument(path)}"
            + ("" if default_run_name([str(path)]) == run else f" --run {argument(run)}")
            for path in self.error_files
        ]

    def report(self) -> str:
        """Return a report about the catalogs, in a few lines."""
        lines = [counted(self.good, "good row")]
        if self.broken:
            lines[0] += gettext(", %(broken)s") % {"broken": counted(self.broken, "broken one")}
        if self._reasons and not self.good:
            lines += [f"  {count:>8}  {reason}" for reason, count in self._reasons.most_common(_REASONS)]
        lines += [gettext("broken rows and their reasons: %(path)s") % {"path": path} for path in self.error_files]
        lines += [
            gettext("%(name)s: %(told)s") % {"name": name, "told": told}
            for name, summary in self._summaries.items()
            for told in summary
        ]
        lines += [
            gettext("not sent, columns of %(name)s: %(columns)s") % {"name": name, "columns": _listed(unused)}
            for name, unused in self._unused.items()
            if unused
        ]
        lines += [
            gettext("noted for %(rows)s: %(note)s") % {"rows": counted(count, "row"), "note": note}
            for note, count in self._notes.most_common(_NAMED)
        ]
        if len(self._notes) > _NAMED:
            lines.append(gettext("and %(number)s other notes") % {"number": len(self._notes) - _NAMED})
        return "\n".join(lines)


def _listed(names: Sequence[str]) -> str:
    """Return the first names and the number of the others."""
    shown = joined(names[:_LISTED])
    return (
        shown
        if len(names) <= _LISTED
        else gettext("%(names)s and %(number)s more") % {"names": shown, "number": f"{len(names) - _LISTED:,}"}
    )
