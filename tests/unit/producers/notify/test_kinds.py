"""Which URLs lead to which kind of robot, and that none is shown with its token."""

import pytest

from couponpress.notify.kinds import KINDS

GOOD = {
    "wecom": "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=693a91f6-7xxx",
    "dingtalk": "https://oapi.dingtalk.com/robot/send?access_token=e9a8118c8a3d",
    "feishu": "https://open.feishu.cn/open-apis/bot/v2/hook/693a91f6-7xxx",
    "webhook": "https://shop.example:8443/told?token=1",
}


@pytest.mark.parametrize("kind", GOOD)
def test_a_url_of_a_robot_is_taken_for_its_kind_alone(kind):
    assert KINDS[kind].objection(GOOD[kind]) is None
    for other in GOOD.keys() - {kind, "webhook"}:
        assert "must lead to https://" in KINDS[other].objection(GOOD[kind])


@pytest.mark.parametrize("kind", GOOD)
def test_what_is_shown_holds_no_token(kind):
    shown = KINDS[kind].shown(GOOD[kind])
    assert shown.endswith("***")
    assert not {"693a91f6", "e9a8118c8a3d", "token=1"} & {part for part in GOOD[kind].split("=") if part in shown}
    assert "693a" not in shown


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("wecom", "http://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=1"),
        ("wecom", "https://qyapi.weixin.qq.com:8443/cgi-bin/webhook/send?key=1"),
        ("wecom", "https://me@qyapi.weixin.qq.com/cgi-bin/webhook/send?key=1"),
        ("wecom", "https://qyapi.weixin.qq.com.evil.example/cgi-bin/webhook/send?key=1"),
        ("wecom", "https://qyapi.weixin.qq.com/cgi-bin/webhook/send"),
        ("wecom", "https://qyapi.weixin.qq.com/cgi-bin/webhook/upload_media?key=1"),
        ("dingtalk", "https://oapi.dingtalk.com/robot/send?token=1"),
        ("feishu", "https://open.feishu.cn/open-apis/bot/v2/hook/"),
        ("feishu", "https://open.feishu.cn/open-apis/bot/v2/hook/a/b"),
    ],
)
def test_other_urls_are_refused_with_an_example_and_unseen(kind, url):
    told = KINDS[kind].objection(url)
    assert KINDS[kind].example in told
    assert url.removeprefix("https://") not in told.replace(KINDS[kind].example, "")
