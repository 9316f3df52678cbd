"""couponpress: hundreds of thousands of product-coupon pictures, at just under the platform's limit.

    from couponpress import Client

    with Client() as client:                                 # COUPONPRESS_REDIS_URL, COUPONPRESS_MCHID
        client.enqueue_many(request_bodies, run="autumn")    # stored, all or none
        print(client.run("autumn").succeeded)
        for outcome in client.outcomes("autumn"):
            print(outcome.row_id, outcome.outcome, outcome.image_url or outcome.message)

`AsyncClient` has the same verbs for asyncio; docs/python.md shows both at work.
A spec that `enqueue` has confirmed ends in exactly one outcome: succeeded, failed, rejected, expired or cancelled.
This package is all that a producer needs; it loads no HTTP client and no cryptography.
"""

from couponpress.asyncio_client import AsyncClient
from couponpress.client import Client, Receipt
from couponpress.errors import (
    CatalogError,
    ConflictError,
    CouponpressError,
    InputError,
    Problem,
    RedisFullError,
    RedisRestartedError,
    RedisUnavailableError,
    SettingsError,
    SpecError,
    UnknownRunError,
)
from couponpress.outcome import Outcome, RunStatus, State
from couponpress.settings import ProducerSettings
from couponpress.spec import CombineImage, CutOut, DiscountCoupon, ExchangeCoupon, NormalCoupon, TaskSpec

__all__ = [
    "AsyncClient",
    "CatalogError",
    "Client",
    "CombineImage",
    "ConflictError",
    "CouponpressError",
    "CutOut",
    "DiscountCoupon",
    "ExchangeCoupon",
    "InputError",
    "NormalCoupon",
    "Outcome",
    "Problem",
    "ProducerSettings",
    "Receipt",
    "RedisFullError",
    "RedisRestartedError",
    "RedisUnavailableError",
    "RunStatus",
    "SettingsError",
    "SpecError",
    "State",
    "TaskSpec",
    "UnknownRunError",
]
