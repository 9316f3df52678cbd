"""Checks a merchant's own pictures, and is the place where their upload is plugged in.

A picture is judged by its content. An upload needs the partner's key, so the fleet's package registers its uploader
here when it is installed, and a producer stays light. Rules: the platform's upload page,
pay.weixin.qq.com/doc/v3/partner/4015781275.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from couponpress.errors import InputError, PictureError, system_error
from couponpress.language import gettext

PICTURE_LIMIT_BYTES: Final = 2 * 1024 * 1024
#: Where the platform keeps pictures; what lies there needs no upload.
STORED_AT: Final = "https://wxpaylogo.qpic.cn/"

_PNG_END: Final = b"IEND\xaeB`\x82"


@dataclass(frozen=True, slots=True)
class PictureChoices:
    """What a person decided about the upload.

    Attributes:
        convert: scale and convert what is too large or of another format, instead of refusing it.
        private_urls: fetch pictures from addresses of private networks too.
    """

    convert: bool = False
    private_urls: bool = False


class Settled(NamedTuple):
    """What became of one picture.

    Attributes:
        source: the file's absolute path, or the URL.
        url: where the platform keeps it; empty when it is refused.
        reason: why it is refused.
        known: whether it was uploaded before, by this call or an earlier one.
    """

    source: str
    url: str = ""
    reason: str = ""
    known: bool = False


#: Uploads pictures, within the upload limit; tells of each as soon as it is settled.
PictureUpload: TypeAlias = Callable[[Iterable[str], PictureChoices, Callable[[Settled], None]], None]

_joined: list[PictureUpload] = []


def join_upload(upload: PictureUpload) -> None:
    """Let pictures be uploaded by `upload` from now on; the fleet's package calls this as its commands join."""
    _joined[:] = [upload]


def joined_upload() -> PictureUpload:
    """Return who uploads pictures.

    Raises:
        InputError: the fleet's package is not installed.
    """
    if not _joined:
        raise InputError(
            gettext(
                "this catalog names pictures of your own, and only couponpress[worker] can upload them: "
                "install that extra and give the fleet's settings (deploy/README.md), or let such rows "
                "be broken with --no-upload, or in a schedule with upload = false."
            )
        )
    return _joined[0]


def picture_suffix(content: bytes) -> str:
    """Return `jpg`, `png` or `bmp`, by content, of a picture that the platform takes.

    Raises:
        PictureError: another format, a picture without its end, or one of more than 2 MB.
    """
    suffix = whole_picture_suffix(content)
    if len(content) > PICTURE_LIMIT_BYTES:
        raise PictureError(
            gettext("has %(size)s bytes, and the platform takes at most %(most)s (2 MB)")
            % {"size": f"{len(content):,}", "most": f"{PICTURE_LIMIT_BYTES:,}"}
        )
    return suffix


def whole_picture_suffix(content: bytes) -> str:
    """Return `jpg`, `png` or `bmp`, by content, of a picture of any size.

    Raises:
        PictureError: another format, or a picture without its end.
    """
    suffix = _suffix(content)
    if suffix is None:
        raise PictureError(gettext("is neither JPG nor PNG nor BMP"))
    if not _is_whole(suffix, content):
        raise PictureError(
            gettext("is a %(kind)s without its end: save it or copy it again") % {"kind": suffix.upper()}
        )
    return suffix


def read_picture_file(path: str, limit_bytes: int) -> bytes:
    """Return a file's content.

    Raises:
        PictureError: it cannot be read, is no ordinary file, or has more than `limit_bytes`.
    """
    try:
        # A pipe without a writer would be waited for.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as stream:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise PictureError(gettext("is no file"))
            content = stream.read(limit_bytes + 1)
    except (OSError, ValueError) as error:
        raise PictureError(
            gettext("cannot be read (%(reason)s)")
            % {"reason": system_error(error) if isinstance(error, OSError) else error}
        ) from None
    if len(content) > limit_bytes:
        raise PictureError(
            gettext("has %(size)s bytes, and at most %(most)s (%(megabytes)s MB) are taken")
            % {
                "size": f"{found.st_size:,}",
                "most": f"{limit_bytes:,}",
                "megabytes": f"{limit_bytes / 2**20:.0f}",
            }
        )
    return content


def source_of(cell: str, home: Path) -> str:
    """Return the absolute path or the URL that a cell names; a relative path starts at `home`.

    Raises:
        PictureError: it names neither.
    """
    scheme, separator, rest = cell.partition("://")
    if separator and scheme.isalnum():
        if scheme.lower() not in {"http", "https"} or not rest:
            raise PictureError(gettext("must be a file or an http(s) URL"))
        return cell
    if not cell.isprintable():
        raise PictureError(gettext("must be a file or an http(s) URL, without control characters"))
    return os.path.join(home.absolute(), cell)  # noqa: PTH118 - text to text, for every row


def _suffix(content: bytes) -> str | None:
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if content.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if content.startswith(b"BM") and len(content) > 26:
        return "bmp"
    return None


def _is_whole(suffix: str, content: bytes) -> bool:
    """Whether the picture's end is there, as far as it can be told without decoding it."""
    if suffix == "png":
        return _PNG_END in content
    if suffix == "jpg":  # inside of scan data FF is followed by 00 or a restart mark, so this end is a real one
        return content.rfind(b"\xff\xd9") > content.rfind(b"\xff\xda")
    return int.from_bytes(content[2:6], "little") <= len(content)
