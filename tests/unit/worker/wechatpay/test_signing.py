"""The vectors in tests/vectors come from official pages and SDKs; each case names its origin."""

import base64
import datetime as dt
import doctest
import hashlib
import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from couponpress_worker.errors import DecryptError, KeyFileError
from couponpress_worker.wechatpay import signing
from couponpress_worker.wechatpay.signing import (
    Signer,
    Verifier,
    answer_message,
    apiv3_key_from,
    new_nonce,
    private_key_from,
    public_key_from,
    request_message,
    seal,
    sign,
    signature_holds,
    unseal,
)
from tests.builders import rsa_key

#: A busy machine is no failure.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

VECTORS = Path(__file__).parents[3] / "vectors"


def vectors(name):
    return json.loads((VECTORS / name).read_text())["vectors"]


def by_id(cases):
    return [pytest.param(case, id=case["id"]) for case in cases]


def vector(name, wanted):
    return next(case for case in vectors(name) if case["id"] == wanted)


def without_words(negative):
    return {name: value for name, value in negative.items() if name != "expect"}


SIGNED = vectors("request-signature.json")
SIGNED_NEGATIVES = [
    pytest.param(case | without_words(negative), id=f"{case['id']}-{number}")
    for case in SIGNED
    for number, negative in enumerate(case.get("negatives", []))
    if "key_serial" not in negative
]
SEALED = vectors("aes-gcm.json")
SEALED_NEGATIVES = [
    pytest.param(case | negative, id=f"{case['id']}-{number}")
    for case in SEALED
    for number, negative in enumerate(case.get("negatives", []))
]
ANSWERED = vector("response-signature.json", "official-doc-response-pubkey")
PROBE = vector("response-signature.json", "probe-signature-header")


@pytest.fixture(scope="module")
def key():
    return rsa_key()


@pytest.fixture(scope="module")
def ec_key():
    return ec.generate_private_key(ec.SECP256R1())


def private_pem(key, encryption=None):
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, encryption or serialization.NoEncryption())


