"""The token bucket: a strategy for the `limits` package, shared by the fleet through Redis.

Time is that of the Redis server, in integer microseconds; `slots` converts it to a process's own clock.

The bound. A bucket's slots lie at least T apart. A request reaches the far end at its slot's moment or up to J later
(J the lateness budget), so whatever arrives within a closed window W has its slot within W + J, and that span holds
at most floor((W + J) / T) + 1 slots. With a burst of b, slots that nobody took stay usable for (b - 1) * T, which
adds b - 1 to the count. So at most L arrive in any window W when

    T = floor((W + J) / (L - b + 1)) + 1 µs

L = 500, W = 1 s, J = 20 ms, b = 1 give T = 2041 µs: 489.95 slots a second, 98 % of L. One microsecond less and 501
fit in a closed window. The fleet uses b = 1: it asks ahead of time, so a burst would gain it nothing and cost a slot.
When the rate changes, each slot is followed by the gap of its own rate: a window holds at most the largest L in force.

Unknown state (first start, flush, restart, failover, clock set back) counts as full: slots may have been given up to
the furthest horizon ahead and arrive J later, so the next slot lies a whole window after that. The bound does not
cover a Redis clock that is set forward while slots are out, nor two servers that both believe to be the master.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal, cast

from limits import RateLimitItem, WindowStats
from limits.errors import StorageError
from limits.storage import RedisStorage
from limits.strategies import RateLimiter
from redis.asyncio import Redis

#: A grant reaches no further ahead than this: what a dead process reserved is soon over.
HORIZON_US = 100_000
#: Urgent grants reach past everything that bulk ones can have taken.
URGENT_HORIZON_US = 200_000
#: The window in which the platform counts, when its limit is learned. Both scripts get it from here.
WINDOW_US = 1_000_000
#: For how long a little more than a learned limit is tried before the rate climbs. Both scripts get it from here.
PROBE_US = 3_000_000
_SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Bucket:
    """One limit and where its state lies.

    Attributes:
        key: the Redis key, whole.
        item: the limit: at most `item.amount` in any window of `item.get_expiry()` seconds.
        lateness_seconds: J, how late after its slot a request may reach the far end.
        burst: b, how many slots may be used at one moment after a pause; each beyond the first costs one of the limit.
    """

    key: str
    item: RateLimitItem
    lateness_seconds: float
    burst: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.burst <= self.item.amount:
            raise ValueError(f"a burst lies between 1 and the limit's amount, {self.item.amount}; not {self.burst}")
        if self.lateness_seconds < 0:
            raise ValueError(f"a lateness budget is not negative, but {self.lateness_seconds} was given")

    @property
    def full_us(self) -> int:
        """W + J: for how long one request can weigh on a window."""
        return self.item.get_expiry() * _SECOND_US + self.lateness_us

    @property
    def lateness_us(self) -> int:
        """J, whole."""
        return round(self.lateness_seconds * _SECOND_US)

    @property
    def spacing_us(self) -> int:
        """T: the least time between two slots."""
        return self.full_us // (self.item.amount - self.burst + 1) + 1

    @property
    def back_us(self) -> int:
        """How long a slot that nobody took stays usable."""
        return (self.burst - 1) * self.spacing_us

    @property
    def unknown_us(self) -> int:
        """How long nothing is given when it is unknown what was given before."""
        return URGENT_HORIZON_US + self.full_us + 1


@dataclass(frozen=True, slots=True)
class Grant:
    """A block of slots.

    Attributes:
        at_us: Redis's clock when they were given, microseconds since 1970.
        first_us: the first slot's moment, microseconds after `at_us`; negative when a burst reaches back.
        spacing_us: from each slot to the next.
        count: how many.
        server: the run_id of the server that gave them. Another server may not know what this one was told. Empty
            without a pace.
        cut_us: the moment of the pace's latest cut on Redis's clock; 0 when there was none.
    """

    at_us: int
    first_us: int
    spacing_us: int
    count: int
    server: bytes = b""
    cut_us: int = 0

    def offsets_us(self) -> range:
        """Return each slot's moment, microseconds after the grant."""
        return range(self.first_us, self.first_us + self.count * self.spacing_us, self.spacing_us)


@dataclass(frozen=True, slots=True)
class Wait:
    """No slot within reach: ask again in so many seconds.

    Attributes:
        seconds: how long.
        cut_us: as in `Grant`.
    """

    seconds: float
    cut_us: int = 0


@dataclass(frozen=True, slots=True)
class _Ask:
    """One call of the script: its arguments, and how its reply is read."""

    act: Literal["take", "look", "clear"]
    wanted: int
    least: int
    horizon_us: int

    @classmethod
    def ahead(cls, wanted: int, *, urgent: bool) -> _Ask:
        """Take up to `wanted` slots, in the near future too."""
        return cls("take", wanted, 1, URGENT_HORIZON_US if urgent else HORIZON_US)

    def arguments(self, buckets: Sequence[Bucket]) -> list[int | str]:
        if self.wanted < 1 or not buckets:
            raise ValueError("name at least one bucket, and ask for at least one slot")
        per_bucket = (n for bucket in buckets for n in (bucket.spacing_us, bucket.back_us, bucket.unknown_us))
        return [self.act, self.wanted, self.least, self.horizon_us, len(buckets), *per_bucket]

    def answer(self, reply: Sequence[int], server: bytes = b"", cut_us: int = 0) -> Grant | Wait:
        count, now, first, spacing = reply
        if count:
            return Grant(now, first, spacing, count, server, cut_us)
        return Wait((first + (self.least - 1) * spacing - self.horizon_us) / _SECOND_US, cut_us)


