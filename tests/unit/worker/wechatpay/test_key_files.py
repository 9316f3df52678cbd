"""Key files: what belongs together is read, and what does not is refused offline, by a sentence that names it."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from couponpress_worker.errors import KeyFileError
from couponpress_worker.wechatpay.key_files import (
    MerchantCertificate,
    merchant_certificate,
    more_platform_keys,
    platform_key,
)
from couponpress_worker.wechatpay.signing import Verifier, answer_message, sign
from tests.builders import rsa_key

KEY, OTHER = rsa_key(0), rsa_key(1)
SERIAL = "0ABC5157F09EFDC096DE15EBE81A47057A7232F1"
ENDS = datetime(2031, 1, 31, tzinfo=UTC)
PUBLIC_PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def certificate_pem(serial=SERIAL):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "1900000001")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(KEY.public_key())
    builder = builder.serial_number(int(serial, 16)).not_valid_before(ENDS - timedelta(days=1800)).not_valid_after(ENDS)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.PEM)


@pytest.fixture
def certificate(tmp_path):
    path = tmp_path / "certificate.pem"
    path.write_bytes(certificate_pem())
    return path


@pytest.mark.parametrize("key_id", [SERIAL, SERIAL.lower(), SERIAL.lstrip("0"), "0a:bc:" + SERIAL[4:], "00" + SERIAL])
def test_a_certificate_goes_by_its_serial_number_however_it_is_written(certificate, key_id):
    assert platform_key(certificate, key_id).public_numbers() == KEY.public_key().public_numbers()


@pytest.mark.parametrize("key_id", [SERIAL[:-1], SERIAL + "0", "PUB_KEY_ID_" + SERIAL])
def test_a_certificate_under_another_id_is_refused(certificate, key_id):
    with pytest.raises(KeyFileError, match=f"serial number {SERIAL.lstrip('0')}") as caught:
        platform_key(certificate, key_id)
    assert key_id in str(caught.value)


def test_the_directory_is_read_by_ids(tmp_path):
    (tmp_path / "PUB_KEY_ID_01.pem").write_bytes(PUBLIC_PEM)
    (tmp_path / f"{SERIAL.lower()}.PEM").write_bytes(certificate_pem())
    (tmp_path / "._PUB_KEY_ID_02.pem").write_bytes(b"what a Mac leaves behind")
    (tmp_path / "README").write_text("no key")
    assert set(more_platform_keys(tmp_path)) == {"PUB_KEY_ID_01", SERIAL.lstrip("0")}
    assert more_platform_keys(None) == {}


@pytest.mark.parametrize("name", ["pub_key.pem", "PUB_KEY_ID_.pem", "PUB_KEY_ID_01 (1).pem", "wechatpay.PEM"])
def test_a_file_that_is_named_by_no_id_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(PUBLIC_PEM)
    with pytest.raises(KeyFileError, match="is not named by the id of a key") as caught:
        more_platform_keys(tmp_path)
    assert name in str(caught.value)


@pytest.mark.parametrize("path", ["none", "file"])
def test_a_directory_that_is_none_is_refused(tmp_path, path):
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyFileError, match="is no directory that can be read"):
        more_platform_keys(tmp_path / path)


def test_a_signature_may_name_the_certificate_with_its_leading_zeros(tmp_path):
    (tmp_path / f"{SERIAL}.pem").write_bytes(certificate_pem())
    headers = {
        "Wechatpay-Timestamp": "1000",
        "Wechatpay-Nonce": "n",
        "Wechatpay-Serial": SERIAL,
        "Wechatpay-Signature": sign(KEY, answer_message("1000", "n", b"{}")),
    }
    verifier = Verifier(more_platform_keys(tmp_path))
    assert verifier.objection(headers, b"{}", now=1000.0) is None
    assert verifier.objection({**headers, "Wechatpay-Serial": "1" + SERIAL}, b"{}", now=1000.0) is not None


@pytest.mark.parametrize("serial_no", [None, SERIAL, SERIAL.lower().lstrip("0")])
def test_the_merchant_certificate_tells_serial_number_and_expiry(certificate, serial_no):
    assert merchant_certificate(certificate, KEY, serial_no) == MerchantCertificate(SERIAL, ENDS)


def test_a_merchant_certificate_of_another_key_or_number_is_refused(certificate, tmp_path):
    with pytest.raises(KeyFileError, match="of another key than COUPONPRESS_MCH_PRIVATE_KEY_FILE"):
        merchant_certificate(certificate, OTHER, None)
    with pytest.raises(KeyFileError, match="COUPONPRESS_MCH_SERIAL_NO is ABC"):
        merchant_certificate(certificate, KEY, "ABC")
    certificate.write_bytes(PUBLIC_PEM)
    with pytest.raises(KeyFileError, match=r"apiclient_cert\.pem"):
        merchant_certificate(certificate, KEY, None)


@pytest.mark.parametrize(
    ("days", "told"), [(31, None), (30, "expires on 2031-01-31"), (1, "expires on"), (0, "expired on"), (-9, "expired")]
)
def test_a_certificate_is_warned_of_thirty_days_before_it_expires(days, told):
    warning = MerchantCertificate(SERIAL, ENDS).warning(ENDS - timedelta(days=days))
    assert (told is None and warning is None) or told in warning
