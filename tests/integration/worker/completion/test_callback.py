"""The public receiver with a real ledger, real seals and real signatures: what is stored, and what is answered."""

import asyncio
import json
import secrets
import socket
import time

import httpx
import pytest

from couponpress.ledger.fleet_queries import Place
from couponpress.ledger.moves import Move
from couponpress.ledger.notices import NoticeLedger, echo_came
from couponpress.ledger.progress import ReadingLedger
from couponpress.outcome import State
from couponpress_worker.completion.callback import CALLBACK_PATH, ECHO_EVENT, CallbackReceiver
from couponpress_worker.completion.callback_asgi import BODY_LIMIT_BYTES, CallbackService
from couponpress_worker.completion.moves import FAIL_CODE
from couponpress_worker.events import CallbackReceived, CallbackRefused, Ended
from couponpress_worker.runtime.factories import callback_redis_for
from couponpress_worker.runtime.redis_server import free_port
from couponpress_worker.wechatpay.signing import FRESHNESS_SECONDS, Verifier, answer_message, seal, sign
from tests.builders import (
    APIV3_KEY,
    KEYS,
    PICTURE,
    PUBLIC_KEY_ID,
    bring_to,
    completer_over,
    fleet_settings,
    moved,
    rsa_key,
    states_of,
    stored,
)

NOW = 1_790_000_000.0
EVENT = "PRODUCT_COUPON_SP.IMAGE_GENERATION"
#: The official probe traffic carries signatures that begin so, and are 355 characters long.
PROBE = "WECHATPAY/SIGNTEST/" + "x" * 336
TASK = {"brand_id": "120344", "task_id": "cut-out-000001", "image_generation_type": "CUT_OUT"}
MADE = {**TASK, "task_state": "SUCCESS", "cut_out_result": {"image_url": PICTURE}}
FAILED = {**TASK, "task_state": "FAIL"}
PROCESSING = {**TASK, "task_state": "PROCESSING"}


@pytest.fixture(scope="module")
def platform_key():
    return rsa_key(0)


@pytest.fixture(scope="module")
def another_key():
    return rsa_key(1)


@pytest.fixture
def chunk(redis_url, client):
    """A chunk of one accepted spec: the one that the callbacks speak of."""
    chunk_id = stored(redis_url)
    bring_to(redis_url, chunk_id, [State.ACCEPTED])
    return chunk_id


def sealed(task, *, key=APIV3_KEY, nonce=b"fdasflkja484", associated_data="product_coupon_sp", **changes):
    """The resource of a callback. `task` may be bytes."""
    text = task if isinstance(task, bytes) else json.dumps(task, ensure_ascii=False).encode(errors="surrogatepass")
    resource = {
        "algorithm": "AEAD_AES_256_GCM",
        "original_type": "product_coupon",
        "associated_data": associated_data,
        "nonce": nonce.decode(),
        "ciphertext": seal(key, nonce, text, associated_data.encode()),
    }
    return {name: value for name, value in {**resource, **changes}.items() if value is not None}


def envelope(resource, event_type=EVENT, **changes):
    return {
        "id": "EV-2018022511223320873",
        "create_time": "2026-11-22T10:00:00+08:00",
        "event_type": event_type,
        "resource_type": "encrypt-resource",
        "summary": "图片生成",
        "resource": resource,
        **changes,
    }


