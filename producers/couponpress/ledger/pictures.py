"""The pictures that are at the platform already, by their content: the same picture is uploaded once.

Over an asyncio client that answers in bytes.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import cast

from redis.asyncio import Redis

from couponpress.keys import PICTURE_SECONDS, Keys


class PictureLedger:
    """What is known of uploaded pictures."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    async def url_of(self, content_sha256: bytes) -> str | None:
        """Return where the platform keeps a picture, and remember it for longer; None when it is not known."""
        found = await self._client.getex(self._name(content_sha256), ex=PICTURE_SECONDS)
        return cast(bytes, found).decode() if found else None

    async def remember(self, content_sha256: bytes, url: str) -> None:
        """Remember where the platform keeps a picture."""
        await self._client.set(self._name(content_sha256), url, ex=PICTURE_SECONDS)

    def _name(self, content_sha256: bytes) -> str:
        return self._keys.picture(urlsafe_b64encode(content_sha256[:18]).decode())  # 144 bits never meet by chance