def public_pem(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


# --- vectors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", by_id(SIGNED))
def test_a_known_signature_holds(case):
    public = public_key_from(case["public_key_pem"].encode(), case["id"])
    assert signature_holds(public, case["message_utf8"].encode(), case["signature_b64"])


@pytest.mark.parametrize("case", SIGNED_NEGATIVES)
def test_a_changed_signature_key_or_message_does_not_hold(case):
    public = public_key_from(case["public_key_pem"].encode(), case["id"])
    assert not signature_holds(public, case["message_utf8"].encode(), case["signature_b64"])


def test_the_negatives_above_are_all_there():
    assert len(SIGNED_NEGATIVES) == 5
    assert len(SEALED_NEGATIVES) == 8


def test_the_official_request_is_built_byte_for_byte():
    case = vector("request-signature.json", "official-doc-post-request")
    built = request_message(
        case["method"], case["url"], case["timestamp"], case["nonce_str"], case["body_utf8"].encode()
    )
    assert built == case["message_utf8"].encode()
    assert hashlib.sha256(built).hexdigest() == case["message_sha256_hex"]


@pytest.mark.parametrize("case", by_id(case for case in vectors("canonical-strings.json") if "method" in case))
def test_a_request_message_is_the_known_one(case):
    body = case["body_utf8"].encode()
    built = request_message(case["method"], case["url"], case["timestamp"], case["nonce_str"], body)
    assert built == case["message_utf8"].encode()


def test_the_shapes_of_messages_are_the_known_ones():
    request = vector("canonical-strings.json", "axios-shape-request")
    answer = vector("canonical-strings.json", "axios-shape-response")
    *start, body = request["parts"]
    assert request_message(*start, body.encode()) == request["message_utf8"].encode()
    *start, body = answer["parts"]
    assert answer_message(*start, body.encode()) == answer["message_utf8"].encode()


@pytest.mark.parametrize("case", by_id(SEALED))
def test_a_known_resource_opens(case):
    opened = unseal(
        case["key_utf8"].encode(),
        case["nonce_utf8"].encode(),
        case["ciphertext_and_tag_b64"],
        case["aad_utf8"].encode(),
    )
    assert opened.decode() == case["plaintext_utf8"]


@pytest.mark.parametrize("case", SEALED_NEGATIVES)
def test_a_changed_resource_does_not_open(case):
    ciphertext = "A" * 172 if case.get("ciphertext") == "128 zero bytes" else case["ciphertext_and_tag_b64"]
    with pytest.raises(DecryptError):
        unseal(case["key_utf8"].encode(), case["nonce_utf8"].encode(), ciphertext, case["aad_utf8"].encode())


def test_the_examples_in_the_docstrings_are_true():
    results = doctest.testmod(signing)
    assert results.failed == 0
    assert results.attempted == 2


# --- requests --------------------------------------------------------------------------------------------------------


def test_an_authorization_names_the_five_parts_on_one_line(key):
    signer = Signer("1900000001", "5F1C72E2", key)
    header = signer.authorization("POST", "/v3/x?a=%7B", "形象店".encode(), timestamp=1554208460, nonce="593BEC")
    scheme, _, rest = header.partition(" ")
    parts = dict(pair.split("=", 1) for pair in rest.split(","))
    assert scheme == "WECHATPAY2-SHA256-RSA2048"
    assert list(parts) == ["mchid", "nonce_str", "timestamp", "serial_no", "signature"]
    assert parts["mchid"] == '"1900000001"'
    assert parts["nonce_str"] == '"593BEC"'
    assert parts["timestamp"] == '"1554208460"'
    assert parts["serial_no"] == '"5F1C72E2"'
    message = request_message("POST", "/v3/x?a=%7B", 1554208460, "593BEC", "形象店".encode())
    assert signature_holds(key.public_key(), message, parts["signature"].strip('"'))
    assert "\n" not in header


def test_every_order_of_the_parts_seen_in_the_wild_has_the_same_names():
    orders = json.loads((VECTORS / "canonical-strings.json").read_text())["authorization_orders"]
    assert [set(order["order"]) for order in orders] == [
        {"mchid", "nonce_str", "timestamp", "serial_no", "signature"}
    ] * 3


def test_a_repr_shows_no_key(key):
    assert "key=" not in repr(Signer("1900000001", "5F1C72E2", key))
    assert repr(Verifier({"PUB_KEY_ID_01": key.public_key()})) == "Verifier()"


def test_a_signer_that_is_renewed_signs_with_the_new_key_under_its_serial():
    first, second = rsa_key(0), rsa_key(1)
    signer = Signer("1900000001", "5F1C72E2", first)
    signer.renew("77AA", second)
    told = signer.authorization("GET", "/v3/x", b"", timestamp=1, nonce="n")
    assert told == Signer("1900000001", "77AA", second).authorization("GET", "/v3/x", b"", timestamp=1, nonce="n")
    assert 'serial_no="77AA"' in told


def test_nonces_are_32_characters_and_differ():
    nonces = {new_nonce() for _ in range(1000)}
    assert len(nonces) == 1000
    assert {len(nonce) for nonce in nonces} == {32}


# --- answers ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def official():
    return Verifier(
        {ANSWERED["headers"]["Wechatpay-Serial"]: public_key_from(ANSWERED["public_key_pem"].encode(), "x")}
    )


ANSWERED_AT = int(ANSWERED["headers"]["Wechatpay-Timestamp"])


def test_the_official_answer_holds(official):
    assert official.objection(ANSWERED["headers"], ANSWERED["body_utf8"].encode(), now=ANSWERED_AT + 1.5) is None


@pytest.mark.parametrize("off", [-300, -299.9, 0, 299.9, 300])
def test_an_answer_is_stale_from_five_minutes_on(official, off):
    objection = official.objection(ANSWERED["headers"], ANSWERED["body_utf8"].encode(), now=ANSWERED_AT + off)
    assert objection == ("the timestamp is 5 minutes or more from our clock" if abs(off) == 300 else None)


def test_an_answer_signed_in_another_order_does_not_hold():
    public = public_key_from(ANSWERED["public_key_pem"].encode(), "x")
    headers, body = ANSWERED["headers"], ANSWERED["body_utf8"]
    timestamp, nonce = headers["Wechatpay-Timestamp"], headers["Wechatpay-Nonce"]
    right = answer_message(timestamp, nonce, body.encode())
    assert right == ANSWERED["message_utf8"].encode()
    assert signature_holds(public, right, headers["Wechatpay-Signature"])
    wrong = {
        "body first": f"{body}\n{timestamp}\n{nonce}\n".encode(),
        "without the last line end": right[:-1],
        "timestamp and nonce swapped": answer_message(nonce, timestamp, body.encode()),
    }
    assert len(wrong) == len(ANSWERED["negatives"])
    for change, message in wrong.items():
        assert not signature_holds(public, message, headers["Wechatpay-Signature"]), change


def test_the_probe_is_an_objection_and_no_crash(key):
    headers = PROBE["headers"]
    now = int(headers["Wechatpay-Timestamp"]) + 1
    assert len(headers["Wechatpay-Signature"]) == PROBE["signature_length"]
    verifier = Verifier({headers["Wechatpay-Serial"]: key.public_key()})
    assert verifier.objection(headers, b'{"task_id":"abcdef"}', now=now) == "the signature does not hold"


def test_a_key_that_is_not_known_is_an_objection(key):
    names = [
        negative["key_serial"] for case in SIGNED for negative in case.get("negatives", []) if "key_serial" in negative
    ]
    assert names == ["invalid serial number"]
    for name in names:
        told = Verifier({name: key.public_key()}).objection(ANSWERED["headers"], b"", now=ANSWERED_AT)
        assert told == "signed with a key that is not known here"


@pytest.mark.parametrize("name", ["Wechatpay-Serial", "Wechatpay-Signature", "Wechatpay-Timestamp", "Wechatpay-Nonce"])
def test_a_missing_or_empty_header_is_an_objection(official, name):
    body = ANSWERED["body_utf8"].encode()
    absent = {other: value for other, value in ANSWERED["headers"].items() if other != name}
    for headers in (absent, absent | {name: ""}):
        assert official.objection(headers, body, now=ANSWERED_AT) == "signature headers are missing"


@pytest.mark.parametrize("timestamp", ["soon", "-1", "1e9", "１７２２", " 1722850421", "9" * 16, "1722850421.0"])
def test_a_timestamp_that_is_no_number_is_an_objection(official, timestamp):
    headers = ANSWERED["headers"] | {"Wechatpay-Timestamp": timestamp}
    assert official.objection(headers, b"", now=ANSWERED_AT) == "the timestamp is not a number"


def test_header_bytes_that_are_no_text_are_an_objection(official):
    """An HTTP client may hand such bytes over as lone surrogates."""
    for name in ("Wechatpay-Nonce", "Wechatpay-Signature", "Wechatpay-Serial", "Wechatpay-Timestamp"):
        headers = ANSWERED["headers"] | {name: ANSWERED["headers"][name] + "\udcff"}
        assert official.objection(headers, ANSWERED["body_utf8"].encode(), now=ANSWERED_AT) is not None


_any_text = st.text(st.characters(), max_size=400)


@UNHURRIED
@given(nonce=_any_text, signature=_any_text, serial=_any_text, timestamp=_any_text, body=st.binary())
def test_no_header_makes_the_check_raise(official, nonce, signature, serial, timestamp, body):
    names = ("Wechatpay-Nonce", "Wechatpay-Signature", "Wechatpay-Serial", "Wechatpay-Timestamp")
    fresh = ANSWERED["headers"] | dict(zip(names[:2], (nonce, signature), strict=True))
    wild = dict(zip(names, (nonce, signature, serial, timestamp), strict=True))
    assert official.objection(fresh, body, now=ANSWERED_AT) is not None
    assert official.objection(wild, body, now=ANSWERED_AT) is not None


@UNHURRIED
@given(body=st.binary(max_size=300), nonce=st.text("0123456789abcdef", min_size=1, max_size=40))
def test_what_is_signed_holds_and_any_change_does_not(key, body, nonce):
    signature = sign(key, answer_message("1722850421", nonce, body))
    headers = {
        "Wechatpay-Timestamp": "1722850421",
        "Wechatpay-Nonce": nonce,
        "Wechatpay-Serial": "PUB_KEY_ID_01",
        "Wechatpay-Signature": signature,
    }
    verifier = Verifier({"PUB_KEY_ID_01": key.public_key()})
    assert verifier.objection(headers, body, now=1722850421.0) is None
    assert verifier.objection(headers, body + b"\n", now=1722850421.0) == "the signature does not hold"
    assert verifier.objection(headers | {"Wechatpay-Nonce": nonce + "0"}, body, now=1722850421.0) is not None
    assert verifier.objection(headers | {"Wechatpay-Timestamp": "1722850422"}, body, now=1722850421.0) is not None


# --- resources -------------------------------------------------------------------------------------------------------


@UNHURRIED
@given(
    key=st.binary(min_size=32, max_size=32),
    nonce=st.binary(min_size=12, max_size=12),
    plaintext=st.binary(max_size=300),
    associated=st.binary(max_size=40),
)
def test_what_is_sealed_opens_and_with_other_associated_data_it_does_not(key, nonce, plaintext, associated):
    sealed = seal(key, nonce, plaintext, associated)
    assert unseal(key, nonce, sealed, associated) == plaintext
    with pytest.raises(DecryptError):
        unseal(key, nonce, sealed, associated + b"x")


@pytest.mark.parametrize(
    ("key", "nonce", "ciphertext"),
    [
        (b"k" * 31, b"n" * 12, "AAAA"),
        (b"k" * 32, b"", "A" * 44),
        (b"k" * 32, b"n" * 12, ""),
        (b"k" * 32, b"n" * 12, "not base64!"),
        (b"k" * 32, b"n" * 12, "图"),
    ],
)
def test_no_resource_makes_unsealing_crash(key, nonce, ciphertext):
    with pytest.raises(DecryptError, match="APIv3 key"):
        unseal(key, nonce, ciphertext, b"")


# --- key files -------------------------------------------------------------------------------------------------------

#: The object ids of the curves P-256 and SM2: a Chinese merchant may well hold SM2 keys.
P256, SM2 = bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a811ccf5501822d")


def as_sm2(pem):
    label = pem.splitlines()[0].decode().strip("-").removeprefix("BEGIN ")
    der = (private_der if "PRIVATE" in label else public_der)(pem).replace(P256, SM2)
    return armoured(der, label)


def private_der(pem):
    key = serialization.load_pem_private_key(pem, None)
    encoding, form = serialization.Encoding.DER, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption())