class Callbacks:
    """Calls the receiver as the platform does."""

    def __init__(self, url, platform_key, forward=None):
        self.url, self.key, self.forward = url, platform_key, forward
        self.more_keys, self.missed, self.told = {}, [], []

    def signed(self, body, **changes):
        """The headers of a callback with this body."""
        timestamp, nonce = changes.pop("timestamp", str(int(NOW))), secrets.token_hex(16)
        key = changes.pop("key", self.key)
        headers = {
            "Content-Type": "application/json",
            "Request-ID": "08F5D5CE0610EF0318DCCC5B20C8BE0128B4A80D-0",
            "Wechatpay-Timestamp": timestamp,
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Serial": PUBLIC_KEY_ID,
            "Wechatpay-Signature": sign(key, answer_message(timestamp, nonce, body)),
            "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048",
        }
        return {name: value for name, value in {**headers, **changes}.items() if value is not None}

    def bodies(self, bodies, *, together=False, method="POST", path=CALLBACK_PATH, **changes):
        """Send signed bodies; returns the answers."""

        async def act():
            async with callback_redis_for(fleet_settings(redis_url=self.url)) as connection:
                notices = NoticeLedger(connection, KEYS)
                receiver = CallbackReceiver(
                    verifier=Verifier({PUBLIC_KEY_ID: self.key.public_key(), **self.more_keys}),
                    apiv3_key=APIV3_KEY,
                    completer=completer_over(connection, tell=self.told.append),
                    count=lambda kind: notices.count([kind]),
                    note_echo=notices.note_echo,
                    forward=self.forward,
                    missing=lambda: self.missed.append(1),
                    clock=lambda: NOW,
                    tell=self.told.append,
                )
                transport = httpx.ASGITransport(
                    CallbackService({CALLBACK_PATH: receiver.receive}, tell=self.told.append)
                )
                async with httpx.AsyncClient(transport=transport, base_url="http://shop.example") as http:
                    calls = [
                        http.request(method, path, content=body, headers=self.signed(body, **changes))
                        for body in bodies
                    ]
                    return await asyncio.gather(*calls) if together else [await call for call in calls]

        return asyncio.run(act())

    def body(self, body, **changes):
        """Send one signed body; returns the answer."""
        return self.bodies([body], **changes)[0]

    def task(self, task, **changes):
        """Send one task; returns the answer."""
        return self.body(json.dumps(envelope(sealed(task))).encode(), **changes)

    def resource(self, resource):
        """Send one resource; returns the answer."""
        return self.body(json.dumps(envelope(resource)).encode())


@pytest.fixture
def callbacks(redis_url, platform_key):
    return Callbacks(redis_url, platform_key)


def outcome(client):
    (told,) = ReadingLedger(client, KEYS).outcomes("b1")
    return told


def events(client):
    return {name.decode(): int(count) for name, count in client.hgetall(KEYS.events).items()}


def refused(answer, status):
    return answer.status_code == status and answer.json()["code"] == "FAIL" and answer.json()["message"]


# --- what is stored ---------------------------------------------------------------------------------------------------


def test_a_callback_stores_the_picture(client, chunk, callbacks):
    answer = callbacks.task(MADE)
    assert (answer.status_code, answer.content) == (204, b"")
    assert (outcome(client).outcome, outcome(client).image_url) == ("succeeded", PICTURE)
    assert ReadingLedger(client, KEYS).status("b1").finished


def test_a_head_pictures_callback_stores_the_picture(client, chunk, callbacks):
    head = {**TASK, "image_generation_type": "COMBINE_IMAGE", "task_state": "SUCCESS"}
    assert callbacks.task(head | {"combine_image_result": {"image_url": PICTURE}}).status_code == 204
    assert outcome(client).image_url == PICTURE


def test_a_callback_of_a_failure_is_stored(client, chunk, callbacks):
    assert callbacks.task(FAILED).status_code == 204
    assert (outcome(client).outcome, outcome(client).code) == ("failed", FAIL_CODE)


def test_a_callback_in_the_making_changes_nothing(client, chunk, callbacks):
    assert callbacks.task(PROCESSING).status_code == 204
    assert states_of(client, chunk) == [State.ACCEPTED]


def test_a_repeated_callback_changes_nothing_and_is_counted(client, chunk, callbacks):
    callbacks.task(MADE)
    before = outcome(client), client.hgetall(KEYS.run("b1"))
    assert callbacks.task(MADE).status_code == 204
    assert (outcome(client), client.hgetall(KEYS.run("b1"))) == before
    assert events(client) == {"repeated": 1}


