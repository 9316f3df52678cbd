"""What several tests build: request bodies, specs, settings for a server, and a ledger with something in it."""

import asyncio
import struct
import zlib
from functools import cache

import redis
from cryptography.hazmat.primitives.asymmetric import rsa
from redis.asyncio import Redis

from couponpress import ProducerSettings, TaskSpec
from couponpress.keys import HELD_SCORE, LANES, Keys, lane_of, run_of
from couponpress.ledger.chunks import Identified
from couponpress.ledger.enqueueing import UploadLedger
from couponpress.ledger.moves import Move
from couponpress.ledger.working import WorkLedger
from couponpress.outcome import LETTERS, STATE_OF_LETTER, RunStatus, State
from couponpress.overview.answers import overview_of
from couponpress.overview.questions import questions_of
from couponpress.overview.send_rate import SendRate
from couponpress_worker.completion.completer import Completer
from couponpress_worker.events import unheard
from couponpress_worker.settings import Settings

MCHID = "1900000001"
KEYS = Keys(MCHID)
APIV3_KEY = b"0123456789abcdef0123456789abcdef"
PUBLIC_KEY_ID = "PUB_KEY_ID_0119000000012024"
PICTURE = "https://wxpaylogo.qpic.cn/wxpaylogo/made.png"

#: The move that leads from waiting to each other state.
MOVE_TO = {
    State.RETRYING: "again",
    State.LOOKING: "look",
    State.PAUSED: "pause",
    State.ACCEPTED: "accept",
    State.SUCCEEDED: "succeed",
    State.FAILED: "fail",
    State.REJECTED: "reject",
    State.EXPIRED: "expire",
    State.CANCELLED: "cancel",
}


@cache
def rsa_key(number=0):
    """A private key of the kind that partners and the platform have; another number is another key.

    Making one takes as long as a hundred tests, so those of a process share them.
    """
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def cut_out_body(number=1, **changes):
    """A request for a cut-out picture, as a producer writes it."""
    body = {
        "brand_id": "120344",
        "task_id": f"cut-out-{number:06}",
        "image_generation_type": "CUT_OUT",
        "cut_out": {"image_url": f"https://wxpaylogo.qpic.cn/wxpaylogo/{number}.png"},
    }
    return {name: value for name, value in {**body, **changes}.items() if value is not None}


def head_body(number=1, **changes):
    """A request for a head picture with a normal coupon."""
    body = {
        "brand_id": "120344",
        "task_id": f"head-{number:06}",
        "image_generation_type": "COMBINE_IMAGE",
        "combine_image": {
            "scope": "ALL",
            "type": "NORMAL",
            "usage_mode": "SINGLE",
            "normal_coupon": {"threshold": 10000, "discount_amount": number},
        },
    }
    return {name: value for name, value in {**body, **changes}.items() if value is not None}


def spec(number=1, **changes):
    """A spec for a cut-out picture, with a row id."""
    return TaskSpec.parse({"row_id": f"row {number}", **cut_out_body(number, **changes)})[0]


def identified(numbers, run="may", **changes):
    """Specs as the ledger takes them."""
    return [Identified.of(spec(number, **changes), run) for number in numbers]


def run_status(run="may", **changes):
    """A run's progress; what is not said is zero."""
    names = ["uploading", *(state.value for state in State), "throttled"]
    counts = {name: changes.get(name, 0) for name in names if name in RunStatus.__dataclass_fields__}
    total = sum(counts[name] for name in counts if name != "throttled")
    values = {"run": run, "lane": "bulk", "total": total, "created_at": 0.0, "finished_at": None, **counts}
    return RunStatus(**values | changes)


def replies(now=1_700_000_000, **changes):
    """What Redis replies to the questions of an overview when nothing ever happened, with these changes."""
    told = dict.fromkeys(questions_of(KEYS), 0)
    for name in told:
        if name.split()[-1] in {"pace", "holds", "present", "counts", "totals", "callbacks", "schedules", "info"}:
            told[name] = {}
        if name.split()[-1] in {"newest", "oldest", "since", "retry"}:
            told[name] = []
    told |= {"time": (now, 0), "outage": None, "submit spacing": None, "query spacing": None}
    return told | {name.replace("_", " "): reply for name, reply in changes.items()}


def overview(*, records=(), sent=None, **changes):
    """An overview of a fleet in which nothing ever happened, with these replies of Redis instead.

    `records` are runs by number: the hash, the reasons and when they were seen.
    """
    return overview_of(replies(**changes), dict(records), sent or SendRate())


def producer_settings(url="redis://127.0.0.1:6379/0", **changes):
    """What a producer needs to know."""
    return ProducerSettings.load({"redis_url": url, "mchid": MCHID, **changes})


