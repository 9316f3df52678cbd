"""Pictures that the platform would refuse become ones that it takes; what it takes stays as it is."""

import io

import pytest
from PIL import Image

from couponpress.errors import PictureError
from couponpress.picture_files import picture_suffix
from couponpress_worker.pictures.convert import fitting, require_converter
from tests.builders import png


def file_of(picture, kind):
    file = io.BytesIO()
    picture.save(file, kind)
    return file.getvalue()


def test_the_converter_is_there():
    require_converter()


def test_a_picture_that_fits_is_not_touched():
    assert fitting(png()) == png()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF"])
def test_another_format_becomes_one_that_is_taken(kind):
    assert picture_suffix(fitting(file_of(Image.new("RGB", (20, 10), "red"), kind))) == "jpg"


def test_transparent_parts_stay_transparent():
    made = fitting(file_of(Image.new("RGBA", (20, 10), (255, 0, 0, 0)), "WEBP"))
    assert picture_suffix(made) == "png"
    assert Image.open(io.BytesIO(made)).getpixel((1, 1))[3] == 0


@pytest.mark.parametrize("content", [b"", b"text", png()[:-30], b"GIF89a"])
def test_what_is_no_picture_cannot_be_converted(content):
    with pytest.raises(PictureError, match="cannot be converted"):
        fitting(content)


def test_a_picture_that_would_fill_the_memory_is_refused_before_it_is_unpacked():
    bomb = file_of(Image.new("1", (9000, 9000)), "TIFF")
    with pytest.raises(PictureError, match="too many to convert"):
        fitting(bomb)
