"""The doctor on a real server and a real platform: what is good, what is not, and that every failure has its cure."""

import asyncio
import json
import threading
import time
from contextlib import contextmanager

import pytest
import redis
import uvicorn
from typer import Typer
from typer.testing import CliRunner

from couponpress import Client, ProducerSettings
from couponpress.keys import Keys
from couponpress.ledger.notices import NoticeLedger
from couponpress.ledger.rate import PacingLedger
from couponpress.partners import OWN, SHAREABLE
from couponpress.redis_rights import PLACEHOLDER, rules
from couponpress.transport.announcer import announce_start
from couponpress.transport.redis_address import RedisAddress
from couponpress_worker.cli import register
from couponpress_worker.completion.callback import CALLBACK_PATH, CallbackReceiver
from couponpress_worker.completion.callback_asgi import CallbackService
from couponpress_worker.doctor import examine, live
from couponpress_worker.runtime.factories import callback_redis_for
from couponpress_worker.runtime.redis_server import free_port
from couponpress_worker.sandbox.credentials import MCHID as SANDBOX_MCHID
from couponpress_worker.settings import Secrets, Settings
from couponpress_worker.wechatpay.signing import Verifier
from tests.builders import completer_over, spec
from tests.connect_proxy import ConnectProxy
from tests.robots import WeCom
from tests.robots import running as running_robot
from tests.sandboxes import running
from tests.waiting import until

