"""Which URLs are fetched from: public addresses, and none that only looks so."""

import asyncio

import pytest

from couponpress.errors import PictureError
from couponpress.language import speaking
from couponpress_worker.pictures.fetch import Fetcher


async def fetched(url, **options):
    fetcher = Fetcher(**options)
    try:
        return await fetcher.fetch(url, 100)
    finally:
        await fetcher.aclose()


def resolving(*addresses):
    async def resolve(host, port):
        return list(addresses)

    return resolve


@pytest.mark.parametrize("name", ["localhost", "127.1", "0x7f000001", "2130706433"])
def test_a_name_that_leads_to_this_machine_is_refused_however_it_is_spelt(name):
    with pytest.raises(PictureError, match=r"leads to (127\.0\.0\.1|::1), which is no public address"):
        asyncio.run(fetched(f"http://{name}:9/a.png"))


def test_a_name_is_refused_when_any_of_its_addresses_is_not_public():
    with pytest.raises(PictureError, match=r"shop\.example leads to 127\.0\.0\.2"):
        asyncio.run(fetched("http://shop.example/a.png", resolve=resolving("8.8.8.8", "127.0.0.2")))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1/a.png", "127.0.0.1 leads to 127.0.0.1, which is no public address; --private-urls allows"),
        ("http://[::1]:8080/a.png", "::1 leads to ::1"),
        ("http://localhost/a.png", "localhost leads to"),
        ("https://me:secret@example.com/a.png", "must not hold a user name or a password"),
        ("http://example.com:99999/a.png", "is no URL that can be fetched"),
        ("http:///a.png", "must be an http"),
    ],
)
def test_what_may_not_be_fetched_is_refused_without_a_connection(url, reason):
    with pytest.raises(PictureError, match=reason) as caught:
        asyncio.run(fetched(url))
    assert "secret" not in str(caught.value)


def test_a_refusal_is_told_in_chinese():
    with speaking("zh_CN"), pytest.raises(PictureError, match=r"127\.0\.0\.2 指向 127\.0\.0\.2，这是非公网地址"):
        asyncio.run(fetched("http://127.0.0.2/a.png"))
