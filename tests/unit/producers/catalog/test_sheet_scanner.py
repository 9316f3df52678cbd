"""A sheet is the same whether its plain rows are found by the scanner or everything is read by the XML parser."""

import io
from unittest.mock import patch
from xml.parsers import expat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from couponpress.catalog import row_template, sheet_scanner
from couponpress.catalog.sheet_scanner import PlainRow, SheetScanner
from couponpress.catalog.xlsx_book import Book
from couponpress.catalog.xlsx_package import MAIN, DamagedPartError, blocks_of
from couponpress.catalog.xlsx_rows import SheetParser
from couponpress.catalog.xlsx_styles import NumberFormats
from tests.examples import examples

FORMATS = NumberFormats({"0": "General", "1": "0.00", "2": "yyyy-mm-dd"}, {})
BOOK = Book([], ["shared", "茶", "_x000D_", " "], FORMATS, False, False)
HEAD = f'<worksheet xmlns="{MAIN[0]}" xmlns:x14ac="urn:a"><cols><col min="1" max="1" hidden="1"/></cols><sheetData>'
END = "</sheetData></worksheet>"
ROW = '<row r="{0}" spans="1:2"><c r="A{0}" t="s"><v>1</v></c><c r="B{0}" s="1"><v>{0}.5</v></c></row>'


def rows_of(sheet, width=None, block=1 << 16):
    """Every row, hidden columns, and the error at the end, if there is one."""
    parser, found, trouble = SheetParser(BOOK), [], None
    parser.width = width
    with patch.object(sheet_scanner, "_BLOCK", block):
        try:
            found += parser.rows(io.BytesIO(sheet))
        except (DamagedPartError, expat.ExpatError, UnicodeDecodeError) as error:
            trouble = type(error).__name__, str(error) if isinstance(error, DamagedPartError) else ""
    return found, parser.hidden_columns, trouble


def assert_the_parser_alone_says_so(sheet, width=None, block=1 << 16):
    scanned = rows_of(sheet, width, block)
    with patch.object(SheetScanner, "pieces", lambda _, part: blocks_of(part)):
        parsed = rows_of(sheet, width, block)
    # Before an error more rows may have been given: of those that the parser got at once it gives none.
    assert scanned[1:] == parsed[1:]
    assert scanned[0][: len(parsed[0])] == parsed[0]
    assert scanned[0] == parsed[0] or parsed[2]


def scanned(sheet):
    """How many rows the scanner gives, and what it leaves to the parser, where the parser follows it well."""
    plain, left = 0, b""
    for piece in SheetScanner(lambda: True).pieces(io.BytesIO(sheet.encode())):
        if isinstance(piece, PlainRow):
            plain += 1
        else:
            left += piece
    return plain, left.decode()


# --- generated sheets ------------------------------------------------------------------------------------------------

TEXTS = [
    "1", "5978.53", "0", "-1", "1e5", " 7 ", "", " ", "茶", "SP-1", "nan", "1 2", "a&amp;b", "&#65;", "a>b", "]]>",
     "_x000D_", "a\nb", "a\r\nb", "\t", '"', "'", "\x01", "\x7f", "\ufffe", "\U0001f375", "<![CDATA[x]]>", "&nope;",
     "<b/>", "&#33590;", "&#x8336;&#32;1", "&#32;", "&#10;", "&#0;", "&#55296;", "&#65534;", "&#1114112;", "&lt;&#49;",
     "&#95;x000D_", "&#xfffe;", "&#x1F375;", "&", "&;", "&#;", "1&#50;",
]  # fmt: skip
REFERENCES = ["A{r}", "B{r}", "C{r}", "D{r}", "A9", "a{r}", "XFE{r}", "A", "", "A0{r}"]
CELL_ATTRIBUTES = [
    "", "", ' s="1"', ' s="1"', ' s="9"', ' s=""', ' t="s"', ' t="s"', ' t="n"', ' t="str"', ' t="inlineStr"',
     ' s="2" t="n"', ' t="s" s="1"', ' t="b"', ' t="e"', ' t="x"', ' t="s" t="s"', ' xmlns="urn:x"', " s='1'",
     ' cm="1"', ' t="s" s="1"', ' r="B1"', ' s="1" s="1"', ' t="S"', ' xmlns=""'
]  # fmt: skip
USUAL_INSIDES = [
    *["<v>{}</v>"] * 4, *["<is><t>{}</t></is>"] * 2, '<is><t xml:space="preserve">{}</t></is>',
    "<f>A1</f><v>{}</v>", "<is><r><t>{}</t></r><rPh><t>x</t></rPh></is>",
]  # fmt: skip
ODD_INSIDES = ["", "<v/>", "<f/>", "<f>1</f>", "<v>1</v><v>2</v>", "<is/>", "x", "<v>1</v>\n", "<!-- x -->"]
INSIDES = USUAL_INSIDES * 9 + ODD_INSIDES
ODD_CELLS = ["<c><v>1</v></c>", '<x r="A{r}"/>', "\n  "]
ROW_ATTRIBUTES = [
    "", "", "", ' spans="1:3"', ' hidden="1"', ' ht="0"', ' ht="15" customHeight="1"', ' x14ac:dyDescent="0.2"',
     ' nope:a="1"', ' spans="1:3" spans="1:3"', ' hidden="&#49;"', ' xmlns="urn:x"', " spans='1:3'"
]  # fmt: skip
NUMBERS = [*[' r="{r}"'] * 8, "", ' r="1"', ' r="x"', ' r="0{r}"', ' r="999999999"']
BETWEEN = [
    *[""] * 12, "\n ", "<!-- <row>x</row> -->", "<!--", "-->", '<row r="{r}"/>', "<?pi x?>", '<x xmlns="urn:x">',
     "</x>", "text", "</sheetData><sheetData>", "<![CDATA[", "]]>", "<row>", "</row>"
]  # fmt: skip
HEADS = [
    *[HEAD] * 6,
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\r\n' + HEAD,
    '<?xml version="1.0" encoding="iso-8859-1"?>' + HEAD,
    HEAD.replace("<cols>", "<!-- x --><cols>"),
    HEAD.replace("sheetData", "x:sheetData"),
    HEAD.replace('xmlns="', 'xmlns:x="').replace("<worksheet", "<x:worksheet"),
    HEAD.replace("<sheetData>", "<sheetData >"),
    HEAD.replace("<sheetData>", "<!-- <sheetData>"),
    HEAD.replace(MAIN[0], MAIN[1]),
    HEAD.replace(MAIN[0], "urn:other"),
]
ENDS = [*[END] * 8, "", "</row>" + END, '<mergeCells count="0"/>', END + "x"]

