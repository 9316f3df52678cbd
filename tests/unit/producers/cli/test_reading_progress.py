"""How far catalogs are read, as a person sees it."""

import io

from rich.console import Console

from couponpress.cli.reading_progress import reading_line, reading_progress
from couponpress.uploads.catalog_upload import CatalogUpload

URL = "https://wxpaylogo.qpic.cn/wxpaylogo/example.jpg"


def upload_of(tmp_path, rows=2000):
    path = tmp_path / "may.csv"
    path.write_text("brand_id,image_url\n" + f"1,{URL}\n" * rows, encoding="utf-8")
    return CatalogUpload([str(path)])


def shown(upload, clock, *, terminal):
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=120, soft_wrap=True, highlight=False)
    with reading_progress(upload, console, clock):
        assert sum(1 for _ in upload.specs()) == 2000
    return out.getvalue()


def test_a_log_gets_a_line_every_five_seconds(tmp_path):
    seconds = iter(range(100))
    lines = shown(upload_of(tmp_path), lambda: next(seconds) * 2.0, terminal=False).splitlines()
    assert lines[0].startswith("read 1,500 rows, ")
    assert "%, " in lines[0]
    assert lines[0].endswith(" s to go")
    assert len(lines) == 1


def test_a_short_reading_says_nothing(tmp_path):
    assert shown(upload_of(tmp_path), lambda: 0.0, terminal=False) == ""


def test_a_terminal_gets_a_bar(tmp_path):
    assert "2,000 rows" in shown(upload_of(tmp_path), iter(range(1000)).__next__, terminal=True)


def test_nothing_is_shown_any_more_when_reading_is_over(tmp_path):
    upload = upload_of(tmp_path)
    before = upload.on_read
    shown(upload, lambda: 0.0, terminal=False)
    assert upload.on_read is before


def test_a_line_tells_rows_speed_share_and_rest(tmp_path):
    upload = upload_of(tmp_path)
    specs = upload.specs()
    next(specs)
    upload.good = 10_000
    share = upload.bytes_read / upload.size
    assert reading_line(upload, 4.0) == f"read 10,000 rows, 2,500/s, {share:.0%}, {4 / share - 4:.0f} s to go"
    specs.close()
    assert (upload.bytes_read, upload.size) != (0, None)


def test_where_the_size_is_not_known_no_rest_is_told(tmp_path, monkeypatch):
    class StandardInput:
        buffer = io.BytesIO(f"brand_id,image_url\n1,{URL}\n".encode())

    monkeypatch.setattr("sys.stdin", StandardInput)
    upload = CatalogUpload(["-"], format_name="csv")
    list(upload.specs())
    assert upload.size is None
    assert reading_line(upload, 1.0) == "read 1 row, 1/s"
