"""Catalogs: tables, workbooks and JSONL become specs, row by row, whatever the length of the file.

    with catalog.read("coupons.csv") as rows, catalog.ErrorFile(Path("coupons.errors.csv"), rows) as errors:
        for row in rows:
            if isinstance(row, catalog.BrokenRow):
                errors.write(row)
            else:
                client_takes(row.written)

`source` opens, `encodings` and `lines` decode, `columns` understands a header with the `vocabulary` and a merchant's
`own_headers`, `cells` understands a cell, `table` and `json_lines` make rows. `workbook` reads cells of .xlsx, which
`workbook_cells` turns into text. `offers` remembers what was checked already, `own_pictures` knows which pictures are
not at the platform yet and `picture_table` what became of them, `seen_rows` finds ids that stand twice, which
`id_table` remembers, `reader` is the catalog as a whole, `error_file` writes the broken rows back, `template` makes an
example. The reader's page is `docs/catalog.md`. Nothing here knows Redis, runs or the client.
"""

from couponpress.catalog.duplicate_ids import SeenRows
from couponpress.catalog.error_file import ErrorFile
from couponpress.catalog.header_mapping import OwnHeaders
from couponpress.catalog.merchant_pictures import NOT_UPLOADED_YET, OwnPictures
from couponpress.catalog.reader import Catalog, read, row_prefixes
from couponpress.catalog.rows import BrokenRow, Given, Row
from couponpress.catalog.source import FORMATS

__all__ = [
    "FORMATS",
    "NOT_UPLOADED_YET",
    "BrokenRow",
    "Catalog",
    "ErrorFile",
    "Given",
    "OwnHeaders",
    "OwnPictures",
    "Row",
    "SeenRows",
    "read",
    "row_prefixes",
]
