"""The stand-in platform: its state, and its answer to each call, without HTTP and without waiting.

It checks in the platform's order: limit, headers, signature, content, authorisation, serial. `app` hands requests over
and sends the answers; connections, latency and transport faults are handled there.
"""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from couponpress_worker.sandbox import checks, notices, refusals, routes, rules, upload
from couponpress_worker.sandbox.callbacks import Callbacks, Carrier
from couponpress_worker.sandbox.calls import Calls
from couponpress_worker.sandbox.certificates import Certificates
from couponpress_worker.sandbox.checks import Partner
from couponpress_worker.sandbox.credentials import Credentials
from couponpress_worker.sandbox.exchange import Answer, Request, granted
from couponpress_worker.sandbox.faults import Dice
from couponpress_worker.sandbox.options import Behaviour
from couponpress_worker.sandbox.routes import KINDS, Call, Kind
from couponpress_worker.sandbox.tasks import Meaning, Task, Tasks
from couponpress_worker.sandbox.window import SECOND_US, Arrivals, SlidingWindow

#: GET and POST of notify-configs together; no option changes it.
_NOTIFY_LIMIT = 20


def monotonic_us() -> int:
    """Return this process's monotonic clock in microseconds."""
    return time.monotonic_ns() // 1000


class Platform:
    """The platform's state. There is one per process, used from one event loop.

    Attributes:
        base_url: what clients call it by.
        behaviour: limits, latency, callbacks and faults; `behave` changes it.
        clock: seconds since 1970.
        monotonic_us: microseconds that never go back.
        dice: decide which request and which task a fault hits.
        arrivals: every request, by kind.
        calls: of every submit, what became of it.
        tasks: what was accepted.
        callbacks: announce what was made.
        counts: of each kind `KIND throttled`, `KIND rejected` and `KIND dropped` (before it was taken: by a fault, or
            the client left); of submits also `accepted` (new tasks) and `doubled` (the same again); and `fault NAME`.
    """

    def __init__(
        self,
        credentials: Credentials,
        behaviour: Behaviour,
        carrier: Carrier,
        *,
        base_url: str,
        brand: bool = False,
        strict: bool = False,
        seed: int = 0,
        clock: Callable[[], float] = time.time,
        monotonic_us: Callable[[], int] = monotonic_us,
    ) -> None:
        self.base_url = base_url
        self.clock = clock
        self.monotonic_us = monotonic_us
        self.dice = Dice(seed)
        self._strict = strict
        self._carrier = carrier
        self._apiv3_key = credentials.apiv3_key
        self._certificates = Certificates(credentials.apiv3_key, clock)
        self._partner = Partner(
            credentials.mchid, credentials.serial_no, credentials.merchant_key, credentials.public_key_id, brand
        )
        #: The brand that calls for itself, so its calls name no brand.
        self._own_brand = credentials.mchid if brand else None
        self.behaviour = behaviour
        self._notify_set_at = clock()
        self.forget()

    def behave(self, behaviour: Behaviour) -> None:
        """Change the behaviour from now on."""
        if behaviour.notify_url != self.behaviour.notify_url:
            self._notify_set_at = self.clock()
        self.behaviour = behaviour
        self._windows["submit"].limit = behaviour.limit
        self._windows["query"].limit = behaviour.query_limit
        self._windows["upload"].limit = behaviour.upload_limit

    def forget(self) -> None:
        """Forget every task, arrival and count, those of the last second too; behaviour and keys stay."""
        self._windows = {kind: SlidingWindow(0) for kind in KINDS}
        self._windows["notify_set"] = self._windows["notify_shown"] = SlidingWindow(_NOTIFY_LIMIT)
        self.behave(self.behaviour)
        self.arrivals = {kind: Arrivals() for kind in KINDS}
        self.calls = Calls()
        self.tasks = Tasks()
        picture = notices.PICTURE if self._own_brand is None else notices.BRAND_PICTURE
        self.callbacks = Callbacks(self._carrier, self.dice, self._apiv3_key, self.clock, self._certificates, picture)
        self.counts: Counter[str] = Counter()

    def find(self, method: str, path: str) -> Call | Answer:
        """Return the call that a method and a path mean, or the refusal."""
        return routes.find(method, path, brand=self._own_brand is not None)

    def arrive(self, kind: Kind, moment_us: int) -> tuple[int, bool]:
        """Count a request that came at `moment_us`; return its number and whether the limit admits it."""
        arrivals = self.arrivals[kind]
        number = arrivals.record(moment_us)
        admitted = self._windows[kind].admits(arrivals.moments_us[number])
        if not admitted:
            self.counts[f"{kind} throttled"] += 1
        return number, admitted

    def answer(self, call: Call, request: Request, note: Callable[[Meaning], None] | None = None) -> Answer:
        """Take an admitted request and say what the platform makes of it; `note` is told what a submit meant."""
        if call.kind == "upload":
            answer = self._upload(request)
        else:
            answer = self._refusal(request) or self._handle(call, request, note)
        if answer.status >= 400:
            self.counts[f"{call.kind} rejected"] += 1
        return answer

    def picture_url(self, task_id: str) -> str:
        """Return where a task's picture can be seen."""
        return f"{self.base_url}/pictures/{task_id}.png"

    def _refusal(self, request: Request) -> Answer | None:
        media_type = "application/json" if request.method == "POST" else None
        return checks.header_objection(request, self._partner, media_type) or checks.signature_objection(
            request, request.body, self._partner, self.clock()
        )

    def _handle(self, call: Call, request: Request, note: Callable[[Meaning], None] | None) -> Answer:
        match call.kind:
            case "submit":
                return self._submit(request, note)
            case "query":
                return self._query(request, call.task_id)
            case "notify_shown":
                return self._notify_config()
            case "notify_set":
                return self._set_notify_url(request)
            case "echo":
                return self._echo(request)
            case _:
                # A merchant that verifies with the platform's public key has no certificates to fetch.
                count = self.behaviour.certificates
                return granted(self._certificates.listed(count)) if count else refusals.absent("平台证书")

    def _submit(self, request: Request, note: Callable[[Meaning], None] | None) -> Answer:
        spec = rules.read_task(request.body, strict=self._strict, brand_id=self._own_brand)
        if isinstance(spec, Answer):
            return spec
        if spec.brand_id in self.behaviour.unauthorized_brands:
            return refusals.not_authorised(spec.brand_id)
        task_id, authorization = str(spec.task_id), hash(request.headers["authorization"])
        meaning = self.tasks.meaning(task_id, request.body, authorization)
        if note is not None:
            note(meaning)
        match meaning:
            case "conflict":
                return refusals.same_serial(task_id)
            case "doubled":
                self.counts["doubled"] += 1
            case "new":
                self.counts["accepted"] += 1
                seconds = self.behaviour.picture_seconds * self.dice.roll("made", task_id) / 100
                task = Task(
                    task_id,
                    spec.brand_id,
                    spec.image_generation_type,
                    request.body,
                    made_us=self.monotonic_us() + int(seconds * SECOND_US),
                    fails=self.dice.hits(self.behaviour.faults.fail, "fail", task_id),
                    authorization=authorization,
                )
                self.tasks.add(task)
                self.callbacks.announce(task, seconds, lambda: self.behaviour, self._result)
        named = {"brand_id": spec.brand_id} if self._own_brand is None else {}
        return granted({"task_id": task_id, **named})

    def _result(self, task: Task) -> dict[str, Any]:
        return task.result_at(max(self.monotonic_us(), task.made_us), self.picture_url(task.task_id))

    def _query(self, request: Request, task_id: str) -> Answer:
        asked = rules.read_query(request.query, task_id, brand_id=self._own_brand)
        if isinstance(asked, Answer):
            return asked
        brand_id, kind = asked
        task = self.tasks.find(task_id)
        if task is None or task.brand_id != brand_id:
            return refusals.absent("图片生成任务")
        if task.kind != kind:
            issue = "is not the type that was submitted"
            return refusals.wrong_value("image_generation_type", issue, kind, location="query")
        return granted(task.result_at(self.monotonic_us(), self.picture_url(task_id)))

    def _upload(self, request: Request) -> Answer:
        if (refusal := checks.header_objection(request, self._partner, "multipart/form-data")) is not None:
            return refusal
        form = upload.read_form(request.headers["content-type"], request.body)
        if isinstance(form, Answer):
            return form
        refusal = checks.signature_objection(request, form.meta, self._partner, self.clock())
        return refusal or upload.objection(form) or granted({"image_url": upload.stored_url(form)})

    def _notify_config(self) -> Answer:
        if self.behaviour.notify_url is None:
            return refusals.absent("回调地址")
        moment = dt.datetime.fromtimestamp(int(self._notify_set_at), dt.UTC)
        return granted({"notify_url": self.behaviour.notify_url, "update_time": moment.isoformat()})

    def _set_notify_url(self, request: Request) -> Answer:
        url = rules.read_notify_config(request.body)
        if isinstance(url, Answer):
            return url
        self.behave(self.behaviour.changed({"notify_url": url}))
        return self._notify_config()

    def _echo(self, request: Request) -> Answer:
        asked = rules.read_echo(request)
        if isinstance(asked, Answer):
            return asked
        message, url = asked
        if url is not None:
            self.callbacks.echo(url, {"echo_message": message}, self.behaviour)
        return granted({"echo_message": message})