def fleet_values(**changes):
    """Every setting that the fleet must be given; the key files need not exist."""
    values = {
        "mchid": MCHID,
        "mch_serial_no": "5157F09EFDC096DE15EBE81A47057A7232F1B8E1",
        "mch_private_key_file": "keys/apiclient_key.pem",
        "wechatpay_public_key_id": PUBLIC_KEY_ID,
        "wechatpay_public_key_file": "keys/pub_key.pem",
        "apiv3_key_file": "keys/apiv3_key",
    }
    return {name: value for name, value in {**values, **changes}.items() if value is not None}


def fleet_settings(**changes):
    """The fleet's settings."""
    return Settings.load(fleet_values(**changes))


def stored(url, count=1, *, run="may", lane="bulk", first=1):
    """Enqueue `count` specs as one open chunk; returns its id."""
    with redis.Redis.from_url(url) as client:
        uploads = UploadLedger(client, KEYS)
        specs = identified(range(first, first + count), run)
        chunk_id = uploads.enqueue_open(uploads.open_run(run, lane), specs).chunk_id
    assert chunk_id is not None
    return chunk_id


def on_ledger(url, act):
    """Run `await act(ledger)` with the fleet's side of the ledger."""

    async def run():
        async with Redis.from_url(url) as client:
            return await act(WorkLedger(client, KEYS))

    return asyncio.run(run())


def completer_over(client, keys=KEYS, tell=unheard):
    """What books completions over an asyncio client."""
    ledger = WorkLedger(client, keys)
    return Completer(ledger.queries, ledger.moves, tell)


class FastLoop(asyncio.SelectorEventLoop):
    """A loop on which waiting takes no time, and nothing else: its clock only jumps to what is waited for next."""

    def __init__(self):
        super().__init__()
        self._moment = 1000.0

    def time(self):
        return self._moment

    def _run_once(self):
        awaited = [timer.when() for timer in self._scheduled if not timer.cancelled()]
        if awaited and not self._ready:
            self._moment = max(self._moment, min(awaited))
        super()._run_once()


def run_fast(coroutine):
    """Run what talks to no one outside, with every wait over at once."""
    with asyncio.Runner(loop_factory=FastLoop) as runner:
        return runner.run(coroutine)


def moved(url, chunk_id, *moves, by="fleet"):
    """Make moves in one chunk; returns for each whether it was made."""

    async def act(ledger):
        return (await ledger.moves.move({chunk_id: list(moves)}, by=by))[chunk_id]

    return on_ledger(url, act)


def bring_to(url, chunk_id, states):
    """Bring the waiting specs of a chunk, in their order, to these states."""
    moves = [Move(position, MOVE_TO[state]) for position, state in enumerate(states) if state is not State.WAITING]
    assert all(moved(url, chunk_id, *moves))


def states_of(client, chunk_id):
    """The states of a chunk's specs."""
    return [STATE_OF_LETTER[letter] for letter in (client.hget(KEYS.chunk(chunk_id), "s") or b"").decode()]


def now_ms(client):
    """Redis's clock."""
    seconds, microseconds = client.time()
    return seconds * 1000 + microseconds // 1000


def let_pass(client, key, seconds):
    """Let time pass for a sorted set of moments: every one of them moves into the past; held ones stay."""
    for member, score in client.zrange(key, 0, -1, withscores=True):
        if 0 < score < HELD_SCORE:
            client.zincrby(key, -seconds * 1000, member)


def chunk_ids(client, keys=KEYS):
    """Every chunk that is stored."""
    prefix = keys.chunk("")
    return sorted(key.decode().removeprefix(prefix) for key in client.keys(prefix + "*"))


def indexed(client, keys=KEYS):
    """How many task_ids are known."""
    return sum(client.hlen(key) for key in client.keys(keys.index + "*"))


def hints(client, queue):
    """The bytes of every message that waits in a queue."""
    return client.lrange(queue, 0, -1)


def ready_chunks(client, lane, keys=KEYS):
    """The chunks of a lane that are ready to be leased."""
    stored = client.keys(keys.ready(lane[0] + "*", "*"))
    return {chunk.decode() for key in stored for chunk in client.zrange(key, 0, -1)}


