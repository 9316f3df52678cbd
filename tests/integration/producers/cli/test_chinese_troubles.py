"""What keeps commands and services from starting is told in Chinese, with its cure."""

import os
import re
import socket
import sys

import pytest
import redis

from tests import processes
from tests.builders import fleet_values
from tests.english import NAMES

SENTENCE = re.compile(r"[A-Za-z]{2,} [A-Za-z]{2,}")
#: Words of Redis, OpenSSL and the TOML reader, which are shown as they say them; directives, and names of options.
OF_OTHERS = re.compile(
    r"（[ -~，]+）|不是 TOML：[ -~，]+|appendonly (?:yes|no)|maxmemory-policy \w+|ACL SETUSER [a-zA-Z]+|"
    r"pip install|openssl rand -hex|[{]name[}]|'[a-z, ']+'|APIv\d|TOML|PEM|RSA"
)


@pytest.fixture
def told(redis_url, tmp_path):
    """Run a command as somebody with a Chinese machine; returns what it tells."""
    given = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "COUPONPRESS_"))}
    settings = {f"COUPONPRESS_{name.upper()}": str(value) for name, value in fleet_values().items()}
    env = given | settings | {"LANG": "zh_CN.UTF-8", "COUPONPRESS_REDIS_URL": redis_url}

    def run(*words, code=2, **more):
        done = processes.run(
            [sys.executable, "-X", "utf8", "-m", "couponpress", *words],
            capture_output=True,
            cwd=tmp_path,
            env={name: value for name, value in (env | more).items() if value is not None},
            timeout=60,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        text = done.stdout + done.stderr
        assert "Traceback" not in text
        for line in text.splitlines():
            assert not SENTENCE.search(OF_OTHERS.sub("，", NAMES.sub("，", line))), line
        return text

    return run


@pytest.mark.parametrize("service", ["worker", "scheduler", "callback"])
def test_missing_and_wrong_settings(told, service):
    text = told(
        service,
        COUPONPRESS_MCHID=None,
        COUPONPRESS_RATE="fast",
        COUPONPRESS_LATENESS_MS="x",
        COUPONPRESS_BASE_URL="http://platform.example",
        COUPONPRESS_RATEE="1",
        COUPONPRESS_LOG="xml",
        COUPONPRESS_PROXY="socks5://proxy:1",
    )
    for expected in (
        "缺少设置项：COUPONPRESS_MCHID",
        "写法应如",
        "应为整数",
        "应为 https",
        "COUPONPRESS_RATEE",
        "应为“text”或“json”",
    ):
        assert expected in text


@pytest.mark.parametrize("service", ["worker", "scheduler", "callback", "doctor"])
def test_key_files(told, service, tmp_path):
    code = 1 if service == "doctor" else 2
    assert "无法读取 keys/apiclient_key.pem" in told(service, code=code)
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "apiclient_key.pem").write_text("no key")
    assert "不是可用的 PEM 私钥" in told(service, code=code)


@pytest.mark.parametrize(
    "words", [["status"], ["submit", "coupons.xlsx"], ["gateway"], ["doctor"], ["top", "--once"], ["limit"]]
)
def test_a_redis_that_is_away(told, words, tmp_path):
    (tmp_path / "tokens.toml").write_text("")
    if words[0] == "submit":
        told("catalog", "template", code=0)
        words = [*words, "--no-upload"]
    code = 1 if words[0] == "doctor" else 2
    text = told(
        *words,
        code=code,
        COUPONPRESS_REDIS_URL="redis://127.0.0.1:1/0",
        COUPONPRESS_GATEWAY_TOKENS_FILE=str(tmp_path / "tokens.toml"),
    )
    assert "COUPONPRESS_REDIS_URL" in text


def test_a_redis_that_refuses(told, redis_url):
    with redis.Redis.from_url(redis_url) as client:
        client.acl_setuser("reader", enabled=True, passwords=["+secret"], commands=["+ping", "+info"], keys=["*"])
        try:
            host = redis_url.removeprefix("redis://")
            assert "处理" in told("status", COUPONPRESS_REDIS_URL=f"redis://reader:secret@{host}")
            assert "处理" in told("status", COUPONPRESS_REDIS_URL=f"redis://reader:wrong@{host}")
        finally:
            client.acl_deluser("reader")


@pytest.mark.parametrize("service", ["gateway", "metrics", "sandbox"])
def test_a_port_that_is_taken(told, service, tmp_path):
    (tmp_path / "tokens.toml").write_text("")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        text = told(service, "--port", port, COUPONPRESS_GATEWAY_TOKENS_FILE=str(tmp_path / "tokens.toml"))
    assert "地址已被占用" in text
    assert port in text


def test_the_gateway_and_its_tokens(told, tmp_path):
    tokens = {"COUPONPRESS_GATEWAY_TOKENS_FILE": str(tmp_path / "tokens.toml")}
    assert "缺少设置" in told("gateway")
    assert "请说明令牌可用于哪些品牌" in told("gateway", "token", "shop", **tokens)
    assert "令牌本身只在此显示一次" in told("gateway", "token", "shop", "--all-brands", code=0, **tokens)
    assert "已有名为 shop 的令牌" in told("gateway", "token", "shop", "--all-brands", **tokens)
    assert "权限应为" in told("gateway", "token", "boss", "--all-brands", "--role", "boss", **tokens)
    (tmp_path / "tokens.toml").write_text("[tokens.a]\nsha256 = 1\nbrands = []\n")
    assert "令牌文件不符合规则" in told("gateway", **tokens)
    (tmp_path / "tokens.toml").write_text("[tokens")
    assert "令牌文件不是 TOML" in told("gateway", **tokens)


def test_schedules(told, tmp_path):
    path = tmp_path / "schedules.toml"
    file = {"COUPONPRESS_SCHEDULE_FILE": str(path)}
    assert "没有定时任务文件" in told("schedule", "list")
    unreadable = f"无法读取 {path}（没有这个文件或文件夹）；它由 COUPONPRESS_SCHEDULE_FILE 指定。"
    assert unreadable in told("schedule", "list", **file)
    path.write_text('[schedule.shop]\ncron = "x"\ntime_zone = "Asia/Shangai"\nsource = 5\nlan = "bulk"\n[other]\n')
    text = told("schedule", "list", **file)
    for expected in ("应有五个：分 时 日 月 星期", "不是时区", "不是定时任务的键", "不属于定时任务文件"):
        assert expected in text
    told("catalog", "template", "-o", "coupons.csv", code=0)
    path.write_text('[schedule.shop]\ncron = "30 2 * * *"\ntime_zone = "Asia/Shanghai"\nsource = "coupons.csv"\n')
    assert "下次：" in told("schedule", "list", code=0, **file)
    assert "shop" in told("schedule", "next", code=0, **file)
    assert "中没有定时任务" in told("schedule", "next", "shpo", **file)
    told("schedule", "run", "shop", "--dry-run", code=0, **file)
    told("schedule", "skip", "shop", code=0, **file)
    assert "最近：" in told("schedule", "list", code=0, **file)


def test_health(told):
    assert "本机没有运行该服务商的 worker 或调度器" in told("health", code=1)