def test_the_same_callback_several_times_at_once_is_stored_once(client, chunk, callbacks):
    body = json.dumps(envelope(sealed(MADE))).encode()
    answers = callbacks.bodies([body] * 5, together=True)
    assert [answer.status_code for answer in answers] == [204] * 5
    assert outcome(client).image_url == PICTURE
    assert events(client) == {"repeated": 4}


def test_many_callbacks_at_once_are_all_stored(redis_url, client, callbacks):
    chunk_id = stored(redis_url, 50)
    bring_to(redis_url, chunk_id, [State.ACCEPTED] * 50)
    tasks = [MADE | {"task_id": f"cut-out-{number:06}"} for number in range(1, 51)]
    answers = callbacks.bodies([json.dumps(envelope(sealed(task))).encode() for task in tasks], together=True)
    assert {answer.status_code for answer in answers} == {204}
    assert ReadingLedger(client, KEYS).status("b1").succeeded == 50


@pytest.mark.parametrize("state", [State.WAITING, State.RETRYING, State.LOOKING], ids=str)
def test_a_callback_before_the_submits_answer_proves_acceptance(redis_url, client, callbacks, state):
    chunk_id = stored(redis_url)
    bring_to(redis_url, chunk_id, [state])
    assert callbacks.task(PROCESSING).status_code == 204
    assert states_of(client, chunk_id) == [State.ACCEPTED]


@pytest.mark.parametrize("state", [State.WAITING, State.RETRYING, State.LOOKING], ids=str)
def test_a_picture_before_the_submits_answer_ends_the_spec(redis_url, client, callbacks, state):
    chunk_id = stored(redis_url)
    bring_to(redis_url, chunk_id, [state])
    callbacks.task(MADE)
    assert moved(redis_url, chunk_id, Move(0, "accept", tries=1)) == [False]  # the answer that comes late
    assert outcome(client).outcome == "succeeded"


@pytest.mark.parametrize("end", [MADE, FAILED], ids=["succeeded", "failed"])
def test_a_late_processing_never_undoes_an_end(client, chunk, callbacks, end):
    callbacks.task(end)
    before = outcome(client)
    assert callbacks.task(PROCESSING).status_code == 204
    assert outcome(client) == before


def test_the_first_end_stays(client, chunk, callbacks):
    callbacks.task(MADE)
    callbacks.task(FAILED)
    callbacks.task(MADE | {"cut_out_result": {"image_url": PICTURE + "?other"}})
    assert (outcome(client).outcome, outcome(client).image_url) == ("succeeded", PICTURE)


def test_the_brand_variants_event_is_taken_too(client, chunk, callbacks):
    body = json.dumps(envelope(sealed(MADE), "PRODUCT_COUPON.IMAGE_GENERATION")).encode()
    assert callbacks.body(body).status_code == 204
    assert outcome(client).outcome == "succeeded"


@pytest.mark.parametrize("associated_data", ["product_coupon_sp", "product_coupon", ""])
def test_associated_data_are_taken_as_they_come(client, chunk, callbacks, associated_data):
    assert callbacks.resource(sealed(MADE, associated_data=associated_data)).status_code == 204
    assert outcome(client).outcome == "succeeded"


def test_associated_data_may_be_absent(client, chunk, callbacks):
    resource = sealed(MADE, associated_data="")
    del resource["associated_data"]
    assert callbacks.resource(resource).status_code == 204
    assert outcome(client).outcome == "succeeded"


def test_fields_that_are_new_change_nothing(client, chunk, callbacks):
    body = json.dumps(envelope(sealed(MADE | {"new": {"deep": [1e308, None]}}), more=["x"])).encode()
    assert callbacks.body(body).status_code == 204
    assert outcome(client).outcome == "succeeded"


