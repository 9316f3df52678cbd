"""Problem documents over HTTP, in the language that each request asks for."""

import pytest

CALLS = [
    ("GET", "/runs/none", {}, 404),
    ("GET", "/nothing/here", {}, 404),
    ("POST", "/runs/may/specs", {"content": b"{", "headers": {"Content-Type": "application/json"}}, 400),
    ("POST", "/runs/may/specs", {"json": {}}, 422),
    ("POST", "/runs/may/specs", {"content": b"x", "headers": {"Content-Type": "text/plain"}}, 415),
]


@pytest.mark.parametrize(("method", "path", "options", "status"), CALLS)
def test_title_and_detail_follow_accept_language_and_nothing_else_does(call, method, path, options, status):
    def asked(language):
        headers = {**options.get("headers", {}), "Accept-Language": language}
        answer = call("shop", method, path, **{**options, "headers": headers})
        assert answer.status_code == status
        assert answer.headers["vary"] == "Accept-Language"
        return answer.headers["content-language"], answer.json()

    (chinese_tag, chinese), (english_tag, english) = asked("zh-CN,zh;q=0.9,en;q=0.5"), asked("en-GB,zh;q=0.5")
    assert (chinese_tag, english_tag) == ("zh-CN", "en")
    for name in ("title", "detail"):
        assert english.pop(name).isascii()
        assert not chinese.pop(name).isascii()
    assert chinese == english
