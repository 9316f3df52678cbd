"""What a process has open: what its own calls tell."""

import asyncio

from couponpress_worker.events import Answered
from couponpress_worker.runtime.connections import Connections
from couponpress_worker.safety.send_switch import Halt
from couponpress_worker.settings import Secrets
from tests.builders import APIV3_KEY, PUBLIC_KEY_ID, fleet_settings, rsa_key

NOBODY_LISTENS = "http://127.0.0.1:1"


def test_a_look_for_certificates_is_told_as_any_other_call():
    key, told = rsa_key(), []

    async def look():
        secrets = Secrets(key, {PUBLIC_KEY_ID: key.public_key()}, APIV3_KEY)
        opened = Connections(fleet_settings(base_url=NOBODY_LISTENS), secrets, Halt(), told.append)
        assert not await opened.platform_keys.refresh()
        await opened.hand_out_nothing()
        await opened.aclose()

    asyncio.run(look())
    (answered,) = told
    assert isinstance(answered, Answered)
    assert (answered.kind, answered.error, answered.status, answered.judgement) == ("certificates", "not_sent", 0, None)
    assert 0 < answered.seconds < 60
