"""Cells that name a picture of the merchant's own: a file, or a URL that is not the platform's.

While a catalog is read, each such cell is found for the first time, gathered, or settled. `uploads.picture_upload`
sends the pictures to the platform.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

from couponpress.catalog.cells import CellError
from couponpress.catalog.picture_table import PictureTable
from couponpress.catalog.vocabulary import picture
from couponpress.errors import MerchantPictureFoundError, PictureError
from couponpress.language import gettext
from couponpress.picture_files import STORED_AT, Settled, source_of

#: Stands in a body while pictures are gathered, or only checked.
NOT_UPLOADED_YET = f"{STORED_AT}not-uploaded-yet"


Phase: TypeAlias = Literal["refuse", "find", "gather", "settled"]


class MerchantPictures:
    """The pictures of one or several catalogs that are not at the platform yet, and what became of them.

    Catalogs are read up to three times: until the first such picture is found, which most catalogs have not; to gather
    all of them; and once they are settled.

    Attributes:
        phase: what a cell counts as: `refuse` leaves it to the spec, which refuses it; `find` raises; `gather` notes
            it; `settled` gives its URL or its reason.
        sources: what was gathered, in order, each once.
    """

    def __init__(self, phase: Phase = "find") -> None:
        self.phase = phase
        self.sources = PictureTable()
        self._asked: str | None = None

    def of_catalog(self, home: Path) -> PicturesOfCatalog:
        """Return the pictures of one catalog; its relative paths start at `home`."""
        return PicturesOfCatalog(self, home)

    def note_row(self, *, good: bool) -> None:
        """Gather the picture that the row just read asked for; those of broken rows are not uploaded."""
        if good and self._asked is not None:
            self.sources.add(self._asked)
        self._asked = None

    def settle(self, settled: Settled) -> None:
        """Take what became of a picture."""
        self.sources.settle(settled)

    def url_at_once(self, source: str) -> str | None:
        """Return where the platform keeps a picture, when that is known."""
        found = self.sources.settled(source)
        return found.url or None if found else None

    def url(self, cell: str, source: str) -> str:
        """Return the URL that goes into the body.

        Raises:
            MerchantPictureFoundError: in the phase `find`.
            CellError: the picture is refused.
        """
        if self.phase == "find":
            raise MerchantPictureFoundError(cell)
        if self.phase == "gather":
            self._asked = source
            return NOT_UPLOADED_YET
        found = self.sources.settled(source) or Settled(
            source, reason=gettext("was not there when the catalog was first read")
        )
        if not found.url:
            raise CellError(found.reason)
        return found.url


class PicturesOfCatalog:
    """The cells of one catalog's picture column."""

    def __init__(self, pictures: MerchantPictures, home: Path) -> None:
        self._pictures = pictures
        self._home = home

    @property
    def are_settled(self) -> bool:
        """Whether any URL is known; that does not change while a catalog is read."""
        return self._pictures.phase == "settled"

    def url_at_once(self, cell: str) -> str:
        """Return the platform's URL for a cell when it is known, else the cell as it stands. For every row."""
        if not cell or cell.startswith(STORED_AT) or self._pictures.phase != "settled":
            return cell
        try:
            return self._pictures.url_at_once(source_of(cell, self._home)) or cell
        except PictureError:
            return cell

    def url(self, cell: str) -> str:
        """Return the platform's URL for a cell.

        Raises:
            MerchantPictureFoundError: in the phase `find`.
            CellError: the picture is refused.
        """
        cell = picture(cell)
        if cell.startswith(STORED_AT) or self._pictures.phase == "refuse":
            return cell
        try:
            return self._pictures.url(cell, source_of(cell, self._home))
        except PictureError as error:
            raise CellError(str(error)) from None
