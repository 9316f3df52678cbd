"""Takes workbooks apart and puts them together again."""

import io
import re
import zipfile


def parts_of(content):
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        return {name: book.read(name) for name in book.namelist()}


def zipped(parts):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as book:
        for name, part in parts.items():
            book.writestr(name, part)
    return out.getvalue()


def with_shared_texts(content):
    """The same workbook, but the texts of its first sheet stand in one part of their own, as Excel writes them."""
    parts, texts = parts_of(content), []

    def shared(found):
        texts.append(found[3])
        return b'<c %bt="s"%b><v>%d</v></c>' % (found[1], found[2], len(texts) - 1)

    parts["xl/worksheets/sheet1.xml"] = re.sub(
        rb'<c ([^>]*?)t="inlineStr"([^>]*)><is>(<t.*?</t>)</is></c>', shared, parts["xl/worksheets/sheet1.xml"]
    )
    assert texts
    items = b"".join(b"<si>%b<rPh><t>reading aid</t></rPh></si>" % text for text in texts)
    main = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    parts["xl/sharedStrings.xml"] = b'<sst xmlns="%b">%b</sst>' % (main, items)
    relation = b'<Relationship Id="rS" Type="x/sharedStrings" Target="sharedStrings.xml"/></Relationships>'
    relations = "xl/_rels/workbook.xml.rels"
    parts[relations] = parts[relations].replace(b"</Relationships>", relation)
    return zipped(parts)


#: The parts and the namespaces of a workbook that every program opens: those of Excel 2007 (ECMA-376, first edition).
PLAIN_PARTS = re.compile(
    r"\[Content_Types\]\.xml|_rels/\.rels|docProps/(app|core)\.xml|xl/(workbook|styles|sharedStrings)\.xml"
    r"|xl/theme/theme1\.xml|xl/_rels/workbook\.xml\.rels|xl/worksheets/sheet\d+\.xml"
)
NEWER = re.compile(r"<(?:\w+:)?extLst|AlternateContent|schemas\.microsoft\.com|<tableParts|<f[ >]|t=\"array\"")


def beyond_excel_2007(path):
    """What a workbook has that an older program, or WPS, may not know; empty for a plain one."""
    with zipfile.ZipFile(path) as package:
        found = [name for name in package.namelist() if not PLAIN_PARTS.fullmatch(name)]
        for name in package.namelist():
            found += [f"{name}: {one}" for one in NEWER.findall(package.read(name).decode("utf-8"))]
    return found
