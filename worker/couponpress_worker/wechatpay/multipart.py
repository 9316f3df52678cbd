"""Builds the multipart form in which a picture is uploaded. Pure.

It refuses names and sizes that the platform does not take, and does not look into the picture.
Rules: upload page partner/4015781275, form data RFC 7578.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from dataclasses import dataclass
from typing import Final

from couponpress.errors import InputError
from couponpress.language import gettext, quoted
from couponpress.picture_files import PICTURE_LIMIT_BYTES

PICTURE_TYPES: Final = {"jpg": "image/jpeg", "jpeg": "image/jpeg", "bmp": "image/bmp", "png": "image/png"}

#: A name that needs no escape inside the form, so that it reads the same there and in the signed part.
_FILE_NAME = re.compile(r'[^\x00-\x1f\x7f"\\/]{1,150}')


@dataclass(frozen=True, slots=True)
class PictureForm:
    """The form, and the part of it that is signed: `meta` holds the file's digest."""

    meta: bytes
    body: bytes
    content_type: str


def picture_form(file_name: str, picture: bytes) -> PictureForm:
    """Return the form that uploads `picture` under `file_name`.

    Raises:
        InputError: the platform takes no such picture.
    """
    kind = PICTURE_TYPES.get(file_name.rpartition(".")[2].lower())
    if kind is None or not _FILE_NAME.fullmatch(file_name) or not 0 < len(picture) <= PICTURE_LIMIT_BYTES:
        raise InputError(
            gettext(
                "%(file_name)s (%(picture)s bytes) cannot be uploaded: the platform takes JPG, BMP and PNG of up to 2 "
                "MB, under a name of up to 150 characters without quotes and slashes."
            )
            % {"file_name": quoted(file_name), "picture": len(picture)}
        )
    digest = hashlib.sha256(picture).hexdigest()
    meta = json.dumps({"filename": file_name, "sha256": digest}, ensure_ascii=False).encode()
    boundary = secrets.token_hex(16)
    edge = f"--{boundary}\r\nContent-Disposition: form-data; name="
    parts = (
        f'{edge}"meta"\r\nContent-Type: application/json\r\n\r\n'.encode(),
        meta,
        f'\r\n{edge}"file"; filename="{file_name}"\r\nContent-Type: {kind}\r\n\r\n'.encode(),
        picture,
        f"\r\n--{boundary}--\r\n".encode(),
    )
    return PictureForm(meta, b"".join(parts), f"multipart/form-data; boundary={boundary}")