CALLBACK_URL = "http://127.0.0.1:9/wechatpay/callback"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    with running(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture
def env(sandbox, redis_url, monkeypatch):
    """A set-up in which all is well."""
    sandbox.reset()
    sandbox.control(notify_url=CALLBACK_URL, certificates=0)
    # A Redis on a busy machine may answer too late for the usual lateness.
    own = {"COUPONPRESS_REDIS_URL": redis_url, "COUPONPRESS_LATENESS_MS": "200"}
    for name, value in {**sandbox.environment, **own}.items():
        monkeypatch.setenv(name, value)
    with redis.Redis.from_url(redis_url) as client:
        client.config_set("hash-max-listpack-entries", 512)
        yield lambda **changes: [monkeypatch.setenv(f"COUPONPRESS_{n.upper()}", str(v)) for n, v in changes.items()]


def found(**options):
    """Every finding by its name; a failure without a cure is no finding."""
    told = {finding.name: finding for finding in examine(**options)}
    assert all(finding.good or finding.cure for finding in told.values())
    return told


def bad(told):
    return {name for name, finding in told.items() if not finding.good}


def test_a_good_set_up_is_found_good(env, client):
    told = found()
    assert bad(told) == set(), told
    assert {"settings", "keys", "redis", "redis kind", "redis features", "redis persistence"} <= told.keys()
    assert {"redis eviction", "redis memory", "redis compactness", "submit limit", "query limit"} <= told.keys()
    assert {"signature", "clock", "platform key", "callback url", "platform certificates"} <= told.keys()
    assert told["callback url"].seen == CALLBACK_URL
    assert "416.4 a second" in told["submit limit"].seen
    assert "none listed" in told["platform certificates"].seen


def test_the_way_out_is_told_and_proven(env, monkeypatch):
    assert "is called directly: no proxy is set" in found()["proxy"].seen
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert "is this machine; only COUPONPRESS_PROXY" in found()["proxy"].seen
    with ConnectProxy(login="me:swordfish") as proxy:
        env(proxy=proxy.url)
        told = found()
        assert f"through http://***@127.0.0.1:{proxy.port} (COUPONPRESS_PROXY)" in told["proxy"].seen
        assert told["proxy"].good
        assert proxy.asked[0].startswith("CONNECT 127.0.0.1:")
        env(proxy=proxy.url.replace("swordfish", "wrong"))
        told = found()
        assert "wants another user name or password" in told["proxy"].seen
        assert not told["proxy"].good
    assert "wrong" not in told["proxy"].seen


def test_who_is_told_of_what_happens_is_checked_and_nothing_is_sent(env, tmp_path, monkeypatch):
    assert "notify" not in found()
    path, robot = tmp_path / "notify.toml", WeCom()
    path.write_text('[[notify]]\nkind = "wecom"\nurl_env = "ROBOT"\nevents = ["hold.begun"]\n')
    env(notify_file=path)
    told = found()
    assert "url_env: the variable ROBOT is not set" in told["notify"].seen
    assert bad(told) == {"notify"}
    monkeypatch.setenv("ROBOT", "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=693a91f6")
    told = found()
    assert told["notify"].good
    assert "wecom (wecom, https://qyapi.weixin.qq.com/cgi-bin/webhook/send?***): hold.begun" in told["notify"].seen
    assert "693a91f6" not in told["notify"].seen
    with running_robot(robot) as base:
        path.write_text(f'[[notify]]\nkind = "wecom"\nurl_env = "ROBOT"\nbase_url = "{base}"\n')
        assert found()["notify"].good
    assert robot.received == 0


def test_missing_settings_end_the_examination(monkeypatch):
    assert bad(found()) == {"settings"}


def test_a_key_file_that_is_missing_is_told_and_redis_is_looked_at_nevertheless(env, tmp_path):
    env(apiv3_key_file=tmp_path / "none")
    told = found()
    assert bad(told) == {"keys"}
    assert "redis features" in told
    assert "signature" not in told


def test_a_redis_that_is_not_there_is_told_and_the_platform_is_asked_nevertheless(env):
    env(redis_url=f"redis://:secret@127.0.0.1:{free_port()}/0")
    told = found()
    assert bad(told) == {"redis"}
    assert "secret" not in str(told)
    assert told["signature"].good


@pytest.mark.parametrize(
    ("setting", "value", "good", "name"),
    [
        ("maxmemory-policy", "allkeys-lru", "noeviction", "redis eviction"),
        ("appendonly", "no", "yes", "redis persistence"),
        ("hash-max-listpack-entries", "128", "512", "redis compactness"),
        ("maxmemory", "3000000", "0", "redis memory"),
    ],
)
def test_a_server_that_may_lose_something_is_told(env, redis_url, setting, value, good, name):
    with redis.Redis.from_url(redis_url) as client:
        client.set("ballast", "x" * 3_000_000 if setting == "maxmemory" else "")
        client.config_set(setting, value)
        try:
            told = found()
        finally:
            client.config_set(setting, good)
            client.delete("ballast")
    assert name in bad(told)


def test_a_replica_is_told(env, redis_url):
    with redis.Redis.from_url(redis_url) as client:
        client.replicaof("127.0.0.1", free_port())
        try:
            told = found()
        finally:
            client.replicaof("NO", "ONE")
    assert {"redis kind", "redis features"} <= bad(told)


def test_a_rate_that_a_worker_has_otherwise_is_told(env, client):
    client.hset(Keys(SANDBOX_MCHID).pace("submit"), "configured", "300/second")
    told = found()
    assert bad(told) == {"submit limit"}
    assert "300/second by a worker" in told["submit limit"].seen


def test_a_rate_that_was_found_lower_is_told_and_one_set_by_hand_is_shown(env, client):
    pace = {"configured": "500/second", "limit": 10, "since": 1, "hold": int((time.time() + 60) * 1e6)}
    client.hset(Keys(SANDBOX_MCHID).pace("submit"), mapping=pace)
    PacingLedger(client, Keys(SANDBOX_MCHID), "query").set_rate("5/second")
    told = found()
    assert bad(told) == {"submit limit"}
    assert "10/second in force" in told["submit limit"].seen
    assert "5/second set by hand: at most 4.1" in told["query limit"].seen


@pytest.mark.parametrize(("limit", "held"), [(484, 60), (10, -60)])
def test_a_rate_that_lateness_explains_or_that_is_held_no_more_is_a_note(env, client, limit, held):
    pace = {"configured": "500/second", "limit": limit, "since": 1, "hold": int((time.time() + held) * 1e6)}
    client.hset(Keys(SANDBOX_MCHID).pace("submit"), mapping=pace)
    told = found()
    assert bad(told) == set()
    assert f"after 429 {limit}/second in force, which rises by itself" in told["submit limit"].seen


def test_services_that_do_not_run_are_named_with_the_command_that_starts_them(env, client, redis_url):
    told = found()
    assert bad(told) == set()
    assert told["services"].seen.startswith("none running; no worker: `couponpress worker` starts one; no callback rec")
    keys = Keys(SANDBOX_MCHID)
    announce_start(RedisAddress.parse(redis_url), keys, "worker")
    assert found()["services"].seen == "1 worker running; no callback receiver: `couponpress callback` starts one"


def test_a_service_that_open_runs_wait_for_is_a_failure(env, client, redis_url):
    with Client(ProducerSettings.load()) as producer:
        producer.enqueue(spec(0), run="may")
    failed = [finding for finding in examine() if not finding.good]
    assert {finding.name for finding in failed} == {"open runs"}
    assert failed[0].seen == "no worker runs, so nothing is submitted"
    assert failed[0].cure == "start one with `couponpress worker`"
    announce_start(RedisAddress.parse(redis_url), Keys(SANDBOX_MCHID), "worker")
    assert bad(found()) == set()


def test_a_callback_url_with_another_path_is_told(env, sandbox):
    sandbox.control(notify_url="https://shop.example/wechat/callback")
    told = found()
    assert bad(told) == {"callback url"}
    assert "`couponpress callback` takes /wechatpay/callback only" in told["callback url"].seen


@pytest.mark.parametrize(
    ("setting", "value", "name", "named"),
    [
        ("mch_serial_no", "ABCDEF", "serial", "COUPONPRESS_MCH_SERIAL_NO"),
        ("mchid", "1900000999", "partner", "COUPONPRESS_MCHID"),
    ],
)
def test_a_wrong_name_is_blamed_by_itself(env, setting, value, name, named):
    env(**{setting: value})
    told = found()
    assert bad(told) == {name}
    assert named in told[name].cure
    assert "platform key" not in told


def test_a_private_key_of_another_certificate_is_blamed(env, sandbox, tmp_path):
    with running(tmp_path / "another") as another:
        env(mch_private_key_file=another.environment["COUPONPRESS_MCH_PRIVATE_KEY_FILE"])
    told = found()
    assert bad(told) == {"signature"}
    assert "COUPONPRESS_MCH_PRIVATE_KEY_FILE" in told["signature"].cure


def test_a_wrong_key_of_the_platform_is_blamed(env, tmp_path):
    with running(tmp_path / "another") as another:
        env(wechatpay_public_key_file=another.environment["COUPONPRESS_WECHATPAY_PUBLIC_KEY_FILE"])
    told = found()
    assert "platform key" in bad(told)
    assert "does not hold" in told["platform key"].seen


def test_a_platform_that_is_not_there_is_told(env):
    env(base_url=f"http://127.0.0.1:{free_port()}")
    assert bad(found()) == {"platform"}


def test_without_a_callback_url_the_cure_is_the_command_that_sets_one(env, sandbox):
    sandbox.control(notify_url=None)
    told = found()
    assert bad(told) == {"callback url"}
    assert "couponpress callback-url --set" in told["callback url"].cure


def test_listed_certificates_prove_the_apiv3_key(env, sandbox, tmp_path):
    sandbox.control(certificates=1)
    assert "1 listed" in found()["platform certificates"].seen
    (tmp_path / "apiv3").write_text("9" * 32)
    env(apiv3_key_file=tmp_path / "apiv3")
    told = found()
    assert bad(told) == {"platform certificates"}
    assert "APIv3 key" in told["platform certificates"].seen


# --- live -------------------------------------------------------------------------------------------------------------


@contextmanager
def receiver(settings, apiv3_key=None):
    """A receiver on a port of its own, as `couponpress callback` wires it."""
    keys = Secrets.read(settings)
    port = free_port()
    started = threading.Event()

    async def serve(server):
        client = callback_redis_for(settings)
        notices = NoticeLedger(client, Keys(settings.mchid))
        one = CallbackReceiver(
            verifier=Verifier(keys.public_keys),
            apiv3_key=apiv3_key or keys.apiv3_key,
            completer=completer_over(client, Keys(settings.mchid)),
            count=lambda kind: notices.count([kind]),
            note_echo=notices.note_echo,
        )
        server.config.app = CallbackService({CALLBACK_PATH: one.receive})
        serving = asyncio.create_task(server.serve())
        await until(lambda: server.started)
        started.set()
        await serving
        await client.aclose()

    server = uvicorn.Server(uvicorn.Config(None, port=port, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=lambda: asyncio.run(serve(server)))
    thread.start()
    assert started.wait(20)
    try:
        yield f"http://127.0.0.1:{port}/wechatpay/callback"
    finally:
        server.should_exit = True
        thread.join()


def test_the_test_call_goes_there_and_back(env, client):
    with receiver(Settings.load()) as url:
        told = found(live=True, callback_url=url)
    assert bad(told) == set(), told
    assert told["test call"].seen == "both signatures hold"
    assert url in told["way back"].seen


def test_a_way_back_that_is_closed_is_told(env, client, monkeypatch):
    monkeypatch.setattr(live, "PATIENCE_SECONDS", 0.5)
    told = found(live=True)
    assert bad(told) == {"way back"}
    assert CALLBACK_URL in told["way back"].seen


def test_a_receiver_with_another_apiv3_key_is_told(env, client, monkeypatch):
    monkeypatch.setattr(live, "PATIENCE_SECONDS", 1)
    with receiver(Settings.load(), b"9" * 32) as url:
        assert bad(found(live=True, callback_url=url)) == {"way back"}


def test_without_an_address_or_redis_the_test_call_is_not_made(env, sandbox):
    sandbox.control(notify_url=None)
    assert "not tried" in found(live=True)["test call"].seen
    env(redis_url=f"redis://127.0.0.1:{free_port()}/0")
    assert "mend Redis" in found(live=True, callback_url=CALLBACK_URL)["test call"].cure
    assert sandbox.statistics()["calls"]["echo"]["received"] == 0


def test_an_address_that_the_platform_does_not_take_is_told(env):
    told = found(live=True, callback_url="https://shop.example/x?y=1")
    assert bad(told) == {"test call"}
    assert "PARAM_ERROR" in told["test call"].seen


# --- the commands -----------------------------------------------------------------------------------------------------


@pytest.fixture
def command(env, monkeypatch, capsys):
    """Run a command of the fleet in this process; returns exit code and what it said."""

    def run(*words, **options):
        app = Typer()
        register(app)
        ran = CliRunner().invoke(app, words, **options)
        return ran.exit_code, ran.output

    return run


def test_the_doctor_says_what_it_found(command, sandbox):
    code, told = command("doctor")
    assert code == 0
    assert "ok   callback url: " + CALLBACK_URL in told
    sandbox.control(notify_url=None)
    code, told = command("doctor")
    assert code == 1
    assert "FAIL callback url: none is set\n     cure: no callback will come" in told


def test_the_doctor_speaks_json(command):
    code, told = command("doctor", "--json")
    assert code == 0
    assert {"name", "good", "seen", "cure"} == set(json.loads(told)[0])


def test_the_callback_url_is_shown(command, sandbox):
    assert command("callback-url") == (0, CALLBACK_URL + "\n")
    sandbox.control(notify_url=None)
    assert command("callback-url") == (0, "none is set\n")


NEW_URL = "https://shop.example/wechatpay/callback"


def set_at(sandbox):
    return sandbox.control()["notify_url"], sandbox.statistics()["calls"]["notify_set"]["received"]


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_the_callback_url_is_not_set_unless_a_person_says_so(command, sandbox, answer):
    code, told = command("callback-url", "--set", NEW_URL, input=answer)
    assert code == 1
    assert SANDBOX_MCHID in told
    assert "all of its brands" in told
    assert CALLBACK_URL in told
    assert set_at(sandbox) == (CALLBACK_URL, 0)


@pytest.mark.parametrize(("words", "answer"), [([], "y\n"), (["--yes"], "")])
def test_the_callback_url_is_set_when_a_person_or_a_script_says_so(command, sandbox, words, answer):
    code, told = command("callback-url", "--set", NEW_URL, *words, input=answer)
    assert code == 0
    assert told.endswith(NEW_URL + "\n")
    assert "all of its brands" in told
    assert set_at(sandbox) == (NEW_URL, 1)


def test_what_is_set_already_is_not_set_again(command, sandbox):
    code, told = command("callback-url", "--set", CALLBACK_URL)
    assert (code, "set already" in told) == (0, True)
    assert set_at(sandbox) == (CALLBACK_URL, 0)


def test_what_a_server_can_do_is_tried_and_leaves_nothing(env, redis_url):
    with redis.Redis.from_url(redis_url) as client:
        told = found()
        client.delete(Keys(SANDBOX_MCHID).doctor)
        names = list(client.scan_iter())
    assert not bad(told) & {"redis features", "redis rights", "redis clock", "redis connection"}
    assert told["redis features"].seen == "scripts, blocking reads, streams and channels work"
    assert names == []


def test_rights_that_a_user_lacks_are_told_with_the_line_that_grants_them(env, redis_url):
    keys = Keys(SANDBOX_MCHID)
    with redis.Redis.from_url(redis_url) as client:
        lacking = {"+subscribe", f"~{keys.holds}"}
        client.execute_command(
            "ACL",
            "SETUSER",
            "few",
            "reset",
            "on",
            ">secret",
            *[one for one in rules(keys, "worker") if one not in lacking],
        )
        env(redis_url=redis_url.replace("//", "//few:secret@"))
        told = found()["redis rights"]
        client.acl_deluser("few")
    assert not told.good
    assert told.cure == f"ACL SETUSER few +subscribe ~{keys.holds}"


def test_the_password_of_the_delivered_file_is_told(env, redis_url):
    with redis.Redis.from_url(redis_url) as client:
        client.execute_command("ACL", "SETUSER", "new", "reset", "on", f">{PLACEHOLDER}-worker", "~*", "&*", "+@all")
        env(redis_url=redis_url.replace("//", f"//new:{PLACEHOLDER}-worker@"))
        assert "redis connection" in bad(found())
        client.acl_deluser("new")


def test_a_broker_of_its_own_is_checked(env, redis_url):
    env(broker_url=redis_url)
    assert "broker" not in bad(found())
    env(broker_url=f"redis://127.0.0.1:{free_port()}/0")
    assert "broker" in bad(found())


# --- several partners -------------------------------------------------------------------------------------------------


def test_every_partner_of_the_file_is_examined(env, sandbox, redis_url, tmp_path, monkeypatch):
    """What is wrong with one is told as that one's; the checks of the other go on."""
    own = {name.removeprefix("COUPONPRESS_").lower(): value for name, value in sandbox.environment.items()}
    for name in sandbox.environment:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COUPONPRESS_PARTNERS", str(tmp_path / "partners.toml"))
    of_good = {name: value for name, value in own.items() if name in OWN | SHAREABLE} | {"redis_url": redis_url}
    of_bad = of_good | {"apiv3_key_file": str(tmp_path / "none"), "mch_private_key_file": str(tmp_path / "nor")}
    tables = []
    for mchid, values in ((SANDBOX_MCHID, of_good), ("1900000110", of_bad)):
        tables += ["[[partner]]", f'id = "{mchid}"', *(f'{name} = "{value}"' for name, value in values.items())]
    (tmp_path / "partners.toml").write_text("\n".join(tables))
    sandbox.control(notify_url=f"{CALLBACK_URL}/{SANDBOX_MCHID}")
    told = list(examine())
    assert {one.name for one in told if one.partner == SANDBOX_MCHID and not one.good} == set()
    assert {one.name for one in told if one.partner == "1900000110" and not one.good} == {"keys"}
    shown = next(one.shown for one in told if one.name == "keys" and not one.good)
    assert shown.startswith("FAIL 1900000110 keys: ")
    assert str(tmp_path / "nor") in shown
    sandbox.control(notify_url=CALLBACK_URL)
    told = {one.name: one for one in examine() if one.partner == SANDBOX_MCHID}
    assert f"`couponpress callback` takes /wechatpay/callback/{SANDBOX_MCHID} only" in told["callback url"].seen
    monkeypatch.setenv("COUPONPRESS_MCHID", SANDBOX_MCHID)
    assert {one.partner for one in examine()} == {""}
