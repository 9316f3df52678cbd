"""Which COUPONPRESS_ variables are refused, and what of a wrong value is shown."""

import pytest

from couponpress.errors import SettingsError
from couponpress.setting_names import shown_value, troubles_of
from couponpress.settings import ProducerSettings
from tests.builders import MCHID


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("COUPONPRESS_RATEE", "COUPONPRESS_RATEE is no setting (did you mean COUPONPRESS_RATE?)"),
        ("COUPONPRESS_REDISURL", "(did you mean COUPONPRESS_REDIS_URL?)"),
        ("COUPONPRESS_QUERYRATE", "(did you mean COUPONPRESS_QUERY_RATE?)"),
        ("couponpress_mch_id", "(did you mean COUPONPRESS_MCHID?)"),
        ("COUPONPRESS_FOO", "COUPONPRESS_FOO is no setting"),
        ("COUPONPRESS_", "COUPONPRESS_ is no setting"),
    ],
)
def test_an_unknown_name_is_refused_with_the_one_that_was_meant(name, told):
    (trouble,) = troubles_of({name: "5/second", "COUPONPRESS_RATE": "5/second", "PATH": "x"})
    assert trouble.endswith(told)


@pytest.mark.parametrize(
    "name",
    [
        "COUPONPRESS_SERVICE_HOST",
        "COUPONPRESS_SERVICE_PORT",
        "COUPONPRESS_SERVICE_PORT_HTTP",
        "COUPONPRESS_PORT",
        "COUPONPRESS_PORT_8700_TCP",
        "COUPONPRESS_PORT_8700_TCP_ADDR",
        "COUPONPRESS_GATEWAY_SERVICE_HOST",
        "COUPONPRESS_REDIS_PORT_6379_TCP_PROTO",
    ],
)
def test_what_kubernetes_sets_for_a_service_of_that_name_is_let_through(name):
    assert list(troubles_of({name: "tcp://10.0.0.1:8700"})) == []


def test_an_empty_variable_is_no_setting_of_anybody():
    assert list(troubles_of({"COUPONPRESS_RATEE": ""})) == []


@pytest.mark.parametrize(("value", "told"), [("42\r", "Windows line ends"), ('"42"', "quotes"), ("'42'", "quotes")])
def test_an_env_file_that_was_read_otherwise_than_written_is_named(monkeypatch, value, told):
    monkeypatch.setenv("COUPONPRESS_MCHID", value)
    with pytest.raises(SettingsError, match=told):
        ProducerSettings.load()


def test_everything_is_told_at_once(monkeypatch):
    monkeypatch.setenv("COUPONPRESS_RATEE", "5/second")
    with pytest.raises(SettingsError) as caught:
        ProducerSettings.load({"result_ttl": "a week"})
    told = str(caught.value)
    assert told.startswith("missing settings: COUPONPRESS_MCHID; COUPONPRESS_RESULT_TTL must be a valid integer")
    assert "(got 'a week'); COUPONPRESS_RATEE is no setting" in told


@pytest.mark.parametrize(
    "value",
    ["https://me:secret@host", "https://host/?token=secret", "0123456789abcdef0123456789abcdef", "x-----BEGIN "],
)
def test_what_may_be_a_secret_is_not_shown(value):
    assert shown_value(value) == ""


def test_a_proxy_with_a_password_is_not_shown():
    with pytest.raises(SettingsError) as caught:
        ProducerSettings.load({"mchid": MCHID, "proxy": "socks5 s3cret"})
    assert "COUPONPRESS_PROXY" in str(caught.value)
    assert "s3cret" not in str(caught.value)
