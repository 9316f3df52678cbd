"""What one process has open: clients of Redis and of the platform, and the slots of its limits.

To be made in the event loop in which all of it is used.
"""

from __future__ import annotations

import time

from couponpress.keys import Keys
from couponpress.ledger.working import WorkLedger
from couponpress_worker.events import Answered, Tell
from couponpress_worker.runtime.factories import (
    broker_redis_for,
    limiter_redis_for,
    paced,
    platform_for,
    redis_for,
    signer_for,
    trial_write,
)
from couponpress_worker.safety.send_switch import Halt
from couponpress_worker.settings import Secrets, Settings
from couponpress_worker.store.availability import RedisWatch
from couponpress_worker.store.leases import Leases
from couponpress_worker.store.run_names import RunNames
from couponpress_worker.wechatpay.certificates import PlatformKeys, VerifierOf
from couponpress_worker.wechatpay.judgement import Answer, NoAnswer


class Connections:
    """The connections of one process, until `aclose`.

    Attributes:
        redis: for everything but slots.
        limiter_redis: fails fast.
        broker_redis: of the server that holds Celery's queues; fails fast.
        ledger: the fleet's side of it.
        leases: the same, for chunks in hand.
        run_names: of the runs that it works on.
        watch: whether Redis answers.
        platform_keys: the keys that the platform signs with at each moment.
        platform: verifies with them.
        pace, slots: of the submissions.
        query_pace, query_slots: of the status queries.
    """

    def __init__(self, settings: Settings, secret_keys: Secrets, halt: Halt, tell: Tell) -> None:
        keys = Keys(settings.mchid)
        self._tell = tell
        self.redis = redis_for(settings)
        self.limiter_redis = limiter_redis_for(settings)
        self.broker_redis = broker_redis_for(settings)
        timings = settings.timings
        self.ledger = WorkLedger(
            self.redis,
            keys,
            lease_ms=round(timings.lease * 1000),
            take_up_ms=round(timings.take_up * 1000),
            broker=self.broker_redis,
        )
        self.platform_keys = PlatformKeys(secret_keys.public_keys, secret_keys.apiv3_key, self._certificates)
        self._settings, self._signer = settings, signer_for(settings, secret_keys)
        self.platform = platform_for(settings, secret_keys, self.platform_keys.keys, self._signer)
        self.watch = RedisWatch(trial_write(settings), lambda: halt.stopping, tell)
        self.leases = Leases(self.ledger, self.watch)
        self.run_names = RunNames(self.ledger.queries)
        asking, patient = (settings, self.limiter_redis, keys), self.watch.patient
        self.pace, self.slots = paced(*asking, "submit", settings.rate, patient)
        self.query_pace, self.query_slots = paced(*asking, "query", settings.query_rate, patient)

    async def _certificates(self, verifier_of: VerifierOf) -> Answer | NoAnswer:
        began = time.monotonic()
        answer = await self.platform.certificates(verifier_of)
        self._tell(Answered("certificates", answer, None, time.monotonic() - began))
        return answer

    def renew(self, secret_keys: Secrets) -> None:
        """Sign, verify and open with keys that were read again from now on."""
        self._signer.renew(secret_keys.serial_no(self._settings), secret_keys.private_key)
        self.platform_keys.renew(secret_keys.public_keys, secret_keys.apiv3_key)

    async def hand_out_nothing(self) -> None:
        """Try Redis no more, and hand out no slot; slots in hand may still be used."""
        await self.watch.close()
        for paced_calls in (self.slots, self.query_slots, self.pace, self.query_pace):
            await paced_calls.close()

    async def aclose(self) -> None:
        """Close everything; to be called when nobody uses it any more."""
        await self.platform.aclose()
        await self.limiter_redis.aclose()
        await self.broker_redis.aclose()
        await self.redis.aclose()
