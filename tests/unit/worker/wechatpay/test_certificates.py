"""Which keys are held after what the platform answers, and when it is asked again."""

import asyncio
import datetime as dt
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from couponpress_worker.wechatpay.certificates import REFRESH_SECONDS, RETRY_SECONDS, PlatformKeys
from couponpress_worker.wechatpay.judgement import Answer, NoAnswer
from couponpress_worker.wechatpay.message import Response
from couponpress_worker.wechatpay.response import read_answer
from couponpress_worker.wechatpay.signing import answer_message, seal, sign
from tests.builders import APIV3_KEY, PUBLIC_KEY_ID, rsa_key, run_fast

NOW = 1_790_000_000
PLATFORM, OLD, NEW = map(rsa_key, range(3))
ANOTHER_KEY = b"9" * 32


def entry(key, serial, *, apiv3_key=APIV3_KEY, expires=NOW + 86400, named=None):
    """One certificate of the list."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "platform")])
    moment = dt.datetime.fromtimestamp
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(moment(NOW - 10**7, dt.UTC))
        .not_valid_after(moment(expires, dt.UTC))
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )
    sealed = seal(apiv3_key, b"61f9c719728a", certificate.public_bytes(Encoding.PEM), b"certificate")
    told = {"algorithm": "AEAD_AES_256_GCM", "nonce": "61f9c719728a", "associated_data": "certificate"}
    return {"serial_no": named or f"{serial:040X}", "encrypt_certificate": told | {"ciphertext": sealed}}


def listing(*entries, key=OLD, serial=f"{1:040X}"):
    """What the platform sends: the list, signed with one of the certificates in it."""
    body = json.dumps({"data": list(entries)}).encode()
    signature = sign(key, answer_message(str(NOW), "n", body))
    headers = {"Wechatpay-Timestamp": str(NOW), "Wechatpay-Nonce": "n", "Wechatpay-Serial": serial}
    return headers | {"Wechatpay-Signature": signature}, body


class Platform:
    """Answers each question with the next of its answers, the last one for ever."""

    def __init__(self, *answers):
        self.answers, self.asked, self.loop_times = list(answers), 0, []

    async def __call__(self, verifier_of):
        self.asked += 1
        self.loop_times.append(asyncio.get_running_loop().time())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, tuple):
            headers, body = answer
            response = Response(200, [(name.lower().encode(), text.encode()) for name, text in headers.items()], body)
            return read_answer(response, verifier_of(body), now=NOW)
        return answer


def held_after(*answers):
    """What is held after each of these answers."""

    async def act():
        held = PlatformKeys({PUBLIC_KEY_ID: PLATFORM.public_key()}, APIV3_KEY, Platform(*answers), clock=lambda: NOW)
        found = []
        for _ in answers:
            settled = await held.refresh()
            found.append((settled, sorted(held.keys)))
        return found

    return asyncio.run(act())


FIRST, SECOND = f"{1:040X}", f"{2:040X}"


def test_listed_certificates_are_held_beside_the_settings_key():
    assert held_after(listing(entry(OLD, 1), entry(NEW, 2))) == [(True, [FIRST, SECOND, PUBLIC_KEY_ID])]


def test_a_list_that_is_signed_with_the_settings_key_counts_too():
    signed = listing(entry(OLD, 1), key=PLATFORM, serial=PUBLIC_KEY_ID)
    assert held_after(signed) == [(True, [FIRST, PUBLIC_KEY_ID])]


def test_a_certificate_that_is_listed_no_more_is_let_go():
    rolled = listing(entry(NEW, 2), key=NEW, serial=SECOND)
    assert [names for _, names in held_after(listing(entry(OLD, 1)), rolled)] == [
        [FIRST, PUBLIC_KEY_ID],
        [SECOND, PUBLIC_KEY_ID],
    ]


@pytest.mark.parametrize(
    "bad",
    [
        entry(NEW, 2, apiv3_key=ANOTHER_KEY),
        entry(NEW, 2, expires=NOW - 1),
        entry(NEW, 2, named=f"{3:040X}"),
        {"serial_no": SECOND},
        None,
        "x",
    ],
    ids=["sealed for another", "expired", "misnamed", "nothing sealed", "null", "text"],
)
def test_what_is_no_certificate_of_ours_is_left_out(bad):
    assert held_after(listing(entry(OLD, 1), bad)) == [(True, [FIRST, PUBLIC_KEY_ID])]


@pytest.mark.parametrize(
    "bad",
    [
        listing(entry(NEW, 2), key=OLD, serial=SECOND),  # signed with another key than it names
        listing(entry(NEW, 2, apiv3_key=ANOTHER_KEY), key=NEW, serial=SECOND),  # nothing vouches for its key
        listing(entry(NEW, 2, apiv3_key=ANOTHER_KEY), key=PLATFORM, serial=PUBLIC_KEY_ID),
        NoAnswer("open", "timeout"),
        Answer(500, code="SYSTEM_ERROR"),
        Answer(401, code="SIGN_ERROR"),
        Answer(200, objection="signature headers are missing"),
    ],
    ids=["forged", "not vouched for", "not ours", "silent", "broken", "refused", "unsigned"],
)
def test_what_cannot_be_trusted_changes_nothing(bad):
    assert held_after(listing(entry(OLD, 1)), bad)[1] == (False, [FIRST, PUBLIC_KEY_ID])


def test_a_merchant_with_public_keys_only_gets_no_certificates():
    assert held_after(Answer(404, code="RESOURCE_NOT_EXISTS")) == [(True, [PUBLIC_KEY_ID])]


def asked_at(*answers, missing_at=(), until):
    """When the list was asked for, seconds after the start, until the loop is stopped."""

    async def act():
        platform, stopped = Platform(*answers), asyncio.Event()
        held = PlatformKeys({}, APIV3_KEY, platform, clock=lambda: NOW, monotonic=asyncio.get_running_loop().time)
        loop = asyncio.get_running_loop()
        began = loop.time()
        for seconds in missing_at:
            loop.call_later(seconds, held.missing)
        loop.call_later(until, stopped.set)
        await held.run(stopped)
        return [round(at - began, -1) for at in platform.loop_times]

    return run_fast(act())


LISTED = listing(entry(OLD, 1))


def test_the_list_is_asked_for_again_after_hours():
    assert asked_at(LISTED, until=REFRESH_SECONDS * 1.5) == [0, pytest.approx(REFRESH_SECONDS, abs=20)]


def test_after_a_failure_it_is_asked_for_soon():
    assert asked_at(NoAnswer("open", "x"), LISTED, until=RETRY_SECONDS * 5) == [0, RETRY_SECONDS]


def test_a_certificate_that_is_missing_is_asked_for_at_once_but_not_more_than_once_a_minute():
    times = asked_at(LISTED, missing_at=[1000, 1001, 1002, 1010, 2000], until=3000)
    assert times == [0, 1000, 1060, 2000]


def test_keys_that_are_read_again_join_those_read_before_and_replace_their_own_kind():
    async def fetch(_):
        return NoAnswer("not_sent", "nobody is asked")

    held = PlatformKeys({"PUB_KEY_ID_01": OLD.public_key()}, APIV3_KEY, fetch)
    held.renew({"PUB_KEY_ID_02": NEW.public_key()}, APIV3_KEY)
    assert held.keys == {"PUB_KEY_ID_01": OLD.public_key(), "PUB_KEY_ID_02": NEW.public_key()}
    held.renew({"PUB_KEY_ID_01": NEW.public_key()}, APIV3_KEY)
    assert held.keys == {"PUB_KEY_ID_01": NEW.public_key(), "PUB_KEY_ID_02": NEW.public_key()}
