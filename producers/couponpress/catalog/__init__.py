"""Catalogs: tables, workbooks and JSONL become specs, row by row, whatever the length of the file.

    with catalog.read("coupons.csv") as rows, catalog.ErrorFile(Path("coupons.errors.csv"), rows) as errors:
        for row in rows:
            if isinstance(row, catalog.BrokenRow):
                errors.write(row)
            else:
                client_takes(row.serialized_spec)

The modules, in the order in which a file passes them:

    source             opens a file or standard input, knows its format; `first_bytes` tells what is no catalog
    encodings, lines   bytes become lines of text
    csv_records        lines become the records of a table
    workbook           the records of a sheet of .xlsx: xlsx_package (zip and XML), xlsx_book (what all sheets share),
                       xlsx_texts, xlsx_styles, sheet_scanner (plain rows), xlsx_rows, xlsx_cells, xlsx_merged,
                       xlsx_conditional; `workbook_cells` turns a cell into text, as `number_formats` shows it
    vocabulary         the headers that are understood; `header_mapping` holds a merchant's own, `mapping_file` edits
                       the file that it is kept in
    header_row         finds the header below titles and notes
    sheets             all sheets of a workbook, one after the other
    columns            a header becomes a plan; `cells` reads the cell of a column, `ids` that of an id
    table, json_lines  a record becomes a row, `rows` has its shape; `plain_rows` reads the usual rows of a table
                       quickly, `row_reading` any row cell by cell
    merchant_pictures  pictures that are not at the platform yet; `picture_table` keeps what became of them
    duplicate_ids      rows whose id stands twice; `id_table` keeps the ids
    reader             the catalog as a whole; `summary` is what a person is told once about it
    error_file         broken rows as a file of the catalog's own format; `error_workbook` as a workbook
    template           an example catalog

The reader's page is `docs/catalog.md`. No module here knows Redis, runs or the client.
"""

from couponpress.catalog.duplicate_ids import DuplicateIds
from couponpress.catalog.error_file import AddedRows, ErrorFile
from couponpress.catalog.header_mapping import HeaderMapping
from couponpress.catalog.merchant_pictures import NOT_UPLOADED_YET, MerchantPictures
from couponpress.catalog.reader import Catalog, read
from couponpress.catalog.rows import RESULT, BrokenRow, Given, Row, row_prefixes
from couponpress.catalog.sheets import Part, parts_of
from couponpress.catalog.source import FORMATS

__all__ = [
    "FORMATS",
    "NOT_UPLOADED_YET",
    "RESULT",
    "AddedRows",
    "BrokenRow",
    "Catalog",
    "DuplicateIds",
    "ErrorFile",
    "Given",
    "HeaderMapping",
    "MerchantPictures",
    "Part",
    "Row",
    "parts_of",
    "read",
    "row_prefixes",
]
