"""Both settings modules: everything wrong is said at once, and no secret is ever shown."""

import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from pydantic import ValidationError

from couponpress.errors import SettingsError
from couponpress.setting_names import ENV_PREFIX
from couponpress.settings import ProducerSettings, set_time_zone, without_password
from couponpress_worker.errors import KeyFileError
from couponpress_worker.settings import Secrets, Settings
from tests.builders import APIV3_KEY, MCHID, PUBLIC_KEY_ID, fleet_settings, fleet_values, rsa_key

REQUIRED = ["mchid", "mch_serial_no", "mch_private_key_file", "wechatpay_public_key_id"]
REQUIRED += ["wechatpay_public_key_file", "apiv3_key_file"]


def refusal(settings, values):
    with pytest.raises(SettingsError) as caught:
        settings.load(values)
    return str(caught.value)


@pytest.fixture(scope="module")
def private_key():
    return rsa_key(0)


def pem_of(key, encryption=None):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


@pytest.fixture(scope="module")
def platform_key():
    return rsa_key(1)


@pytest.fixture
def key_files(tmp_path, private_key, platform_key):
    """Settings whose key files exist."""
    (tmp_path / "apiclient_key.pem").write_bytes(pem_of(private_key))
    public = platform_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "pub_key.pem").write_bytes(public)
    (tmp_path / "apiv3_key").write_bytes(APIV3_KEY)
    return fleet_settings(
        mch_private_key_file=tmp_path / "apiclient_key.pem",
        wechatpay_public_key_file=tmp_path / "pub_key.pem",
        apiv3_key_file=tmp_path / "apiv3_key",
    )


def test_a_producer_needs_its_partner_only():
    settings = ProducerSettings.load({"mchid": MCHID})
    assert settings.redis_url == "redis://127.0.0.1:6379/0"
    assert settings.result_ttl == 7 * 86400


def test_settings_are_read_from_the_environment(monkeypatch):
    monkeypatch.setenv("COUPONPRESS_MCHID", "42")
    monkeypatch.setenv("COUPONPRESS_REDIS_URL", "redis://elsewhere:6380/3")
    monkeypatch.setenv("COUPONPRESS_RESULT_TTL", "60")
    settings = ProducerSettings.load()
    assert (settings.mchid, settings.redis_url, settings.result_ttl) == ("42", "redis://elsewhere:6380/3", 60)


def test_values_given_by_hand_come_before_the_environment(monkeypatch):
    monkeypatch.setenv("COUPONPRESS_MCHID", "42")
    assert ProducerSettings.load({"mchid": "43"}).mchid == "43"


def test_a_missing_partner_is_named_as_its_variable():
    told = refusal(ProducerSettings, {})
    assert told.startswith("missing settings: COUPONPRESS_MCHID. ")
    assert "Set them in the environment" in told


def test_a_fleet_without_settings_names_every_missing_one_at_once():
    told = refusal(Settings, {})
    assert [name for name in REQUIRED if (ENV_PREFIX + name.upper()) not in told] == []


def test_what_is_missing_and_what_is_wrong_is_told_together():
    told = refusal(Settings, fleet_values(mchid=None, rate="fast", lateness_ms=1))
    assert "missing settings: COUPONPRESS_MCHID" in told
    assert "COUPONPRESS_RATE must read like" in told
    assert "COUPONPRESS_LATENESS_MS must be greater than or equal to 2" in told


