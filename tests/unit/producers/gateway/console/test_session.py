"""Cookies of the console, and the tokens of its forms."""

from couponpress.gateway.console.session import Sessions

KEY, DIGEST = b"k" * 32, bytes(range(32))


def test_a_cookie_is_read_back():
    sessions = Sessions(KEY)
    session = sessions.read(sessions.cookie("ops", DIGEST))
    assert (session.name, session.is_of(DIGEST), session.is_of(bytes(32))) == ("ops", True, False)


def test_a_cookie_that_was_changed_or_signed_by_another_key_is_nobodys():
    cookie = Sessions(KEY).cookie("ops", DIGEST)
    assert Sessions(b"x" * 32).read(cookie) is None
    assert Sessions(KEY).read(None) is None
    for at in range(len(cookie)):
        other = cookie[:at] + ("0" if cookie[at] != "0" else "1") + cookie[at + 1 :]
        # The last character of a base64 signature may have bits that count for nothing.
        assert Sessions(KEY).read(other) is None or at == len(cookie) - 1, at


def test_a_login_ends_by_itself():
    sessions = Sessions(KEY, seconds=-1)
    assert sessions.read(sessions.cookie("ops", DIGEST)) is None


def test_a_forms_token_is_bound_to_its_login():
    sessions = Sessions(KEY)
    mine, other = (sessions.read(sessions.cookie(name, DIGEST)) for name in ("ops", "other"))
    token = sessions.form_token(mine)
    assert sessions.is_form_token(mine, token)
    assert not sessions.is_form_token(other, token)
    assert not sessions.is_form_token(None, token)
    assert not sessions.is_form_token(mine, "")


def test_a_cookie_shows_no_digest_whole():
    assert DIGEST.hex() not in Sessions(KEY).cookie("ops", DIGEST)
