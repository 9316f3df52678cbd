"""Makes what a process or a command needs from its settings: clients of Redis and of the platform, and paced slots.

Nothing is opened here: each of them connects when it is first used.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from limits import parse
from redis.asyncio import Redis

from couponpress.keys import Keys
from couponpress.language import gettext
from couponpress.ledger.fleet_holds import FleetHolds
from couponpress_worker.errors import ServiceError
from couponpress_worker.events import Events
from couponpress_worker.rate.adaptive import Pace
from couponpress_worker.rate.bucket import Bucket
from couponpress_worker.rate.slots import Slots
from couponpress_worker.settings import Secrets, Settings, tls_context
from couponpress_worker.store.availability import Acquire
from couponpress_worker.store.client import callback_redis, fleet_redis, limiter_redis
from couponpress_worker.wechatpay.client import PARTNER, Account, WeChatPay
from couponpress_worker.wechatpay.signing import Signer, Verifier


def redis_for(settings: Settings) -> Redis:
    """Return the asyncio client of a process."""
    return fleet_redis(settings.redis_address)


def limiter_redis_for(settings: Settings) -> Redis:
    """Return the client that asks for slots: it fails fast and repeats nothing, for a late answer is a lost slot."""
    return limiter_redis(settings.redis_address)


def broker_redis_for(settings: Settings) -> Redis:
    """Return the client that looks into Celery's queues; it fails fast too."""
    return limiter_redis(settings.broker_address)


def callback_redis_for(settings: Settings) -> Redis:
    """Return the client of the callback receiver: it says within the platform's 5 s that Redis is away."""
    return callback_redis(settings.redis_address)


def trial_write(settings: Settings) -> Callable[[], Awaitable[None]]:
    """Return a write that changes nothing, over a new connection each time: all that can refuse a write refuses it."""
    keys = Keys(settings.mchid)

    async def write() -> None:
        async with redis_for(settings) as client:
            reply = client.hdel(keys.holds, "")
            if not isinstance(reply, int):  # redis-py's types leave open whether it must be waited for
                await reply
            await FleetHolds(client, keys).holds()  # nothing may be sent while nobody knows what is held

    return write


def account_of(settings: Settings) -> Account:
    """Return who calls: the partner, or a brand."""
    return Account.of_brand(settings.mchid) if settings.signs_as == "brand" else PARTNER


def signer_for(settings: Settings, keys: Secrets) -> Signer:
    """Return what signs a process's requests."""
    account = account_of(settings)
    return Signer(settings.mchid, keys.serial_no(settings), keys.private_key, account.scheme, account.named)


def platform_for(
    settings: Settings,
    keys: Secrets,
    held: Mapping[str, RSAPublicKey] | None = None,
    signer: Signer | None = None,
) -> WeChatPay:
    """Return the platform's client of a process.

    It verifies with the keys that are `held` at each moment; without them, with those that the settings name. It signs
    by `signer`, which may be renewed; without one, by one of its own.
    """
    account = account_of(settings)
    first, *others = settings.base_urls
    return WeChatPay(
        first,
        signer or signer_for(settings, keys),
        Verifier(keys.public_keys if held is None else held),
        fallback_urls=others,
        account=account,
        proxies=settings.proxy_rule,
        connect_seconds=settings.timings.connect,
        answer_seconds=settings.timings.answer,
        ssl_context=tls_context(settings.ca_file),
    )


def paced(
    settings: Settings,
    client: Redis,
    keys: Keys,
    name: str,
    rate: str,
    patient: Callable[[Acquire], Acquire] | None = None,
) -> tuple[Pace, Slots]:
    """Return the pace and the slots of one of the partner's limits, over a client that fails fast.

    Args:
        settings: tell the lateness budget.
        client: asks for the slots.
        keys: of the partner.
        name: of the limit: submit, query or upload.
        rate: as the settings give it, such as `500/second`.
        patient: makes the asking wait while Redis is away; without it the slots themselves say so.
    """
    lateness_seconds = settings.lateness_ms / 1000
    pace = Pace(client, Bucket(keys.bucket(name), parse(rate), lateness_seconds), keys.pace(name))
    acquire = pace.acquire if patient is None else patient(pace.acquire)
    return pace, Slots(acquire, lateness_seconds=lateness_seconds, pace=pace, urgent_share=settings.urgent_share)


def traces_of(settings: Settings, role: str, events: Events) -> Callable[[], None]:
    """Send traces of this process, where they are wanted; returns what sends the last of them and ends it.

    Raises:
        ServiceError: OpenTelemetry is not installed.
    """
    if not settings.traced:
        return lambda: None
    try:
        from couponpress_worker.runtime.traces import begin_traces  # noqa: PLC0415 - its packages are of an extra
    except ModuleNotFoundError as error:
        raise ServiceError(
            gettext("traces need the package %(name)s; install it with: pip install 'couponpress[otel]'")
            % {"name": error.name}
        ) from None
    return begin_traces(role, settings.mchid, events)