def test_an_empty_variable_counts_as_not_set(monkeypatch):
    monkeypatch.setenv("COUPONPRESS_CA_FILE", "")
    monkeypatch.setenv("COUPONPRESS_CALLBACK_FORWARD_URL", "")
    monkeypatch.setenv("COUPONPRESS_MCHID", "")
    assert "missing settings: COUPONPRESS_MCHID" in refusal(Settings, fleet_values(mchid=None))
    settings = Settings.load(fleet_values())
    assert settings.ca_file is None
    assert settings.callback_forward_url is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mchid", "19000:00001"),
        ("mchid", "1900000001\n"),
        ("result_ttl", "59"),
        ("result_ttl", "a week"),
        ("redis_url", "localhost:6379"),
        ("redis_url", "http://localhost"),
        ("redis_url", "redis://localhost:port/0"),
        ("redis_url", "redis://[::1/0"),
        ("redis_url", "redis://"),
        ("redis_url", "unix://run/redis.sock"),
        ("redis_url", "sentinel://localhost:26379/0"),
    ],
)
def test_a_wrong_value_is_told_for_its_variable(name, value):
    assert ENV_PREFIX + name.upper() in refusal(ProducerSettings, {"mchid": MCHID, name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mch_serial_no", "not hex"),
        ("wechatpay_public_key_id", "PUB_KEY_ID_"),
        ("wechatpay_public_key_id", "PUB KEY"),
        ("rate", "500"),
        ("rate", "0/second"),
        ("rate", "500/hour"),
        ("rate", "5.5/second"),
        ("query_rate", "twenty/second"),
        ("upload_rate", "20/seconds"),
        ("lateness_ms", 201),
        ("callback_span", 0),
        ("expire_after", 0),
        ("callback_forward_url", "ftp://example.org"),
        ("base_url", "api.mch.weixin.qq.com"),
        ("base_url", "ftp://api.mch.weixin.qq.com"),
        ("base_url", "https://"),
        ("base_url", "https://api.mch.weixin.qq.com/v3"),
        ("base_url", "https://api.mch.weixin.qq.com?x=1"),
        ("base_url", "https://api.mch.weixin.qq.com#x"),
        ("base_url", "https://api.mch.weixin.qq.com:port"),
        ("base_url", "https://api.mch.weixin.qq.com:99999"),
        ("base_url", "https://somebody:secret@api.mch.weixin.qq.com"),
        ("base_url", "https://[::1"),
        ("base_url", "https://api.mch.weixin.qq.com,"),
        ("base_url", "https://api.mch.weixin.qq.com,http://api2.mch.weixin.qq.com"),
        ("base_url", "https://api.mch.weixin.qq.com,https://api.mch.weixin.qq.com/"),
    ],
)
def test_a_wrong_value_of_the_fleet_is_told_for_its_variable(name, value):
    assert ENV_PREFIX + name.upper() in refusal(Settings, fleet_values(**{name: value}))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "LOCALHOST"])
def test_plain_http_is_taken_for_loopback(host):
    assert fleet_settings(base_url=f"http://{host}:8900/").base_url == f"http://{host}:8900"


@pytest.mark.parametrize(
    "host", ["api.mch.weixin.qq.com", "127.0.0.1.example.org", "localhost@example.org", "10.0.0.1", "[::2]"]
)
def test_plain_http_is_refused_elsewhere(host):
    assert "COUPONPRESS_BASE_URL" in refusal(Settings, fleet_values(base_url=f"http://{host}"))


def test_several_hosts_are_used_in_their_order():
    settings = fleet_settings(base_url="https://api.mch.weixin.qq.com/, https://api2.mch.weixin.qq.com")
    assert settings.base_urls == ("https://api.mch.weixin.qq.com", "https://api2.mch.weixin.qq.com")
    assert fleet_settings().base_urls == ("https://api.mch.weixin.qq.com",)


def test_the_platform_is_called_at_its_main_host_by_default():
    assert fleet_settings().base_url == "https://api.mch.weixin.qq.com"


def test_the_defaults_are_the_documented_ones():
    settings = fleet_settings()
    assert (settings.rate, settings.query_rate, settings.upload_rate) == ("500/second", "20/second", "20/second")
    assert (settings.lateness_ms, settings.callback_span, settings.expire_after) == (20, 780, 172_800)


def test_expiry_before_the_callbacks_span_is_refused_in_a_plain_sentence():
    told = refusal(Settings, fleet_values(callback_span=100, expire_after=99))
    assert told.startswith("COUPONPRESS_EXPIRE_AFTER must not be shorter than COUPONPRESS_CALLBACK_SPAN. ")


