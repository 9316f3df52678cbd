"""Remembers which pictures the platform already has, by their content, so that each is uploaded once.

Over clients that answer in bytes: an asyncio one for who uploads, a blocking one for who only asks.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import cast

import redis
from redis.asyncio import Redis

from couponpress.keys import PICTURE_SECONDS, Keys


class PictureLedger:
    """What is known of uploaded pictures."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    async def url_of(self, content_sha256: bytes) -> str | None:
        """Return the platform's URL of a picture and extend its TTL; None when it is not known."""
        found = await self._client.getex(_name(self._keys, content_sha256), ex=PICTURE_SECONDS)
        return cast(bytes, found).decode() if found else None

    async def remember(self, content_sha256: bytes, url: str) -> None:
        """Remember where the platform keeps a picture."""
        await self._client.set(_name(self._keys, content_sha256), url, ex=PICTURE_SECONDS)


def known_url(client: redis.Redis, keys: Keys, content_sha256: bytes) -> str | None:
    """Return the platform's URL of a picture without extending its TTL; None when it is not known."""
    found = cast(bytes | None, client.get(_name(keys, content_sha256)))
    return found.decode() if found else None


def _name(keys: Keys, content_sha256: bytes) -> str:
    return keys.picture(urlsafe_b64encode(content_sha256[:18]).decode())  # 144 bits never collide by chance