# --- whose it is ------------------------------------------------------------------------------------------------------


def test_a_task_of_another_system_is_acknowledged_and_counted(client, chunk, callbacks):
    assert callbacks.task(MADE | {"task_id": "somebody-elses"}).status_code == 204
    assert states_of(client, chunk) == [State.ACCEPTED]
    assert events(client) == {"unknown": 1}


def test_other_events_are_acknowledged_and_counted(client, chunk, callbacks):
    body = json.dumps(envelope(sealed({"coupon": 1}), "PRODUCT_COUPON_SP.SEND")).encode()
    for _ in range(2):
        assert callbacks.body(body).status_code == 204
    assert events(client) == {"other PRODUCT_COUPON_SP.SEND": 2}


@pytest.mark.parametrize("status", [200, 204, 401, 500, 502])
def test_other_events_are_passed_on_as_they_came_and_their_answer_comes_back(redis_url, client, platform_key, status):
    passed_on = []

    async def forward(headers, body):
        passed_on.append((headers["wechatpay-signature"], body))
        return status

    body = json.dumps(envelope({}, "PRODUCT_COUPON_SP.SEND")).encode()
    answer = Callbacks(redis_url, platform_key, forward).body(body)
    assert answer.status_code == status
    ((signature, passed),) = passed_on
    assert passed == body
    assert len(signature) == 344
    assert events(client) == {"other PRODUCT_COUPON_SP.SEND": 1}


def test_our_own_events_are_not_passed_on(redis_url, client, chunk, platform_key):
    async def forward(headers, body):
        raise AssertionError

    assert Callbacks(redis_url, platform_key, forward).task(MADE).status_code == 204


@pytest.mark.parametrize(
    "kind", [None, 7, 1e999, [], {"a": {}}, "\ud800", "x" * 1000, "图片", "a'b"], ids=lambda kind: ascii(kind)[:12]
)
def test_an_event_of_any_kind_is_counted_under_a_short_plain_name(client, callbacks, kind):
    assert callbacks.body(json.dumps(envelope({}, kind)).encode()).status_code == 204
    ((name, count),) = events(client).items()
    assert name.startswith("other ")
    assert name.isascii()
    assert len(name) <= 70
    assert count == 1


# --- what is refused --------------------------------------------------------------------------------------------------


def test_a_probe_signature_is_refused(client, chunk, callbacks):
    assert refused(callbacks.task(MADE, **{"Wechatpay-Signature": PROBE}), 401)
    assert states_of(client, chunk) == [State.ACCEPTED]


def test_the_proper_callback_after_a_probe_is_taken(client, chunk, callbacks):
    callbacks.task(MADE, **{"Wechatpay-Signature": PROBE})
    assert callbacks.task(MADE).status_code == 204


@pytest.mark.parametrize("seconds", [-FRESHNESS_SECONDS, FRESHNESS_SECONDS, -(10**9)])
def test_a_stale_timestamp_is_refused(client, chunk, callbacks, seconds):
    assert refused(callbacks.task(MADE, timestamp=str(int(NOW) + seconds)), 401)
    assert states_of(client, chunk) == [State.ACCEPTED]


@pytest.mark.parametrize("seconds", [1 - FRESHNESS_SECONDS, FRESHNESS_SECONDS - 1])
def test_a_timestamp_within_five_minutes_is_taken(client, chunk, callbacks, seconds):
    assert callbacks.task(MADE, timestamp=str(int(NOW) + seconds)).status_code == 204


def test_an_unknown_key_is_refused(client, chunk, callbacks):
    assert refused(callbacks.task(MADE, **{"Wechatpay-Serial": "PUB_KEY_ID_9"}), 401)


def test_another_key_is_refused(client, chunk, callbacks, another_key):
    assert refused(callbacks.task(MADE, key=another_key), 401)
    assert states_of(client, chunk) == [State.ACCEPTED]


