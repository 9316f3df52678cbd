"""Key files that change under a running process: real files, looked at again and again."""

import asyncio
import os

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from couponpress_worker.runtime.key_reloader import KeyReloader
from tests.builders import APIV3_KEY, PUBLIC_KEY_ID, fleet_settings, rsa_key

KEYS = [rsa_key(number) for number in range(3)]
OTHER_ID = "PUB_KEY_ID_0116000001"


def private(path, key):
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def public(path, key):
    path.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


@pytest.fixture
def files(tmp_path):
    private(tmp_path / "own.pem", KEYS[0])
    public(tmp_path / "platform.pem", KEYS[1])
    (tmp_path / "apiv3").write_bytes(APIV3_KEY)
    (tmp_path / "more").mkdir()
    return tmp_path


@pytest.fixture
def settings(files):
    return fleet_settings(
        mch_private_key_file=files / "own.pem",
        wechatpay_public_key_file=files / "platform.pem",
        wechatpay_more_keys_dir=files / "more",
        apiv3_key_file=files / "apiv3",
    )


def looks(settings, *changes):
    """Make each change, look three times after it; returns what was handed over."""
    taken = []

    async def run():
        reloader = KeyReloader(settings, taken.append)
        for change in changes:
            change()
            for _ in range(3):
                await reloader.look()

    asyncio.run(run())
    return taken


def test_files_that_do_not_change_are_not_read_again(settings, caplog):
    assert looks(settings, lambda: None, lambda: None) == []
    assert caplog.messages == []


def test_each_file_that_changes_is_read_again_once(settings, files, caplog):
    caplog.set_level("INFO")
    taken = looks(
        settings,
        lambda: private(files / "own.pem", KEYS[2]),
        lambda: (files / "apiv3").write_bytes(b"x" * 32),
        lambda: public(files / "more" / f"{OTHER_ID}.pem", KEYS[0]),
    )
    assert [one.private_key.private_numbers() for one in taken] == [KEYS[2].private_numbers()] * 3
    assert [one.apiv3_key for one in taken] == [APIV3_KEY, b"x" * 32, b"x" * 32]
    assert [set(one.public_keys) for one in taken] == [{PUBLIC_KEY_ID}, {PUBLIC_KEY_ID}, {PUBLIC_KEY_ID, OTHER_ID}]
    assert len(caplog.messages) == 3
    assert f"platform keys {PUBLIC_KEY_ID}, {OTHER_ID}" in caplog.messages[2]


def test_a_broken_file_is_told_once_and_a_good_one_after_it_is_taken(settings, files, caplog):
    taken = looks(
        settings,
        lambda: (files / "own.pem").write_bytes(b"half a ke"),
        lambda: None,
        (files / "apiv3").unlink,
        lambda: private(files / "own.pem", KEYS[2]),
        lambda: (files / "apiv3").write_bytes(APIV3_KEY),
    )
    assert len(taken) == 1
    told = [message for message in caplog.messages if "cannot be used, so the keys read before stay in use" in message]
    assert len(told) == 3  # the private key, then without the APIv3 key: twice, for a file changed each time
    assert "own.pem is no usable PEM private key" in told[0]
    assert "half a ke" not in caplog.text


def test_a_file_that_is_still_being_written_is_waited_for(settings, files):
    taken = []

    async def run():
        reloader = KeyReloader(settings, taken.append)
        for size in range(5):
            (files / "apiv3").write_bytes(b"y" * size)
            await reloader.look()
        assert taken == []
        (files / "apiv3").write_bytes(b"y" * 32)
        await reloader.look()
        assert taken == []
        await reloader.look()

    asyncio.run(run())
    assert [one.apiv3_key for one in taken] == [b"y" * 32]


def test_a_file_that_is_replaced_by_a_link_of_the_same_size_and_time_is_noticed(settings, files):
    """As Kubernetes replaces the files of a secret."""
    before = (files / "apiv3").stat()

    def replace():
        (files / "next").write_bytes(b"z" * 32)
        os.utime(files / "next", ns=(before.st_atime_ns, before.st_mtime_ns))
        (files / "next").replace(files / "apiv3")

    assert [one.apiv3_key for one in looks(settings, replace)] == [b"z" * 32]


def test_a_file_whose_rights_are_put_in_order_is_read_again(settings, files):
    """What could not be read for want of a right can be read then, and nothing was written."""
    taken = looks(settings, lambda: (files / "apiv3").chmod(0o400))
    assert len(taken) == 1
