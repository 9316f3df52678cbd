"""Who may use the gateway: what the file may hold, whose token it is, what it may do."""

import hashlib
import stat

import pytest

from couponpress import InputError, SettingsError
from couponpress.gateway import tokens
from couponpress.gateway.tokens import Tokens, TokensFile, add_token

DIGEST = hashlib.sha256(b"shop.secret").hexdigest()
ENTRY = f'[tokens.shop]\nsha256 = "{DIGEST}"\nbrands = ["1", "2"]\n'


def test_a_token_is_found_by_its_digest():
    token = Tokens.parse(ENTRY + 'quota = 7\nnamespace = "shops"\n').holder("shop.secret")
    assert (token.name, token.quota, token.namespace, token.brands) == ("shop", 7, "shops", {"1", "2"})
    assert (token.may_use("1"), token.may_use("3"), token.may_use("")) == (True, False, False)
    assert token.stored_name("may") == "shops/may"
    assert token.shown_name("shops/may") == "may"
    assert token.shown_name("shop/may") is None


@pytest.mark.parametrize(
    "presented", ["", "shop", "shop.", "shop.other", "other.secret", "shop.secret ", "shöp.\udc80"]
)
def test_nobody_else_is_found(presented):
    assert Tokens.parse(ENTRY).holder(presented) is None


def test_a_token_for_all_brands_sees_rows_that_cannot_be_read_too():
    token = Tokens.parse(ENTRY.replace('["1", "2"]', '"all"')).holder("shop.secret")
    assert token.may_use("anything")
    assert token.may_use("")
    assert (token.quota, token.namespace) == (None, "shop")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("tokens = ", "no TOML"),
        (ENTRY + "colour = 1\n", "tokens.shop.colour: Extra inputs"),
        (ENTRY.replace(DIGEST, "5f0c"), "tokens.shop.sha256"),
        (ENTRY.replace('["1", "2"]', '"some"'), "tokens.shop.brands"),
        (ENTRY.replace('["1", "2"]', '["a b"]'), "tokens.shop.brands"),
        (ENTRY + "quota = 0\n", "tokens.shop.quota"),
        (ENTRY.replace("tokens.shop", 'tokens."a/b"'), "tokens.a/b"),
        ("[token.shop]\n", "token: Extra inputs"),
    ],
)
def test_a_file_that_breaks_a_rule_is_told_which(text, told):
    with pytest.raises(SettingsError, match="tokens file") as caught:
        Tokens.parse(text)
    assert told in str(caught.value)
    assert DIGEST not in str(caught.value)


def test_a_made_token_is_in_the_file_as_a_digest_only(tmp_path):
    path = tmp_path / "tokens.toml"
    first = add_token(path, "shop", brands=["1"], quota=5, namespace=None)
    second = add_token(path, "other", brands=None, quota=None, namespace="shop")
    read = Tokens.parse(path.read_text())
    assert (read.holder(first).name, read.holder(second).name) == ("shop", "other")
    assert read.holder(second).namespace == "shop"
    assert first.partition(".")[2] not in path.read_text()
    assert len(first.partition(".")[2]) >= 43
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(one.name for one in tmp_path.iterdir()) == ["tokens.toml"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"name": "shop"}, "already"),
        ({"name": "a.b"}, "a token's name"),
        ({"name": "new", "namespace": "a/b"}, "a namespace"),
        ({"name": "new", "brands": ['"']}, "brands"),
    ],
)
def test_a_token_that_cannot_be_made_leaves_the_file_alone(tmp_path, given, told):
    path = tmp_path / "tokens.toml"
    add_token(path, "shop", brands=["1"], quota=None, namespace=None)
    before = path.read_text()
    with pytest.raises(InputError, match=told):
        add_token(path, **{"brands": ["1"], "quota": None, "namespace": None, **given})
    assert path.read_text() == before


def test_a_changed_file_is_read_again_and_a_broken_one_is_not(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(tokens, "LOOK_EVERY_SECONDS", 0)
    path = tmp_path / "tokens.toml"
    path.write_text(ENTRY)
    file = TokensFile(path)
    assert "shop" in file.tokens()
    path.write_text("[tokens]\n")
    assert len(file.tokens()) == 0
    path.write_text(ENTRY)
    assert "shop" in file.tokens()
    path.write_text("broken")
    assert "shop" in file.tokens()
    assert "shop" in file.tokens()
    assert [record.getMessage() for record in caplog.records if "former tokens" in record.getMessage()][1:] == []
    path.unlink()
    assert "shop" in file.tokens()
    path.write_text("[tokens]\n")
    assert len(file.tokens()) == 0


def test_a_missing_file_is_told_with_its_cure(tmp_path):
    with pytest.raises(SettingsError, match="couponpress gateway token NAME"):
        TokensFile(tmp_path / "none.toml")
    (tmp_path / "binary").write_bytes(b"\xff")
    with pytest.raises(SettingsError, match="cannot be read"):
        TokensFile(tmp_path / "binary")