@pytest.mark.parametrize("name", ["Timestamp", "Nonce", "Serial", "Signature"])
def test_a_missing_header_is_refused(client, callbacks, name):
    assert refused(callbacks.task(MADE, **{f"Wechatpay-{name}": None}), 401)


@pytest.mark.parametrize("name", ["Timestamp", "Nonce", "Serial", "Signature"])
@pytest.mark.parametrize("value", ["", " ", "x", "=", "9" * 5000, "-1", "1e9", b"\xff\xfe\x00".replace(b"\0", b"\x80")])
def test_a_garbled_header_is_refused(client, callbacks, name, value):
    assert refused(callbacks.task(MADE, **{f"Wechatpay-{name}": value}), 401)


def test_a_body_that_was_changed_on_its_way_is_refused(client, chunk, callbacks):
    body = json.dumps(envelope(sealed(MADE))).encode()
    headers = callbacks.signed(body)
    signature = {name: headers[name] for name in headers if name.startswith("Wechatpay-")}
    assert refused(callbacks.body(body + b" ", **signature), 401)


def test_what_becomes_of_a_callback_is_told(client, chunk, callbacks, another_key):
    good = json.dumps(envelope(sealed(MADE))).encode()
    callbacks.body(good)
    callbacks.body(good)
    callbacks.task({**MADE, "task_id": "another-systems"})
    callbacks.body(json.dumps({**envelope(sealed(MADE)), "event_type": "REFUND.SUCCESS"}).encode())
    place = Place(chunk, 0)
    assert callbacks.told == [
        Ended(place, State.SUCCEEDED, "", "callback"),
        *map(CallbackReceived, ("done", "repeated", "unknown", "other")),
    ]
    callbacks.told.clear()
    callbacks.body(good, **{"Wechatpay-Signature": PROBE})
    callbacks.body(good, **{"Wechatpay-Nonce": None})
    callbacks.body(good, timestamp=str(int(NOW) - 1000))
    callbacks.body(good, **{"Wechatpay-Serial": "PUB_KEY_ID_9"})
    callbacks.body(good, key=another_key)
    callbacks.body(b"[]")
    callbacks.resource({})
    callbacks.task({**MADE, "task_state": "NEW"})
    callbacks.body(good, path="/elsewhere")
    reasons = ("probe", "headers", "clock", "key", "signature")
    assert callbacks.told == [
        *(CallbackRefused(401, reason) for reason in reasons),
        *(CallbackRefused(400, reason) for reason in ("object", "resource", "state")),
        CallbackRefused(404, "path"),
    ]


def test_nothing_is_opened_before_the_signature_holds(client, chunk, callbacks, another_key):
    assert refused(callbacks.body(b"garbage", key=another_key), 401)


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b'"text"', b"{", b"\xff\xfe", b"[" * 60_000, b'{"a":' * 10_000, b"1" * 5000, b"NaN", b"\x00"],
    ids=lambda body: ascii(body)[:14],
)
def test_a_body_that_is_no_json_object_is_refused(client, callbacks, body):
    assert refused(callbacks.body(body), 400)


@pytest.mark.parametrize("resource", [None, 7, "text", [], {}, {"nonce": 1}, {"ciphertext": "AAAA"}], ids=repr)
def test_a_resource_that_is_none_is_refused(client, callbacks, resource):
    assert refused(callbacks.resource(resource), 400)


@pytest.mark.parametrize(
    "changes",
    [
        {"ciphertext": ""},
        {"ciphertext": "not base64!"},
        {"ciphertext": "AAAA"},
        {"ciphertext": "图片"},
        {"ciphertext": "\ud800"},
        {"nonce": ""},
        {"nonce": "\ud800" * 12},
        {"nonce": "x" * 1000},
        {"nonce": "fdasflkja485"},
        {"associated_data": "other"},
        {"associated_data": "\udfff"},
        {"associated_data": 7},
        {"key": b"another key of thirty two bytes."},
    ],
    ids=lambda changes: ascii(changes)[:34],
)
def test_a_resource_that_does_not_open_is_refused(client, chunk, callbacks, changes):
    resource = sealed(MADE, key=changes.get("key", APIV3_KEY))
    assert refused(callbacks.resource(resource | {name: changes[name] for name in changes if name != "key"}), 400)
    assert states_of(client, chunk) == [State.ACCEPTED]


