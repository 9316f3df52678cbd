"""Everything that can go wrong on the way: the real client against the sandbox's faults, judged, and sent again."""

import asyncio
import json

import pytest

from couponpress.setting_names import ENV_PREFIX
from couponpress_worker.runtime.redis_server import free_port
from couponpress_worker.settings import Secrets, Settings
from couponpress_worker.wechatpay.client import WeChatPay
from couponpress_worker.wechatpay.judgement import Accepted, Completed, Processing, Retry, judge, judge_query
from couponpress_worker.wechatpay.signing import Signer, Verifier
from tests.builders import cut_out_body
from tests.sandboxes import running

ANSWER_SECONDS = 0.5

#: The fault, the codes it is known by, and whether the platform has the task: certainly, certainly not, or who knows.
FAULTS = [
    ({"resets_before": 100}, {"NO_ANSWER", "NOT_SENT"}, False),
    ({"resets_after": 100}, {"NO_ANSWER"}, True),
    ({"silence": 100}, {"NO_ANSWER"}, True),
    ({"slow": 100, "slow_ms": 1500}, {"NO_ANSWER"}, True),
    ({"unsigned_answers": 100}, {"UNTRUSTED_ANSWER"}, True),
    ({"probe_answers": 100}, {"UNTRUSTED_ANSWER"}, True),
    ({"html": 100}, {"HTTP_502"}, False),
    ({"errors": 100}, {"SYSTEM_ERROR", "SERVICE_UNAVAILABLE", "HTTP_500", "HTTP_503", "HTTP_504"}, None),
]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    with running(tmp_path_factory.mktemp("sandbox"), query_limit=0, picture_seconds=0.0) as sandbox:
        yield sandbox


def settings_of(sandbox):
    return Settings.load({name.removeprefix(ENV_PREFIX).lower(): v for name, v in sandbox.environment.items()})


def with_platform(sandbox, act, **changes):
    """Run `await act(platform)`."""
    settings = settings_of(sandbox)
    keys = Secrets.read(settings)

    async def run():
        platform = WeChatPay(
            changes.get("base_url", settings.base_url),
            Signer(settings.mchid, settings.mch_serial_no, keys.private_key),
            Verifier(keys.public_keys),
            answer_seconds=ANSWER_SECONDS,
        )
        try:
            return await act(platform)
        finally:
            await platform.aclose()

    return asyncio.run(run())


@pytest.mark.parametrize(("faults", "codes", "taken"), FAULTS, ids=[next(iter(one[0])) for one in FAULTS])
def test_what_ends_open_is_sent_again_as_the_same_bytes_and_stays_one_task(sandbox, faults, codes, taken):
    sandbox.reset()
    body = json.dumps(cut_out_body(1)).encode()

    async def act(platform):
        sandbox.control(faults=faults)
        first = judge(await platform.submit(platform.sign_submit(body)))
        before = sandbox.statistics()
        sandbox.control(faults=dict.fromkeys(faults, 0) | ({"slow_ms": 3000} if "slow_ms" in faults else {}))
        again = judge(await platform.submit(platform.sign_submit(body)))
        task = cut_out_body(1)
        query = await platform.query(task["task_id"], task["brand_id"], task["image_generation_type"])
        return first, before, again, judge_query(query)

    first, before, again, found = with_platform(sandbox, act)
    after = sandbox.statistics()
    assert isinstance(first, Retry)
    assert first.code in codes
    assert taken is None or before["accepted"] == taken
    assert isinstance(again, Accepted)
    assert isinstance(found, Completed | Processing)
    assert (after["accepted"], after["doubled"], after["replayed"]) == (1, before["accepted"], 0)


def test_a_platform_that_nobody_listens_for_has_surely_not_taken_anything(sandbox):
    async def act(platform):
        return judge(await platform.submit(platform.sign_submit(b"{}")))

    judgement = with_platform(sandbox, act, base_url=f"http://127.0.0.1:{free_port()}")
    assert isinstance(judgement, Retry)
    assert judgement.code == "NOT_SENT"