def assert_flows_fit(client, lane, keys=KEYS):
    """Every chunk that is ready can be leased, and is found from its flow and its run; nothing else is there."""
    found = {}
    for key in client.keys(keys.ready(lane[0] + "*", "*")):
        number, _, flow = key.decode().removeprefix(f"{keys.flows(lane)}:ready:").partition(":")
        found.setdefault(flow, set()).add(number)
        for chunk_id in (member.decode() for member in client.zrange(key, 0, -1)):
            if not client.exists(keys.chunk(chunk_id)):
                continue  # its record was lost, and its flow with it: it is passed over when its turn comes
            owner, field = client.hmget(keys.chunk(chunk_id), "owner", "flow")
            assert owner is None, f"{chunk_id} is ready although it is leased"
            assert client.zscore(keys.open(lane), chunk_id) not in {None, HELD_SCORE}, f"{chunk_id} is not open"
            assert (run_of(chunk_id), (field or f"run:{number}".encode()).decode()) == (number, flow)
    runs = {
        key.decode().removeprefix(keys.flow_runs(lane, "")): {member.decode() for member in client.zrange(key, 0, -1)}
        for key in client.keys(keys.flow_runs(lane, "*"))
    }
    assert runs == found
    flows, left, resting = (
        {member.decode() for member in client.zrange(key, 0, -1)}
        for key in (keys.flows(lane), keys.flows_left(lane), keys.flows_resting(lane))
    )
    assert flows | resting == set(found)
    assert not flows & (left | resting)
    assert resting <= left


def assert_consistent(client, keys=KEYS):
    """Whatever happened: the counts, the sorted sets and the index say what the chunks say."""
    staged = {chunk.decode() for key in client.keys(keys.staged("*")) for chunk in client.lrange(key, 0, -1)}
    counts, places, waits = {}, 0, set()
    expected = {"retries": set(), "looks": set(), "awaiting": set()}
    ready = {chunk_id for lane in LANES for chunk_id in ready_chunks(client, lane, keys)}
    for chunk_id in chunk_ids(client, keys):
        letters = client.hget(keys.chunk(chunk_id), "s").decode()
        places += len(letters)
        run = counts.setdefault(run_of(chunk_id), dict.fromkeys([*map(str, State), "uploading", "total"], 0))
        if chunk_id in staged:
            run["uploading"] += len(letters)
            assert set(letters) == {"w"}
            continue
        run["total"] += len(letters)
        for position, letter in enumerate(letters):
            run[STATE_OF_LETTER[letter]] += 1
            if letter == LETTERS[State.RETRYING]:
                expected["retries"].add(f"{chunk_id}/{position}")
            if letter == LETTERS[State.LOOKING]:
                expected["looks"].add(f"{chunk_id}/{position}")
            if letter == LETTERS[State.ACCEPTED]:
                expected["awaiting"].add(chunk_id)
        if "w" in letters:
            waits.add(chunk_id)
        score = client.zscore(keys.open(lane_of(chunk_id)), chunk_id)
        is_open = score is not None
        leased = client.hget(keys.chunk(chunk_id), "owner") is not None
        assert is_open or "w" not in letters, f"{chunk_id} waits, but is not open"
        assert not is_open or "w" in letters or leased, f"{chunk_id} is open for nothing"
        if is_open and not leased:
            lost = client.hget(keys.chunk(chunk_id), "lost")
            assert chunk_id in ready or score == HELD_SCORE or lost, f"{chunk_id} is not ready"
    for lane in LANES:
        assert_flows_fit(client, lane, keys)
        waiting = {chunk_id for chunk_id in waits if lane_of(chunk_id) == lane}
        assert {member.decode() for member in client.zrange(keys.waiting_since(lane), 0, -1)} == waiting, lane
    tally = {field.decode(): int(count) for field, count in client.hgetall(keys.counts).items() if int(count)}
    told_by_runs = {}
    for number, run in counts.items():
        for state in map(str, State):
            if run[state]:
                field = f"{number[0]} {state}"
                told_by_runs[field] = told_by_runs.get(field, 0) + run[state]
    assert tally == told_by_runs
    for name, members in expected.items():
        assert {member.decode() for member in client.zrange(getattr(keys, name), 0, -1)} == members, name
    assert indexed(client, keys) == places
    for number in (member.decode() for member in client.zrange(keys.runs, 0, -1)):
        stored_counts = client.hgetall(keys.run(number))
        told = counts.get(number, {})
        for name in [*map(str, State), "uploading", "total"]:
            assert int(stored_counts.get(name.encode(), 0)) == told.get(name, 0), (number, name)
        is_open = any(told.get(str(state)) for state in State if not state.ended)
        ended = bool(told.get("total")) and not is_open
        assert (client.zscore(keys.finished, number) is not None) == ended, number


def png(number=1, *, padding=0):
    """A whole picture of one pixel; another number is another picture, and padding makes it larger."""

    def part(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    text = b"Comment\0" + str(number).encode() + b" " * padding
    pixel = zlib.compress(b"\0\xff\0\0")
    return (
        b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"tEXt", text) + part(b"IDAT", pixel) + part(b"IEND", b"")
    )
