"""The file of several partners: every mistake is named with its cure, and no partner's settings reach another."""

import re
from pathlib import Path

import pytest

from couponpress.errors import SettingsError
from couponpress.partners import IN_FILES, OWN, SHAREABLE, partner_named, read_partners
from couponpress.setting_names import SETTING_NAMES
from couponpress.settings import ProducerSettings, choose_partner, configured_rate
from couponpress_worker.settings import Settings
from tests.builders import PUBLIC_KEY_ID
from tests.command_line import commands

PAGE = Path(__file__).parents[3] / "docs" / "partners.md"
TWO = """
[[partner]]
id = "1900000109"
rate = "30/second"
[[partner]]
id = "1900000110"
"""


@pytest.fixture
def file(tmp_path):
    """Writes the file and returns its path."""

    def written(text):
        path = tmp_path / "partners.toml"
        path.write_text(text)
        return path

    return written


def refusal(path):
    with pytest.raises(SettingsError) as caught:
        read_partners(path)
    return str(caught.value)


def table(mchid, /, **values):
    return f'[[partner]]\nid = "{mchid}"\n' + "".join(f'{name} = "{value}"\n' for name, value in values.items())


def test_each_table_is_a_partner_with_its_settings(file):
    first, second = read_partners(file(TWO))
    assert (first.mchid, first.values) == ("1900000109", {"mchid": "1900000109", "rate": "30/second"})
    assert second.values == {"mchid": "1900000110"}


def test_paths_are_read_from_the_directory_of_the_file(file, tmp_path):
    (tmp_path / "plain").touch()
    path = file(table("1", apiv3_key_file="1/apiv3", schedule_file="/etc/s.toml", gateway_tokens_file="plain"))
    [partner] = read_partners(path)
    assert partner.values["apiv3_key_file"] == str(tmp_path / "1/apiv3")
    assert partner.values["schedule_file"] == "/etc/s.toml"
    assert partner.values["gateway_tokens_file"] == str(tmp_path / "plain")


def test_a_key_in_the_place_of_its_path_is_refused_and_not_shown(file, monkeypatch):
    key = "0123456789abcdef0123456789abcdef"
    monkeypatch.setenv("COUPONPRESS_PARTNERS", str(file(table("1", apiv3_key_file=key))))
    with pytest.raises(SettingsError, match=r"apiv3_key_file must be the path of a file") as caught:
        Settings.load()
    assert key not in str(caught.value)


def test_an_address_with_a_password_stands_in_a_file_of_its_own(file, tmp_path):
    (tmp_path / "url").write_text("redis://:secret@127.0.0.1:6379/0\n")
    [partner] = read_partners(file(table("1", redis_url_file="url")))
    assert partner.values["redis_url"] == "redis://:secret@127.0.0.1:6379/0"


@pytest.mark.parametrize(
    "url", ["redis://:secret@h/0", "redis://u:secret@h/0", "rediss://h/0?password=secret", "redis://u:se@cret@h/0"]
)
def test_a_password_in_the_file_itself_is_refused_and_not_shown(file, url):
    told = refusal(file(table("1", redis_url=url)))
    assert "[[partner]] 1: redis_url holds a password: put the address into a file" in told
    assert "cret" not in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (table("1", ratee="30/second"), "[[partner]] 1: 'ratee' is no setting of a partner; did you mean rate?"),
        (table("1", mchid="2"), "[[partner]] 1: 'mchid' is no setting of a partner"),
        (table("1", redis_url_file="none"), "redis_url_file"),
        (table("1", redis_url="redis://h/0", redis_url_file="x"), "redis_url and redis_url_file say the same"),
        ("[[partner]]\nid = 1900000109\n", "[[partner]] 1: id is the merchant id, a text"),
        ("[[partner]]\nrate = '1/second'\n", "[[partner]] 1: id is the merchant id, a text"),
        ('[[partner]]\nid = "1"\nrate = [1]\n', "[[partner]] 1: rate must be a text or a number"),
        (table("1") + table("2") + table("1"), "there are two partners '1'; keep one of the tables"),
        (
            table("1", apiv3_key_file="./k") + table("2", apiv3_key_file="./k"),
            "apiv3_key_file of partners 1 and 2 is one file; each has its own",
        ),
        ("[partner]\nid = '1'\n", "each partner is a table [[partner]], with double brackets"),
        ("", "it holds no partner; one is a table [[partner]]"),
        (
            "[[partners]]\n" + table("1"),
            "'partners' is no part of this file, which holds tables [[partner]]; did you mean partner?",
        ),
        ("[[partner\n", "is no TOML"),
    ],
)
def test_what_is_wrong_is_named_with_its_cure(file, text, told):
    assert told in refusal(file(text))


def test_all_mistakes_are_told_at_once(file):
    told = refusal(file(table("1", ratee="1", redis_url_file="none") + table("1")))
    assert "'ratee'" in told
    assert "two partners '1'" in told


def test_a_file_that_is_not_there_is_named_with_its_setting(tmp_path):
    assert "COUPONPRESS_PARTNERS names it" in refusal(tmp_path / "none.toml")


