"""couponpress: hundreds of thousands of product-coupon pictures, at just under the platform's limit.

    from couponpress import Client

    with Client() as client:                                 # COUPONPRESS_REDIS_URL, COUPONPRESS_MCHID
        client.enqueue_many(request_bodies, run="autumn")    # stored, all or none
        print(client.run("autumn").succeeded)
        for outcome in client.outcomes("autumn"):
            print(outcome.row_id, outcome.outcome, outcome.image_url or outcome.message)

`AsyncClient` has the same verbs for asyncio; docs/python.md shows both at work.
A spec that `enqueue` has confirmed ends in exactly one outcome: succeeded, failed, rejected, expired or cancelled.
This package is all that a producer needs; it loads no HTTP client and no cryptography. Its rooms and modules, in the
order in which a spec meets them:

    spec              what a producer asks for: the contract, and the exact bytes of a request
    compiled_spec     the contract as structs, which check a plain request quickly
    broken_rules      says in words which rules of a request are broken
    serialized_spec   a spec as it is stored
    outcome           how a spec stands and how it can end
    settings          where Redis is, whose fleet it is; read from the environment once
    partners          reads the file of an operator who serves several partners
    partners_watch    begins and ends the partners of a service as their file changes
    watched_files     tells when files changed
    stopping          lets a loop rest, and end at once when its service is stopped
    partner_option    the option `--partner` of every command that has to do with a partner
    setting_names     refuses COUPONPRESS_ variables that are misspelled, before any is read
    language          English or Chinese, and how a message is said in it
    errors            what can go wrong, as one tree
    client            enqueue, follow, pause, cancel, redrive
    asyncio_client    the same for asyncio

    catalog           CSV, JSONL and workbooks become specs; broken rows go to an error file
    picture_files     the merchant's own pictures: which files and URLs are pictures
    uploads           catalogs and their pictures on the way into the ledger
    nightly           schedules: what is submitted by itself, and only what changed
    notify            whom the fleet tells of what happens
    gateway           HTTP for other apps
    metrics           the fleet's figures for Prometheus
    cli               the `couponpress` command

    overview          the whole fleet at one moment, for pages, terminals and metrics
    ledger            the one data model in Redis
    redis_rights      what each service may do in Redis (pure)
    keys              every name in Redis
    transport         how Redis and Celery are reached, how services listen
    stored_sentences  says stored sentences, such as why something is held, in the reader's language
    suggestion        which known word a mistyped one may have meant (pure)
    toml_files        reads the TOML files that settings name
    sentence_patterns  translates sentences that were put together in English
    pydantic_sentences  says which rule pydantic found broken
    library_sentences  what Redis, the network, the system and files answer, in the reader's language
    spec_sentences    where a spec is and what happened to it, in words
    time_zone         tells in which time zone moments are shown
    results           outcomes as CSV or JSON lines
    plurals           counts with their nouns: `1 row`, `2 rows`
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    from couponpress.ledger.attribution import Actor
    from couponpress.ledger.selection import Selection
    from couponpress.ledger.shares import Share
    from couponpress.outcome import Outcome, RunStatus, State
    from couponpress.settings import ProducerSettings
    from couponpress.spec import CombineImage, CutOut, DiscountCoupon, ExchangeCoupon, NormalCoupon, TaskSpec

__all__ = [
    "Actor",
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
    "Selection",
    "SettingsError",
    "Share",
    "SpecError",
    "State",
    "TaskSpec",
    "UnknownRunError",
]

#: In which module each public name stands. A module is imported when a name of it is first used, because a command
#: such as `couponpress status` needs few of them, and importing all takes most of its time.
_HOMES = {
    "Actor": "ledger.attribution",
    "AsyncClient": "asyncio_client",
    "CatalogError": "errors",
    "Client": "client",
    "CombineImage": "spec",
    "ConflictError": "errors",
    "CouponpressError": "errors",
    "CutOut": "spec",
    "DiscountCoupon": "spec",
    "ExchangeCoupon": "spec",
    "InputError": "errors",
    "NormalCoupon": "spec",
    "Outcome": "outcome",
    "Problem": "errors",
    "ProducerSettings": "settings",
    "Receipt": "client",
    "RedisFullError": "errors",
    "RedisRestartedError": "errors",
    "RedisUnavailableError": "errors",
    "RunStatus": "outcome",
    "Selection": "ledger.selection",
    "SettingsError": "errors",
    "Share": "ledger.shares",
    "SpecError": "errors",
    "State": "outcome",
    "TaskSpec": "spec",
    "UnknownRunError": "errors",
}

if not TYPE_CHECKING:  # type checkers see the imports above

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