@pytest.mark.parametrize(
    "opened", [b"", b"garbage", b"[]", b"\xff", b"1" * 5000, b'{"a":' * 5000], ids=lambda one: one[:8]
)
def test_a_resource_that_holds_no_task_is_refused(client, callbacks, opened):
    assert refused(callbacks.resource(sealed(opened)), 400)


@pytest.mark.parametrize(
    "task",
    [
        TASK,
        TASK | {"task_state": "SUCCESS"},
        TASK | {"task_state": "SUCCESS", "cut_out_result": {"image_url": ["x"]}},
        TASK | {"task_state": "MADE"},
        TASK | {"task_state": "\ud800"},
        TASK | {"task_state": 10**4000},
        TASK | {"task_state": [[]] * 1000},
    ],
    ids=lambda task: ascii(task.get("task_state"))[:12],
)
def test_a_task_that_is_not_understood_is_refused_and_stays_open(client, chunk, callbacks, task):
    assert refused(callbacks.task(task), 400)
    assert states_of(client, chunk) == [State.ACCEPTED]


@pytest.mark.parametrize(
    "task_id", [None, 7, 10**4000, 1e999, "\ud800", "图片", "", [], {}], ids=lambda one: ascii(one)[:9]
)
def test_a_task_id_that_cannot_be_ours_is_acknowledged(client, chunk, callbacks, task_id):
    assert callbacks.task(MADE | {"task_id": task_id}).status_code == 204
    assert events(client) == {"unknown": 1}


def test_half_a_surrogate_pair_in_the_pictures_url_spoils_nothing(client, chunk, callbacks):
    odd = json.dumps(MADE | {"cut_out_result": {"image_url": "X\ud800"}}).encode()
    assert callbacks.resource(sealed(odd)).status_code == 204
    assert (outcome(client).outcome, outcome(client).image_url) == ("succeeded", "X?")


def test_a_body_that_is_too_large_is_refused_unread(client, callbacks):
    assert refused(callbacks.body(b"x" * (BODY_LIMIT_BYTES + 1)), 413)


def test_a_body_of_the_largest_size_is_read(client, callbacks):
    assert refused(callbacks.body(b"x" * BODY_LIMIT_BYTES), 400)


@pytest.mark.parametrize("path", ["/", "/docs", "/wechatpay", f"{CALLBACK_PATH}/more"])
def test_there_is_nothing_else_here(callbacks, path):
    assert callbacks.task(MADE, path=path).status_code == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_callback_is_a_post(callbacks, method):
    assert callbacks.task(MADE, method=method).status_code == 405


# --- several keys, and the doctor's test notice -----------------------------------------------------------------------


def test_several_keys_live_at_once(client, chunk, callbacks, another_key):
    callbacks.more_keys = {"5157F09EFDC096DE15EBE81A47057A7200000000": another_key.public_key()}
    serial = {"Wechatpay-Serial": "5157F09EFDC096DE15EBE81A47057A7200000000"}
    assert refused(callbacks.task(MADE, **serial), 401)  # the key is the one that is named, no other
    assert callbacks.task(MADE, key=another_key, **serial).status_code == 204
    assert callbacks.task(MADE).status_code == 204
    assert callbacks.missed == []