def test_an_unknown_partner_is_told_with_those_that_are_known(file):
    path = file(TWO)
    with pytest.raises(SettingsError, match=r"no partner '1900000119' in .*; there are: 1900000109, 1900000110"):
        partner_named(read_partners(path), "1900000119", path)


def test_every_key_is_a_setting():
    assert {name.upper() for name in OWN | SHAREABLE} <= SETTING_NAMES
    assert Settings.model_fields.keys() | {"gateway_tokens_file", "gateway_backlog"} >= OWN | SHAREABLE


def test_the_page_says_where_each_key_stands():
    """The table of docs/partners.md against what is read."""
    rows = re.findall(r"^\| (`.*) \| (in the .*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    own, shareable = (set(re.findall(r"`(\w+)`", keys)) for keys, _ in rows)
    assert own == OWN
    assert shareable == SHAREABLE | IN_FILES.keys()


# --- in the settings --------------------------------------------------------------------------------------------------


@pytest.fixture
def two(file, monkeypatch):
    """An environment with a file of two partners."""
    monkeypatch.setenv("COUPONPRESS_PARTNERS", str(file(TWO)))


def test_the_environment_chooses_a_partner_and_fills_in_the_rest(two, monkeypatch):
    monkeypatch.setenv("COUPONPRESS_MCHID", "1900000110")
    monkeypatch.setenv("COUPONPRESS_RESULT_TTL", "99")
    assert (ProducerSettings.load().mchid, ProducerSettings.load().result_ttl) == ("1900000110", 99)
    assert [one.mchid for one in ProducerSettings.load_all()] == ["1900000110"]


def test_without_a_choice_a_command_says_which_there_are(two):
    with pytest.raises(SettingsError, match=r"choose one by --partner or .*, of 1900000109, 1900000110"):
        ProducerSettings.load()


def test_a_file_with_one_partner_needs_no_choice(file, monkeypatch):
    monkeypatch.setenv("COUPONPRESS_PARTNERS", str(file(table("7"))))
    assert ProducerSettings.load().mchid == "7"


def test_a_service_gets_every_partner(two):
    assert [one.mchid for one in ProducerSettings.load_all()] == ["1900000109", "1900000110"]


def test_the_file_comes_before_the_environment(two, monkeypatch):
    """So a rate for all is one that a partner may have otherwise."""
    files = {"mch_private_key_file": "k", "wechatpay_public_key_file": "p", "apiv3_key_file": "v"}
    values = files | {"wechatpay_public_key_id": PUBLIC_KEY_ID, "mch_serial_no": "AB"}
    monkeypatch.setenv("COUPONPRESS_RATE", "5/second")
    assert [one.rate for one in Settings.load_all(values)] == ["30/second", "5/second"]


def test_what_is_missing_is_named_as_the_file_names_it_for_every_partner(two):
    with pytest.raises(SettingsError) as caught:
        Settings.load_all()
    told = str(caught.value).splitlines()
    assert [line.split(" in ")[0] for line in told] == ["partner 1900000109", "partner 1900000110"]
    assert all("missing settings: mch_private_key_file, " in line for line in told)


@pytest.mark.parametrize("name", sorted(OWN))
def test_keys_and_tokens_in_the_environment_are_refused_because_they_would_serve_every_partner(two, monkeypatch, name):
    monkeypatch.setenv(f"COUPONPRESS_{name.upper()}", "AB")
    with pytest.raises(SettingsError, match=rf"COUPONPRESS_{name.upper()}: with a file of partners"):
        ProducerSettings.load_all()


def test_a_command_chooses_its_partner(two, monkeypatch):
    monkeypatch.setenv("COUPONPRESS_MCHID", "1900000109")
    choose_partner("1900000110")
    assert ProducerSettings.load().mchid == "1900000110"


def test_a_partner_is_chosen_from_a_file_only(monkeypatch):
    """Else the keys of one partner would act for another."""
    monkeypatch.setenv("COUPONPRESS_MCHID", "1")
    choose_partner("1")
    choose_partner(None)
    with pytest.raises(SettingsError, match="name it by COUPONPRESS_PARTNERS"):
        choose_partner("2")


def test_a_guess_takes_the_rate_of_the_partner(two, monkeypatch):
    monkeypatch.setenv("COUPONPRESS_RATE", "5/second")
    assert [configured_rate(mchid) for mchid in ("1900000109", "1900000110", "unknown")] == [
        "30/second",
        *["5/second"] * 2,
    ]
    assert configured_rate() == "5/second", "no partner is chosen"
    monkeypatch.setenv("COUPONPRESS_MCHID", "1900000109")
    assert configured_rate() == "30/second"


def test_every_command_that_has_to_do_with_a_partner_chooses_one():
    """The others make files, or run a stand-in of the platform on this machine."""
    without = set()
    for name, command in commands().items():
        for own, one in getattr(command, "commands", {"": command}).items():
            if not any("--partner" in option.opts for option in one.params):
                without.add(f"{name} {own}".strip())
    assert without == {"catalog template", "sandbox", "redis", "demo", "up"}
    assert any("--partner" in option.opts for option in commands()["gateway"].params)
