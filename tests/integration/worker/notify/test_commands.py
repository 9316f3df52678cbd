"""`couponpress notify test`: what each robot answers in words, with its cure and an exit code."""

import json

import pytest
from typer.testing import CliRunner

from couponpress.cli.main import app as command
from couponpress.errors import InputError
from couponpress.language import speaking
from couponpress_worker.cli import register
from tests.builders import MCHID
from tests.robots import ROBOTS, SECRET, running


@pytest.fixture(scope="module", autouse=True)
def _fleet_commands():
    if not any(group.name == "notify" for group in command.registered_groups):
        register(command)


@pytest.fixture
def robots(tmp_path, monkeypatch):
    """A robot of each kind, and a file that names them all."""
    monkeypatch.setenv("COUPONPRESS_MCHID", MCHID)
    monkeypatch.setenv("COUPONPRESS_NOTIFY_FILE", str(tmp_path / "notify.toml"))
    robots, tables, open_servers = {}, [], []
    for kind, make in ROBOTS.items():
        robots[kind] = make(secret=None if kind == "wecom" else SECRET)
        server = running(robots[kind])
        base = server.__enter__()
        open_servers.append(server)
        (tmp_path / f"{kind}.url").write_text(f"{base}{robots[kind].path}\n")
        tables.append(f'[[notify]]\nkind = "{kind}"\nurl_file = "{kind}.url"\nbase_url = "{base}"\n')
        if kind != "wecom":
            monkeypatch.setenv("ROBOT_SECRET", SECRET)
            tables.append('secret_env = "ROBOT_SECRET"\n')
    (tmp_path / "notify.toml").write_text("".join(tables))
    yield robots
    for server in open_servers:
        server.__exit__(None, None, None)


def call(*words):
    return CliRunner().invoke(command, ["notify", "test", *words])


def test_every_target_gets_a_message_and_its_answer_is_shown(robots):
    result = call()
    assert result.exit_code == 0, result.output
    assert [line[:4] for line in result.output.splitlines()] == ["ok  "] * 4
    for kind, robot in robots.items():
        assert len(robot.taken) == 1
        assert "a test message" in robot.texts()[0]
        assert f"{kind} ({kind}, http://127.0.0.1:" in result.output
    assert SECRET not in result.output
    assert "693a91f6" not in result.output


def test_a_target_that_refuses_is_shown_with_the_cure(robots):
    robots["feishu"].secret = "another"
    result = call()
    assert result.exit_code == 1
    (line,) = (one for one in result.output.splitlines() if one.startswith("FAIL"))
    assert line.startswith("FAIL feishu (feishu, http://127.0.0.1:")
    assert "code 19021: sign match fail" in line
    assert "     cure: copy the secret of the robot's signature setting" in result.output


def test_one_target_may_be_asked(robots):
    result = call("--target", "dingtalk")
    assert (result.exit_code, len(result.output.splitlines())) == (0, 1)
    assert [len(robot.taken) for robot in robots.values()] == [0, 1, 0, 0]
    with pytest.raises(InputError, match="there is no target 'dingtlk'; did you mean dingtalk"):
        raise call("--target", "dingtlk").exception


def test_programs_get_json_without_secrets(robots):
    robots["wecom"].answers.append((200, {"errcode": 45009, "errmsg": "api freq out of limit"}))
    result = call("--json")
    told = {one["target"]: one for one in json.loads(result.output)}
    assert result.exit_code == 1
    assert {name: one["taken"] for name, one in told.items()} == dict.fromkeys(ROBOTS, True) | {"wecom": False}
    assert told["wecom"]["answer"] == "errcode 45009: api freq out of limit"
    assert "693a91f6" not in result.output


def test_in_chinese_everything_is_chinese(robots, monkeypatch):
    monkeypatch.setenv("COUPONPRESS_LANG", "zh_CN")
    robots["dingtalk"].keyword = "监控报警"
    with speaking("zh_CN"):
        result = call()
    assert "dingtalk" in result.output
    assert "没有接收：errcode 310000: keywords not in content" in result.output
    assert "处理办法：请在机器人的安全设置中添加关键词 couponpress" in result.output
    assert "测试消息" in robots["wecom"].texts()[0]


def test_a_file_may_be_given(robots, tmp_path, monkeypatch):
    monkeypatch.delenv("COUPONPRESS_NOTIFY_FILE")
    assert call("--file", str(tmp_path / "notify.toml")).exit_code == 0
    with pytest.raises(InputError, match="nobody is to be told: name a file"):
        raise call().exception