#: What decides an example: drawing every piece of it by a strategy takes four times as long as reading it.
chances = st.randoms(use_true_random=True)


def a_cell(one):
    start = f'<c r="{one(REFERENCES)}"{one(CELL_ATTRIBUTES)}'
    return one([f"{start}>{one(INSIDES).format(one(TEXTS))}</c>", f"{start}/>", one(ODD_CELLS)])


def a_sheet(one):
    """A sheet of up to six rows, made of what `one` chooses from lists."""
    sheet = one(HEADS)
    for line in range(1, 1 + one(range(7))):
        cells = "".join(a_cell(one) for _ in range(one(range(5))))
        row = f"{one(BETWEEN)}<row{one(NUMBERS)}{one(ROW_ATTRIBUTES)}>{cells}</row>"
        sheet += row.replace("{r}", str(line))
    return sheet + one(ENDS)


@settings(max_examples=examples(1500), deadline=None)
@given(chances, st.sampled_from([None, 1, 2, 3, 5]), st.sampled_from([1, 7, 64, 1 << 16]))
def test_a_generated_sheet_is_read_as_the_parser_alone_reads_it(chance, width, block):
    assert_the_parser_alone_says_so(a_sheet(chance.choice).encode("utf-8", "surrogatepass"), width, block)


SPELLINGS = [
    ' t="s"><v>{}</v></c>', ' s="1"><v>{}</v></c>', "><v>{}</v></c>", ' t="n"><v>{}</v></c>', ' t="str"><v>{}</v></c>',
    ' t="inlineStr"><is><t>{}</t></is></c>', ' t="inlineStr"><is><t xml:space="preserve">{}</t></is></c>', ' s="2"/>',
    ' s="9"><v>{}</v></c>', ' t="x"><v>{}</v></c>',
]  # fmt: skip
#: What is changed in a row that is like earlier ones.
CHANGES = [
    *[("", "")] * 20, ('r="B', 'r="A'), ('r="B', 'r="D'), ('r="A', 'r="AA'), ('r="A{r}"', 'r="A9"'),
    ('r="B{r}"', 'r="B"'), ('r="B{r}"', 'r="B0"'), ('"><v>', '" cm="1"><v>'), ("<row ", '<row r="5" '),
    (">", ' r="5">'), (">", ' hidden="1">'), (">", ' ht="0" s="1">'), (">", ' x14ac:a="1">'), (">", ' nope:a="1">'),
    (">", ' s="1" s="1">'), (">", ' xmlns="urn:x">'), ("<c ", "<!-- x --><c "),
    ("</c>", "</c>x"), ("</c>", "</c>\n"), ("<v>", "<f>1</f><v>"),
    ("</v>", "</v><v>1</v>"), (' r="{r}"', ""), ('r="{r}"', 'r="0{r}"'), ("</row>", '</row><row r="9"/>'),
    ("</row>", '<c r="B{r}" s="1"><v>7</v></c></row>'), ("</row>", '<c r="C{r}"><v>7</v></c></row>'),
    ("<row", "<row>\n</row><row"), ("<row", "\n <row"),
]  # fmt: skip
USUAL = [*"012" * 20, *TEXTS]