def test_settings_cannot_be_changed():
    settings = ProducerSettings.load({"mchid": MCHID})
    with pytest.raises(ValidationError, match="frozen"):
        settings.mchid = "2"


@pytest.mark.parametrize(
    "url",
    [
        "redis://:s3cret@h:6379/0",
        "redis://user:s3cret@h:6379/0",
        "rediss://user:s3%40cret@h:6379/0",
        "sentinel://:s3cret@h:6379/0master/0",
        "sentinel://user:s3cret@h:6379/0master/0?sentinel_password=s3cret",
    ],
)
def test_a_redis_password_is_never_shown(url):
    settings = ProducerSettings.load({"mchid": MCHID, "redis_url": url})
    shown = [repr(settings), str(settings), settings.redis_url_shown]
    assert [text for text in shown if "s3" in text or "cret" in text] == []
    assert "h:6379/0" in settings.redis_url_shown


@pytest.mark.parametrize(
    "url",
    [
        "redis://:s3c#ret@h:6379",
        "redis://:s3/cret@h:6379",
        "redi://:s3cret@h",
        "redis://h:6379/0?password=s3cret",
        "sentinel://:s3cret@h/master/x",
    ],
)
def test_a_redis_url_that_is_refused_is_not_shown_either(url):
    told = refusal(ProducerSettings, {"mchid": MCHID, "redis_url": url})
    assert "COUPONPRESS_REDIS_URL" in told
    assert "s3" not in told
    assert "ret" not in told


def test_a_url_without_password_is_shown_whole():
    assert without_password("redis://127.0.0.1:6379/0") == "redis://127.0.0.1:6379/0"


def test_keys_are_read_from_their_files(key_files, private_key, platform_key):
    keys = Secrets.read(key_files)
    assert keys.private_key.private_numbers() == private_key.private_numbers()
    assert keys.public_keys[PUBLIC_KEY_ID].public_numbers() == platform_key.public_key().public_numbers()
    assert keys.apiv3_key == APIV3_KEY


def test_keys_are_never_shown(key_files):
    shown = repr(Secrets.read(key_files)) + repr(key_files)
    assert APIV3_KEY.decode() not in shown
    assert "PRIVATE" not in shown
    assert "RSA" not in shown


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_an_apiv3_key_of_another_length_is_refused_without_being_shown(key_files, length):
    key = "k7Q" * 20
    key_files.apiv3_key_file.write_text(key[:length])
    with pytest.raises(KeyFileError, match=f"holds {length} bytes; an APIv3 key has exactly 32") as caught:
        Secrets.read(key_files)
    assert "k7Q" not in str(caught.value)


def test_a_line_end_after_the_apiv3_key_is_forgiven(key_files):
    key_files.apiv3_key_file.write_bytes(APIV3_KEY + b"\r\n")
    assert Secrets.read(key_files).apiv3_key == APIV3_KEY


@pytest.mark.parametrize("name", ["mch_private_key_file", "wechatpay_public_key_file", "apiv3_key_file"])
def test_a_missing_key_file_is_named(key_files, name):
    path: Path = getattr(key_files, name)
    path.unlink()
    with pytest.raises(KeyFileError, match="No such file or directory") as caught:
        Secrets.read(key_files)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["mch_private_key_file", "wechatpay_public_key_file", "apiv3_key_file"])
def test_a_key_file_that_cannot_be_read_is_named(key_files, name):
    path: Path = getattr(key_files, name)
    path.unlink()
    path.mkdir()
    with pytest.raises(KeyFileError, match="cannot be read") as caught:
        Secrets.read(key_files)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["mch_private_key_file", "wechatpay_public_key_file"])
def test_a_file_that_holds_no_key_is_named(key_files, name):
    path: Path = getattr(key_files, name)
    path.write_text("no key at all")
    with pytest.raises(KeyFileError) as caught:
        Secrets.read(key_files)
    assert str(path) in str(caught.value)
    assert "no key at all" not in str(caught.value)