def public_der(pem):
    key = serialization.load_pem_public_key(pem)
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def armoured(der, label):
    return f"-----BEGIN {label}-----\n{base64.encodebytes(der).decode()}-----END {label}-----\n".encode()


def certificate(key):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "platform")])
    now = dt.datetime.now(dt.UTC)
    built = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + dt.timedelta(days=1))
    return built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def test_keys_are_read_from_their_files(key):
    assert private_key_from(private_pem(key), "key.pem").private_numbers() == key.private_numbers()
    for pem in (public_pem(key), certificate(key)):
        assert public_key_from(pem, "pub.pem").public_numbers() == key.public_key().public_numbers()


def test_a_private_key_that_cannot_be_used_is_named_with_its_cure(key, ec_key):
    locked = private_pem(key, serialization.BestAvailableEncryption(b"secret"))
    for pem in (b"", b"hello", public_pem(key), locked, as_sm2(private_pem(ec_key))):
        with pytest.raises(KeyFileError, match=r"key\.pem is no usable PEM private key .* apiclient_key\.pem"):
            private_key_from(pem, "key.pem")
    with pytest.raises(KeyFileError, match="not RSA"):
        private_key_from(private_pem(ec_key), "key.pem")


def test_a_public_key_that_cannot_be_used_is_named_with_its_cure(key, ec_key):
    broken = certificate(key)[:-60] + b"\n-----END CERTIFICATE-----\n"
    for pem in (b"", b"hello", private_pem(key), broken, as_sm2(public_pem(ec_key))):
        with pytest.raises(KeyFileError, match=r"pub\.pem is no usable PEM public key .* API security page"):
            public_key_from(pem, "pub.pem")
    for pem in (public_pem(ec_key), certificate(ec_key)):
        with pytest.raises(KeyFileError, match="not RSA"):
            public_key_from(pem, "pub.pem")


def test_an_apiv3_key_has_32_bytes():
    assert apiv3_key_from(b"0123456789abcdef0123456789abcdef\r\n", "apiv3") == b"0123456789abcdef0123456789abcdef"
    for content in (b"", b"\n", b"sesame-open-1234", b"sesame-open-1234" * 3):
        with pytest.raises(KeyFileError, match=rf"apiv3 holds {len(content.strip())} bytes") as raised:
            apiv3_key_from(content, "apiv3")
        assert "sesame" not in str(raised.value)
