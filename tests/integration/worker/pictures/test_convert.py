"""Pictures of many megabytes are made to fit."""

import random

import pytest
from PIL import Image

from couponpress.picture_files import PICTURE_LIMIT_BYTES, picture_suffix
from couponpress_worker.pictures.convert import fitting
from tests.unit.worker.pictures.test_convert import file_of


def noise(mode, side):
    """A picture that hardly compresses."""
    return Image.frombytes(mode, (side, side), random.Random(1).randbytes(side * side * len(mode)))


@pytest.mark.parametrize(("mode", "side", "suffix"), [("RGB", 2400, "jpg"), ("RGBA", 1000, "png")])
def test_a_picture_that_is_too_large_is_made_smaller_until_it_fits(mode, side, suffix):
    large = file_of(noise(mode, side), "PNG")
    assert len(large) > PICTURE_LIMIT_BYTES
    assert picture_suffix(fitting(large)) == suffix
