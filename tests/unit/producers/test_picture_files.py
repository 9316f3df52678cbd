"""Pictures of the merchant's own: told by their content, read with care, uploaded by whoever joined."""

import os
from pathlib import Path

import pytest

from couponpress.errors import InputError, PictureError
from couponpress.language import speaking
from couponpress.picture_files import (
    PICTURE_LIMIT_BYTES,
    join_upload,
    joined_upload,
    picture_suffix,
    read_picture_file,
    source_of,
)
from tests.builders import png

JPG = b"\xff\xd8\xff\xe0" + b"x" * 40 + b"\xff\xd9" + b"thumbnail" + b"\xff\xda" + b"scan" * 9 + b"\xff\xd9"
BMP = b"BM" + (60).to_bytes(4, "little") + bytes(54)


@pytest.mark.parametrize(
    ("content", "suffix"), [(png(), "png"), (JPG, "jpg"), (JPG + b"\0\0", "jpg"), (BMP, "bmp"), (BMP + b"x", "bmp")]
)
def test_a_picture_is_told_by_its_content(content, suffix):
    assert picture_suffix(content) == suffix


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "neither JPG nor PNG nor BMP"),
        (b"GIF89a" + bytes(40), "neither JPG nor PNG nor BMP"),
        (b"<html>", "neither JPG nor PNG nor BMP"),
        (png()[:-5], "is a PNG without its end"),
        (JPG[:-2], "is a JPG without its end"),
        (BMP[:-1], "is a BMP without its end"),
        (
            png(padding=PICTURE_LIMIT_BYTES),
            r"has 2,097,\d\d\d bytes, and the platform takes at most 2,097,152 \(2 MB\)",
        ),
    ],
)
def test_what_the_platform_would_refuse_is_refused_with_the_reason(content, reason):
    with pytest.raises(PictureError, match=reason):
        picture_suffix(content)


def test_a_picture_of_the_largest_size_is_taken():
    picture = png(padding=PICTURE_LIMIT_BYTES - len(png()))
    assert len(picture) == PICTURE_LIMIT_BYTES
    assert picture_suffix(picture) == "png"


def test_a_file_is_read_whole_and_only_up_to_the_limit(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(bytes(100))
    assert read_picture_file(str(path), 100) == bytes(100)
    with pytest.raises(PictureError, match=r"^has \d+ bytes, and at most \d+ \(0 MB\) are taken$"):
        read_picture_file(str(path), 99)


def test_what_is_no_readable_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name, reason in [("absent", "No such file"), ("pipe", "is no file"), (".", "Is a directory"), ("a\0", "null")]:
        with pytest.raises(PictureError, match=reason):
            read_picture_file(str(tmp_path / name), 100)


@pytest.mark.parametrize(
    ("cell", "source"),
    [
        ("a.png", "/shop/a.png"),
        ("photos/a b.png", "/shop/photos/a b.png"),
        ("../a.png", "/shop/../a.png"),
        ("/photos/a.png", "/photos/a.png"),
        ("https://example.com/a.png", "https://example.com/a.png"),
        ("HTTP://example.com/a.png", "HTTP://example.com/a.png"),
    ],
)
def test_a_cell_names_a_file_beside_the_catalog_or_a_url(tmp_path, cell, source):
    assert source_of(cell, Path("/shop")) == source


@pytest.mark.parametrize("cell", ["ftp://example.com/a.png", "file:///etc/passwd", "https://", "a\nb", "a\0"])
def test_a_cell_that_names_neither_is_refused(tmp_path, cell):
    with pytest.raises(PictureError, match="must be a file or an http"):
        source_of(cell, tmp_path)


def test_whoever_joined_last_uploads():
    before = joined_upload() if _joined() else None

    def upload(sources, choices, on_settled):
        raise AssertionError

    join_upload(upload)
    assert joined_upload() is upload
    if before is not None:
        join_upload(before)


def _joined():
    try:
        joined_upload()
    except InputError:
        return False
    return True


def test_why_a_file_cannot_be_read_is_told_in_chinese(tmp_path):
    with speaking("zh_CN"), pytest.raises(PictureError, match="无法读取（没有这个文件或文件夹）"):
        read_picture_file(str(tmp_path / "gone.jpg"), 9)
