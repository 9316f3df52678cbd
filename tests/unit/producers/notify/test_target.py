"""A table becomes a target; whatever is wrong in it is one sentence with its cure, and no secret is ever shown."""

import pytest

from couponpress.errors import InputError
from couponpress.notify.kinds import EVENTS
from couponpress.notify.target import target_of
from couponpress.notify.target_table import TargetTable
from tests.unit.producers.notify.test_kinds import GOOD

SECRET = "SEC-0123456789abcdef"


def read(**table):
    return TargetTable.read(table)


def target(tmp_path, environment=None, **table):
    return target_of(read(**table), tmp_path, (environment or {}).get)


def test_a_robot_of_two_lines_is_told_of_everything(tmp_path):
    (tmp_path / "robot").write_text(f"{GOOD['wecom']}\n")
    made = target(tmp_path, kind="wecom", url_file="robot")
    assert (made.name, made.kind.name, made.url, made.secret) == ("wecom", "wecom", GOOD["wecom"], None)
    assert (made.events, made.brands, made.schedules, made.language, made.console_url) == (EVENTS, (), (), None, "")


def test_every_key_has_its_meaning(tmp_path):
    (tmp_path / "secret").write_text(SECRET + "\n")
    made = target(
        tmp_path,
        {"ROBOT": GOOD["dingtalk"]},
        name="night-shift",
        kind="钉钉",
        url_env="ROBOT",
        secret_file="secret",
        events=["hold.begun", "hold.lifted", "hold.begun"],
        brands="120344",
        schedules=["prices", "offers"],
        language="zh_CN",
        console_url="https://couponpress.example/console/",
    )
    assert (made.name, made.kind.name, made.secret) == ("night-shift", "dingtalk", SECRET.encode())
    assert made.events == ("hold.begun", "hold.lifted")
    assert (made.brands, made.schedules) == (("120344",), ("prices", "offers"))
    assert (made.language, made.console_url) == ("zh_CN", "https://couponpress.example")


def test_neither_url_nor_secret_is_in_a_repr(tmp_path):
    made = target(tmp_path, {"U": GOOD["feishu"], "S": SECRET}, kind="飞书", url_env="U", secret_env="S")
    assert "693a" not in repr(made) + made.shown
    assert SECRET not in repr(made)


@pytest.mark.parametrize(
    ("kind", "given", "called"),
    [
        (
            "wecom",
            "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=1",
            "http://127.0.0.1:9/cgi-bin/webhook/send?key=1",
        ),
        ("wecom", "http://127.0.0.1:9/cgi-bin/webhook/send?key=1", "http://127.0.0.1:9/cgi-bin/webhook/send?key=1"),
        ("feishu", GOOD["feishu"], "http://127.0.0.1:9/open-apis/bot/v2/hook/693a91f6-7xxx"),
    ],
)
def test_a_stand_in_of_this_machine_may_take_the_robot_s_place(tmp_path, kind, given, called):
    assert target(tmp_path, {"U": given}, kind=kind, url_env="U", base_url="http://127.0.0.1:9/").url == called


@pytest.mark.parametrize(
    ("table", "environment", "told"),
    [
        ({"url_file": "none"}, {}, "url_file: .*none cannot be read .No such file"),
        ({"url_file": "empty"}, {}, "url_file: .*empty must hold one line"),
        ({"url_env": "ROBOT"}, {}, "url_env: the variable ROBOT is not set"),
        ({"url_env": "ROBOT"}, {"ROBOT": "http://169.254.0.1/x"}, "url_env: must lead to a server of yours"),
        ({"url_env": "ROBOT"}, {"ROBOT": GOOD["feishu"]}, "url_env: must lead to https://qyapi.weixin.qq.com"),
        ({"url_env": "ROBOT"}, {"ROBOT": "not a url"}, r"url_env: must be an http\(s\) URL"),
        (
            {"kind": "webhook", "url": GOOD["webhook"], "secret_env": "S"},
            {"S": "short"},
            "secret_env: a secret .* 16 bytes",
        ),
        ({"kind": "webhook", "url": GOOD["webhook"], "secret_file": "none"}, {}, "secret_file: .*none cannot be read"),
    ],
)
def test_what_a_table_names_wrongly_is_told_in_words(tmp_path, table, environment, told):
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(InputError, match=told) as error:
        target(tmp_path, environment, **{"kind": "wecom"} | table)
    assert "693a91f6" not in str(error.value)
