"""Converts a picture that the platform would refuse into one that it accepts: another format, fewer pixels.

The result is a PNG if parts of it are transparent, otherwise a JPG, scaled down until it fits. Pictures are converted
only when asked. Pillow is needed here only, and imported only when a picture is converted.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

from couponpress.errors import InputError, PictureError
from couponpress.language import gettext
from couponpress.picture_files import PICTURE_LIMIT_BYTES, picture_suffix

if TYPE_CHECKING:
    from PIL.Image import Image

#: The most that is read of a picture that is going to be scaled.
READ_LIMIT_BYTES: Final = 30 * 1024 * 1024
#: A picture of more pixels is refused before it is unpacked: it would take over 200 MB of memory.
_MOST_PIXELS: Final = 64_000_000
#: The longest side to begin with, pixels: three times what the platform advises for a coupon's picture.
_LONGEST_SIDE: Final = 3240
_SMALLER: Final = 0.8


def require_converter() -> None:
    """Make sure that pictures can be converted here.

    Raises:
        InputError: Pillow is not installed.
    """
    try:
        import PIL.Image  # noqa: F401, PLC0415 - an optional extra
    except ImportError:
        raise InputError(gettext("--convert needs Pillow: install couponpress[convert].")) from None


def fitting(content: bytes) -> bytes:
    """Return the picture itself if the platform accepts it, otherwise a converted one. Takes up to some seconds.

    Raises:
        PictureError: it is no picture that can be read.
    """
    try:
        picture_suffix(content)
    except PictureError:
        return _converted(content)
    return content


def _converted(content: bytes) -> bytes:
    from PIL import Image, ImageOps  # noqa: PLC0415 - an optional extra

    try:
        with Image.open(io.BytesIO(content)) as opened:
            if opened.width * opened.height > _MOST_PIXELS:
                raise PictureError(
                    gettext("has %(width)s x %(height)s pixels, too many to convert")
                    % {"width": opened.width, "height": opened.height}
                )
            picture = ImageOps.exif_transpose(opened)
            transparent = picture.has_transparency_data
            picture = picture.convert("RGBA" if transparent else "RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PictureError(gettext("cannot be converted (%(error)s)") % {"error": error}) from None
    picture.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    made = _file(picture, transparent=transparent)
    while len(made) > PICTURE_LIMIT_BYTES:
        picture = picture.resize((round(picture.width * _SMALLER), round(picture.height * _SMALLER)))
        made = _file(picture, transparent=transparent)
    return made


def _file(picture: Image, *, transparent: bool) -> bytes:
    file = io.BytesIO()
    if transparent:
        picture.save(file, "PNG", optimize=True)
    else:
        picture.save(file, "JPEG", quality=90)
    return file.getvalue()