@pytest.mark.parametrize(
    ("serial", "asked"),
    [("5157F09EFDC096DE15EBE81A47057A7200000001", 1), (PUBLIC_KEY_ID + "9", 0), ("", 0), ("x" * 40, 0)],
)
def test_a_certificate_that_is_not_held_is_asked_for(client, callbacks, serial, asked):
    assert refused(callbacks.task(MADE, **{"Wechatpay-Serial": serial}), 401)
    assert len(callbacks.missed) == asked


def test_the_doctors_test_notice_is_kept_and_nobody_elses(client, callbacks):
    message = "couponpress-doctor-" + "0a" * 16
    for told in (message, "hello", message + "x", None, [message]):
        assert (
            callbacks.body(json.dumps(envelope(sealed({"echo_message": told}), ECHO_EVENT)).encode()).status_code == 204
        )
    assert echo_came(client, KEYS, message)
    assert 0 < client.ttl(KEYS.echo(message)) <= 600
    assert [key.decode() for key in client.scan_iter("*echo*")] == [KEYS.echo(message)]
    assert events(client) == {f"other {ECHO_EVENT}": 4}


def test_a_test_notice_that_does_not_open_is_somebody_elses(client, callbacks):
    body = json.dumps(envelope(sealed({"echo_message": "x"}, key=b"9" * 32), ECHO_EVENT)).encode()
    assert callbacks.body(body).status_code == 204
    assert events(client) == {f"other {ECHO_EVENT}": 1}


# --- redis away -------------------------------------------------------------------------------------------------------


def test_while_redis_is_away_the_platform_is_asked_to_repeat(platform_key):
    away = Callbacks(f"redis://127.0.0.1:{free_port()}/0", platform_key)
    assert refused(away.task(MADE), 503)


def test_while_redis_is_away_other_events_are_to_be_repeated_too(platform_key):
    away = Callbacks(f"redis://127.0.0.1:{free_port()}/0", platform_key)
    assert refused(away.body(json.dumps(envelope({}, "PRODUCT_COUPON_SP.SEND")).encode()), 503)


def test_while_redis_is_away_what_was_passed_on_need_not_come_again(platform_key):
    async def forward(headers, body):
        return 200

    away = Callbacks(f"redis://127.0.0.1:{free_port()}/0", platform_key, forward)
    assert away.body(json.dumps(envelope({}, "PRODUCT_COUPON_SP.SEND")).encode()).status_code == 200


def test_while_redis_is_silent_the_platform_hears_so_within_its_five_seconds(platform_key):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        away = Callbacks(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", platform_key)
        began = time.monotonic()
        assert refused(away.task(MADE), 503)
        assert time.monotonic() - began < 5


def test_while_redis_is_away_a_burst_gets_no_2xx(platform_key):
    away = Callbacks(f"redis://127.0.0.1:{free_port()}/0", platform_key)
    tasks = [json.dumps(envelope(sealed(MADE | {"task_id": f"cut-out-{n:06}"}))).encode() for n in range(300)]
    assert {answer.status_code for answer in away.bodies(tasks, together=True)} == {503}


def test_a_full_redis_takes_callbacks(client, chunk, callbacks):
    client.config_set("maxmemory", 1)
    try:
        assert callbacks.task(MADE).status_code == 204
    finally:
        client.config_set("maxmemory", 0)
    assert states_of(client, chunk) == [State.SUCCEEDED]


def test_a_redis_that_refuses_every_write_is_away_too(client, chunk, callbacks):
    client.config_set("min-replicas-to-write", 1)
    try:
        assert refused(callbacks.task(MADE), 503)
    finally:
        client.config_set("min-replicas-to-write", 0)
    assert states_of(client, chunk) == [State.ACCEPTED]
    assert callbacks.task(MADE).status_code == 204


def test_a_callback_that_could_not_be_stored_is_stored_when_it_comes_again(client, chunk, callbacks, platform_key):
    Callbacks(f"redis://127.0.0.1:{free_port()}/0", platform_key).task(MADE)
    assert callbacks.task(MADE).status_code == 204
    assert outcome(client).outcome == "succeeded"