@pytest.mark.parametrize(
    "pem", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----"]
)
def test_an_authority_that_is_none_is_one_sentence(key_files, tmp_path, pem):
    path = tmp_path / "ca.pem"
    path.write_bytes(pem)
    with pytest.raises(KeyFileError, match="COUPONPRESS_CA_FILE") as caught:
        Secrets.read(key_files.model_copy(update={"ca_file": path}))
    assert str(path) in str(caught.value)


def test_an_authority_that_is_not_there_is_one_sentence(key_files, tmp_path):
    with pytest.raises(KeyFileError, match="No such file"):
        Secrets.read(key_files.model_copy(update={"ca_file": tmp_path / "none.pem"}))


def test_a_private_key_with_a_pass_phrase_is_refused(key_files, private_key):
    key_files.mch_private_key_file.write_bytes(pem_of(private_key, BestAvailableEncryption(b"phrase")))
    with pytest.raises(KeyFileError, match="without a pass phrase"):
        Secrets.read(key_files)


def test_a_key_that_is_not_rsa_is_refused(key_files):
    key_files.mch_private_key_file.write_bytes(pem_of(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(KeyFileError, match="not RSA"):
        Secrets.read(key_files)


def test_the_public_key_in_place_of_the_private_one_is_refused(key_files):
    key_files.mch_private_key_file.write_bytes(key_files.wechatpay_public_key_file.read_bytes())
    with pytest.raises(KeyFileError, match=r"apiclient_key\.pem"):
        Secrets.read(key_files)


@pytest.mark.parametrize("name", ["mch_private_key_file", "apiv3_key_file", "hook_secret_file"])
@pytest.mark.parametrize("pasted", ["k7Q9" * 8, "-----BEGIN PRIVATE KEY-----\nk7Q9/Zz\n", "k7Q9/" * 300])
def test_a_key_in_place_of_its_path_is_refused_and_not_shown(name, pasted):
    told = refusal(Settings, fleet_values(**{name: pasted}))
    assert f"COUPONPRESS_{name.upper()} must be the path of a file" in told
    assert "k7Q9" not in told


def test_a_byte_order_mark_before_the_apiv3_key_is_forgiven(key_files):
    key_files.apiv3_key_file.write_bytes(b"\xef\xbb\xbf" + APIV3_KEY + b"\r\n")
    assert Secrets.read(key_files).apiv3_key == APIV3_KEY


def test_the_serial_number_comes_from_the_certificate_or_from_the_settings():
    told = refusal(Settings, fleet_values(mch_serial_no=None))
    assert "COUPONPRESS_MCH_SERIAL_NO is missing: set it, or COUPONPRESS_MCH_CERTIFICATE_FILE" in told
    assert fleet_settings(mch_serial_no=None, mch_certificate_file="keys/apiclient_cert.pem").mch_serial_no is None
    assert fleet_settings(mch_serial_no="0a:1B").mch_serial_no == "0a1B"


def test_our_own_public_half_is_no_key_of_the_platform(key_files, private_key):
    own = private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    key_files.wechatpay_public_key_file.write_bytes(own)
    with pytest.raises(KeyFileError, match="the merchant's own"):
        Secrets.read(key_files)


@pytest.mark.parametrize("name", ["Asia/Shangai", "../etc/passwd", "/etc/localtime", "UTC+8 "])
def test_a_time_zone_that_nobody_knows_is_an_error_with_its_cure(name, monkeypatch):
    monkeypatch.setenv("COUPONPRESS_TZ", name)
    with pytest.raises(SettingsError, match=r"COUPONPRESS_TZ must be a time zone such as Asia/Shanghai"):
        set_time_zone()
    assert "COUPONPRESS_TZ must be a time zone" in refusal(ProducerSettings, {"mchid": MCHID})


def test_a_process_tells_time_in_the_time_zone_that_is_set(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("COUPONPRESS_TZ", "Asia/Shanghai")
    try:
        set_time_zone()
        assert time.strftime("%H:%M %z", time.localtime(0)) == "08:00 +0800"
    finally:
        monkeypatch.undo()
        time.tzset()