def alike(one):
    """A sheet whose rows are spelled alike, some with one change, made of what `one` chooses from lists."""
    kinds = [[(letter, one(SPELLINGS)) for letter in "ABC" if one([True, False])] for _ in range(2)]
    sheet = []
    for line in range(1, one(range(6, 15))):
        cells = "".join(
            f'<c r="{letter}{{r}}"' + spelling.format(one(USUAL if line > 2 else "012"))
            for letter, spelling in kinds[line % 2]
        )
        row = f'<row r="{{r}}">{cells}</row>'
        if line > 2:
            row = row.replace(*one(CHANGES), 1)
        sheet.append(row.replace("{r}", str(line)))
    return HEAD + "".join(sheet) + END


@settings(max_examples=examples(1000), deadline=None)
@given(chances, st.sampled_from([None, 1, 2, 3, 5]), st.sampled_from([64, 1 << 16]))
def test_rows_like_earlier_ones_are_read_as_the_parser_alone_reads_them(chance, width, block):
    with patch.object(row_template, "LEARNT_ROWS", 1):
        assert_the_parser_alone_says_so(alike(chance.choice).encode("utf-8", "surrogatepass"), width, block)


@settings(max_examples=examples(300), deadline=None)
@given(chances)
def test_a_damaged_row_like_earlier_ones_is_read_as_the_parser_alone_reads_it(chance):
    content = bytearray(alike(chance.choice).encode())
    for _ in range(chance.randrange(1, 4)):
        content[chance.randrange(len(HEAD), len(content))] = chance.choice(b'<>&"\x00\xff\xc3 a1/')
    with patch.object(row_template, "LEARNT_ROWS", 1):
        assert_the_parser_alone_says_so(bytes(content))


@settings(max_examples=examples(300), deadline=None)
@given(chances)
def test_a_damaged_sheet_is_read_as_the_parser_alone_reads_it(chance):
    content = bytearray(a_sheet(chance.choice).encode())
    for _ in range(chance.randrange(1, 4)):
        content[chance.randrange(len(content))] = chance.choice(b'<>&"\x00\xff\xc3 a1/')
    assert_the_parser_alone_says_so(bytes(content))


# --- what is plain ---------------------------------------------------------------------------------------------------


def test_the_usual_rows_never_see_the_parser():
    sheet = HEAD + "".join(ROW.format(number) for number in range(1, 1001)) + END
    assert scanned(sheet) == (1000, HEAD + END)
    found, hidden, trouble = rows_of(sheet.encode())
    assert (len(found), hidden, trouble) == (1000, [range(1)], None)
    assert found[499][0] == 500
    assert [cell.value for cell in found[499][1]] == ["茶", 500.5]


def test_references_to_letters_are_plain():
    """openpyxl with lxml writes every Chinese letter as a reference."""
    row = '<row r="1"><c r="A1" t="inlineStr"><is><t>&#33590; &amp; &#x1F375;</t></is></c></row>'
    sheet = HEAD + row + END
    assert scanned(sheet) == (1, HEAD + END)
    assert rows_of(sheet.encode())[0][0][1][0].value == "茶 & \U0001f375"
    assert_the_parser_alone_says_so(sheet.encode())


@pytest.mark.parametrize("odd", [
    '<row r="2"><c r="A2"><f>1+1</f><v>2</v></c></row>',
    '<row r="2"><c r="A2" t="inlineStr"><is><t>a&#10;b</t></is></c></row>',
    '<row r="2"/><row r="3"><c r="A3"><v>1</v></c></row>',
    '<row r="2"><c r="A3"><v>1</v></c></row>',
])  # fmt: skip
def test_a_row_that_is_not_plain_is_parsed_and_the_next_ones_are_plain_again(odd):
    sheet = HEAD + ROW.format(1) + odd + ROW.format(4) + ROW.format(5) + END
    plain, left = scanned(sheet)
    assert (plain, left) == (3, HEAD + odd + END)
    assert_the_parser_alone_says_so(sheet.encode())


@pytest.mark.parametrize("gap", ["<!-- ", "<![CDATA[", "<?pi ", '<x xmlns="urn:x">', "text", "<row><row>"])
def test_what_may_change_the_rows_behind_it_ends_the_scanning(gap):
    sheet = HEAD + ROW.format(1) + gap + ROW.format(2) + ROW.format(3) + END
    assert scanned(sheet)[0] == 1
    assert_the_parser_alone_says_so(sheet.encode())


def test_utf_16_and_a_byte_order_mark_are_the_parsers():
    sheet = HEAD + ROW.format(1) + END
    assert_the_parser_alone_says_so(sheet.encode("utf-16"))
    assert_the_parser_alone_says_so(b"\xef\xbb\xbf" + sheet.encode())


def test_a_long_row_is_the_parsers():
    long = f'<row r="1"><c r="A1" t="str"><v>{"x" * 700_000}</v></c></row>'
    sheet = HEAD + long + ROW.format(2) + END
    assert scanned(sheet)[0] == 0
    assert_the_parser_alone_says_so(sheet.encode())