class AsyncTokenBucket:
    """The limiter as the fleet uses it, over an asyncio client that fails fast: a repeated call would waste slots."""

    def __init__(self, client: Redis, *buckets: Bucket, pace_key: str | None = None) -> None:
        """Take the buckets, and where the first one's pace lies if its rate can change in mid-run."""
        self._script = client.register_script(_script())
        self._buckets = buckets
        self._keys = [bucket.key for bucket in buckets] + ([pace_key] if pace_key else [])
        self._pace_numbers: list[int | str] = [buckets[0].lateness_us, WINDOW_US, PROBE_US] if pace_key else []

    async def acquire(self, wanted: int, urgent: bool = False) -> Grant | Wait:
        """Take up to `wanted` slots, the last at most 100 ms ahead (200 ms when `urgent`), out of every bucket at once.

        Raises:
            redis.RedisError: Redis did not answer as it should; whatever it gave may not be used.
        """
        ask = _Ask.ahead(wanted, urgent=urgent)
        reply = await self._script(self._keys, ask.arguments(self._buckets) + self._pace_numbers)
        if not self._pace_numbers:
            return ask.answer(reply)
        *reply, cut_us, server = reply
        return ask.answer(reply, server, cut_us)


class TokenBucketRedisStorage(RedisStorage):
    """The Redis storage of `limits`, with the bucket's script.

    Its schemes are those of `limits` with `couponpress+` before them, as in `couponpress+redis://127.0.0.1:6379/0`.
    `reset()` deletes every bucket, after which each counts as full for a window.
    """

    STORAGE_SCHEME = ["couponpress+redis", "couponpress+rediss", "couponpress+redis+unix"]  # noqa: RUF012 - the base's form

    def __init__(self, uri: str, key_prefix: str = "couponpress-limits", **options: Any) -> None:  # noqa: ANN401 - passed on
        super().__init__(uri.removeprefix("couponpress+"), key_prefix=key_prefix, **options)

    def initialize_storage(self, uri: str) -> None:
        """Register the bucket's script beside those of `limits`; nothing is sent yet."""
        super().initialize_storage(uri)
        self._token_bucket = self.get_connection().register_script(_script().encode())

    def token_bucket(self, keys: Sequence[str], arguments: Sequence[int | str]) -> list[int]:
        """Run the bucket's atomic step; see `bucket.lua` for its inputs and its reply."""
        try:
            return cast(list[int], self._token_bucket(keys, arguments))
        except self.base_exceptions as error:
            if self.wrap_exceptions:
                raise StorageError(error) from error
            raise


class TokenBucketRateLimiter(RateLimiter):
    """A strategy for `limits` whose bound holds in every window, at the receiver, on Redis's clock.

    It spaces requests evenly instead of letting a window's amount out at once: `hit` says yes to one request every
    T (see the module), or to `burst` of them after a pause, and the request is to reach the far end within
    `lateness_seconds`. A bucket that was never seen counts as full for a window.

        limiter = TokenBucketRateLimiter(storage_from_string("couponpress+redis://127.0.0.1:6379/0"))
        limiter.hit(parse("500/second"), "partner")
    """

    def __init__(self, storage: TokenBucketRedisStorage, *, lateness_seconds: float = 0.02, burst: int = 1) -> None:
        super().__init__(storage)
        self.storage: TokenBucketRedisStorage = storage
        self._lateness_seconds = lateness_seconds
        self._burst = burst

    def bucket(self, item: RateLimitItem, *identifiers: str) -> Bucket:
        """Return the bucket of a limit and its identifiers, as `acquire` takes it."""
        key = self.storage.prefixed_key(item.key_for(*identifiers))
        return Bucket(key, item, self._lateness_seconds, self._burst)

    def acquire(self, wanted: int, *buckets: Bucket, urgent: bool = False) -> Grant | Wait:
        """Take up to `wanted` slots out of every bucket in one atomic step.

        With several, slots lie as far apart as the slowest asks; what the others could have given between is lost.
        """
        return self._ask(_Ask.ahead(wanted, urgent=urgent), buckets)

    def hit(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        """Take `cost` slots that are usable now, all or none. More than `burst` of them are never usable at once."""
        return isinstance(self._ask(_Ask("take", cost, cost, 0), [self.bucket(item, *identifiers)]), Grant)

    def test(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        """Say whether `hit` would take `cost` slots now; take none."""
        return isinstance(self._ask(_Ask("look", cost, cost, 0), [self.bucket(item, *identifiers)]), Grant)

    def get_window_stats(self, item: RateLimitItem, *identifiers: str) -> WindowStats:
        """Return when the whole burst is there again, seconds since 1970, and how many slots are usable now."""
        bucket = self.bucket(item, *identifiers)
        arguments = _Ask("look", bucket.burst, 1, 0).arguments([bucket])
        count, now, first, _ = self.storage.token_bucket([bucket.key], arguments)
        return WindowStats((now + first + bucket.back_us) / _SECOND_US, count)

    def clear(self, item: RateLimitItem, *identifiers: str) -> None:
        """Forget what was given: the whole burst is usable now. Whoever calls this vouches for what was sent."""
        self._ask(_Ask("clear", 1, 1, 0), [self.bucket(item, *identifiers)])

    def _ask(self, ask: _Ask, buckets: Sequence[Bucket]) -> Grant | Wait:
        return ask.answer(self.storage.token_bucket([bucket.key for bucket in buckets], ask.arguments(buckets)))


@cache
def _script() -> str:
    return files("couponpress_worker.rate").joinpath("bucket.lua").read_text(encoding="utf-8")
