"""Builds every name in Redis, and every Celery queue and task name; no other module builds one.

Each docstring gives the key's type, what it holds and its TTL. Every key begins with the partner's id, so partners can
share a server. "Forgotten" means: deleted by `recovery` when the run has been finished for RESULT_TTL seconds.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Literal

Lane = Literal["urgent", "bulk"]
LANES: tuple[Lane, ...] = ("urgent", "bulk")

#: The Celery task that submits a chunk; its one argument is the chunk's id.
SUBMIT_TASK = "couponpress.submit_chunk"

#: Over how many hashes the index of a partner's task_ids is spread. Up to two million specs, each hash has at most 512
#: entries, which Redis stores compactly (hash-max-listpack-entries).
INDEX_BUCKETS = 4096


#: The score of an open chunk that a hold keeps back. It is later than any real moment.
HELD_SCORE = 10**15

#: For how long an uploaded picture is remembered after its last use.
PICTURE_SECONDS = 30 * 86400
#: What a chunk's id looks like: a run's number, a dot, a count.
CHUNK_ID = re.compile(r"[bu][0-9a-f]+\.[1-9][0-9]*")


@dataclass(frozen=True, slots=True)
class Keys:
    """The names of one partner."""

    mchid: str

    @property
    def prefix(self) -> str:
        """The text with which every key of this partner begins."""
        return f"couponpress:{self.mchid}:"

    def queue(self, lane: str) -> str:
        """LIST (Celery's): hints for chunks of a lane that wait. TTL: none, workers take them."""
        return f"{self.prefix}queue:{lane}"

    @property
    def queue_again(self) -> str:
        """LIST (Celery's): hints for chunks that a worker has had before: due retries, rests, expired leases.

        TTL: none, workers take them.
        """
        return f"{self.prefix}queue:again"

    @property
    def queues(self) -> tuple[str, ...]:
        """Every queue of this partner, in the order in which a worker reads them."""
        return (self.queue("urgent"), self.queue_again, self.queue("bulk"))

    @property
    def unacked(self) -> str:
        """HASH (Celery's): hints that a worker fetched and has not begun. TTL: none, they are acknowledged or put back.

        With it go `unacked_index`, a ZSET of the moments when they were fetched, and `unacked_mutex`, a STRING that
        lives for as long as one worker puts back what nobody began.
        """
        return f"{self.prefix}unacked"

    @property
    def task_results(self) -> str:
        """Prefix of STRINGs (Celery's), and of CHANNELs of their names: summaries of chunk tasks. TTL: an hour.

        Kept only where COUPONPRESS_CELERY_RESULTS asks for them.
        """
        return f"{self.prefix}celery-task-meta-"

    @property
    def runs(self) -> str:
        """ZSET: run number -> when it was created, ms. Forgotten with the run."""
        return f"{self.prefix}runs"

    @property
    def run_numbers(self) -> str:
        """HASH: run name -> run number, and the empty name -> how many were given. Forgotten with the run.

        A number is the lane's first letter and a count in base 16, for example `b1f`.
        """
        return f"{self.prefix}run-numbers"

    def run(self, number: str) -> str:
        """HASH: a run's name, lane, moments (ms), number of chunks, and how many specs are in each state.

        `canary`: how many specs the platform rejected before it took any; `passed` once it took one. Forgotten with
        the run.
        """
        return f"{self.prefix}run:{number}"

    def reasons(self, number: str) -> str:
        """HASH: `outcome code` -> how many specs of the run ended so. Forgotten with the run."""
        return f"{self.prefix}reasons:{number}"

    def reasons_seen(self, number: str) -> str:
        """HASH: `outcome code` -> when a spec of the run first and last ended so, and which did last.

        Two moments, ms, and `chunk id/position`, with blanks between.

        Forgotten with the run.
        """
        return f"{self.prefix}reasons-seen:{number}"

    @property
    def counts(self) -> str:
        """HASH: a lane's first letter, a blank, a state -> how many specs of all its runs are in that state. TTL: none.

        The scripts that count a spec in its run count it here too.
        """
        return f"{self.prefix}counts"

    @property
    def totals(self) -> str:
        """HASH: what happened -> how often since the partner's first spec. TTL: none; nothing in it ever shrinks.

        `outcome code`, or an outcome alone: specs that ended so, as often as they did; `tries`: tries that were spent;
        `throttled`: answers that said "too fast".
        """
        return f"{self.prefix}totals"

    def waiting_since(self, lane: str) -> str:
        """ZSET: chunk id -> since when its specs wait to be sent, ms. Members leave when no spec of theirs waits."""
        return f"{self.prefix}waiting-since:{lane}"

    def brands(self, number: str) -> str:
        """SET: the brands of the run's specs, also of specs that an upload took out again. Forgotten with the run."""
        return f"{self.prefix}brands:{number}"

    def staged(self, number: str) -> str:
        """LIST: chunks of an unfinished upload. TTL: none, `seal.lua` and `discard.lua` remove them."""
        return f"{self.prefix}staged:{number}"

    def upload_lock(self, number: str) -> str:
        """STRING: the token of the producer that uploads into the run. TTL: seconds, renewed with every chunk."""
        return f"{self.prefix}upload:{number}"

    def chunk(self, chunk_id: str) -> str:
        """HASH: up to 100 specs, the truth about them. Forgotten with the run.

        Fields: `v` record version, `z` compressed row ids and bodies, `s` a state letter per spec, `t` tries per
        spec (the character n places after "0"), `owner` who leases it, `lost` how many leases ran out in a row and
        `lost_by` who had the last of them, `made` when it was made, `trace` in which traces its specs were enqueued
        (`ledger.trace_context`), `flow` its flow when that is a brand, `at` where its specs stood in the batch that was
        enqueued (`ledger.batches`), `accepted_ms` when a spec was last accepted, `kept` the scopes of the brand holds
        that keep all the rest back, with blanks between, `cancelled` once `cancel` met it, `l0`..`l99` since when, ms,
        a spec is looked for, and `0`..`99` how each spec ended: a JSON list of picture URL, code and message,
        and of the Request-ID of the answer that said so, also of one that accepted a spec which is still open.
        """
        return f"{self.prefix}chunk:{chunk_id}"

    def history(self, chunk_id: str) -> str:
        """LIST: what happened to the specs of a chunk, a packed event in each element; see `ledger.history`.

        At most some 20 events for each spec. Forgotten with the run.
        """
        return f"{self.prefix}history:{chunk_id}"

    def open(self, lane: str) -> str:
        """ZSET: chunk id -> when its lease expires, or until when somebody must take it up, ms.

        0 while its first hint waits in the lane's queue; HELD_SCORE while a hold keeps it back. A chunk is removed when
        none of its specs waits to be sent.
        """
        return f"{self.prefix}open:{lane}"

    def flows(self, lane: str) -> str:
        """ZSET: flow -> its tag. The flow with the lowest tag has the next chunk that is leased.

        A flow is the scope of a brand, or of a run for chunks of several brands. Its tag grows with each lease by the
        specs that wait in the chunk, divided by the flow's weight. A flow is removed when it has no chunk that is
        ready. The names of what belongs to it begin with this one; `flows.lua` builds them too.
        """
        return f"{self.prefix}flows:{lane}"

    def flows_left(self, lane: str) -> str:
        """ZSET: flow without ready chunks, or at rest -> its last tag; removed when all others are further."""
        return f"{self.flows(lane)}:left"

    def flows_resting(self, lane: str) -> str:
        """ZSET: flow with ready chunks that has used up its cap -> when it goes on, ms. Removed then."""
        return f"{self.flows(lane)}:resting"

    def flow_runs(self, lane: str, flow: str) -> str:
        """ZSET: run number -> its turn, for the runs that have ready chunks in a flow. Removed with the last one."""
        return f"{self.flows(lane)}:runs:{flow}"

    def ready(self, number: str, flow: str) -> str:
        """ZSET: chunk id of a run -> its count, for the chunks of a flow that are open and that nobody has in hand.

        A chunk is removed when it is leased, held or done.
        """
        return f"{self.flows(lane_of(number))}:ready:{number}:{flow}"

    @property
    def shares(self) -> str:
        """HASH: flow -> its weight, a blank, the most specs a second that it may send (0: no cap). TTL: none.

        The empty flow is there when a flow has a cap.
        """
        return f"{self.prefix}shares"

    @property
    def share_rests(self) -> str:
        """ZSET: flow with a cap -> until when it has used it up, ms. TTL: none, removed with its cap."""
        return f"{self.prefix}share-rests"

    def suspect(self, owner: str) -> str:
        """STRING: which chunk a process has in hand whose leases were lost several times in a row. TTL: an hour."""
        return f"{self.prefix}suspect:{owner}"

    @property
    def dead_letters(self) -> str:
        """HASH: chunk id -> why it is a dead letter, in JSON. Forgotten with the run; a redrive removes it."""
        return f"{self.prefix}dead-letters"

    @property
    def dead_letter_messages(self) -> str:
        """STREAM: the latest queue messages that were not hints. TTL: a week after the latest."""
        return f"{self.prefix}dead-letter-messages"

    @property
    def retries(self) -> str:
        """ZSET: `chunk id/position` -> when the spec may be sent again, ms. Removed when due."""
        return f"{self.prefix}retries"

    @property
    def pauses(self) -> str:
        """ZSET: `chunk id/position` of a paused spec -> when its pause ends by itself, ms. Removed when it goes on."""
        return f"{self.prefix}pauses"

    @property
    def looks(self) -> str:
        """ZSET: `chunk id/position` -> when the spec is to be queried, ms. Removed when answered."""
        return f"{self.prefix}looks"

    @property
    def awaiting(self) -> str:
        """ZSET: chunk id -> when a spec of it was last accepted, or its accepted specs last queried, ms.

        A chunk is removed when none of its specs is accepted and open.
        """
        return f"{self.prefix}awaiting"

    @property
    def finished(self) -> str:
        """ZSET: run number -> when its last spec ended, ms. Forgotten with the run."""
        return f"{self.prefix}finished"

    @property
    def hooks(self) -> str:
        """ZSET: run number -> when to check whether its webhook is due, ms. Forgotten with the run."""
        return f"{self.prefix}hooks"

    def schedule(self, name: str) -> str:
        """HASH: `seen`, the moment up to which a schedule's nights were decided, s, and `latest`, the last one's run.

        TTL: none.
        """
        return f"{self.prefix}schedule:{name}"

    @property
    def schedule_successes(self) -> str:
        """HASH: schedule -> when a night of it was last over in order, s. TTL: none."""
        return f"{self.prefix}schedule-successes"

    def night(self, run: str) -> str:
        """HASH: one night of a schedule: its state, which process has it, and its result. TTL: 30 days."""
        return f"{self.prefix}night:{run}"

    @property
    def night_changes(self) -> str:
        """ZSET: run of a night -> when the night's state last changed, ms. TTL: none, members leave after 30 days."""
        return f"{self.prefix}night-changes"

    @property
    def open_nights(self) -> str:
        """ZSET: runs of nights that have begun and are not over -> when they began, s. TTL: none, removed when over."""
        return f"{self.prefix}open-nights"

    def row_fingerprints(self, schedule: str, epoch: int = 0) -> str:
        """Prefix of HASHes `…prints:NAME:EPOCH:000` to `…:fff`: digest of a row id -> fingerprint of its last success.

        TTL: to the end of the epoch after the one named; see `nightly.row_fingerprints`.
        """
        return f"{self.prefix}prints:{schedule}:{epoch}:"

    @property
    def beat(self) -> str:
        """Prefix of redbeat's names: STRING, its lock, who of all schedulers ticks. TTL: 5 s, renewed with each tick.

        Its ZSET and HASHes of entries are not used.
        """
        return f"{self.prefix}beat"

    @property
    def index(self) -> str:
        """Prefix of HASHes `…index:000` to `…index:fff`: digest of a task_id -> digest of its body and its place.

        Entries are forgotten with their run. See `index_entry`.
        """
        return f"{self.prefix}index:"

    @property
    def holds(self) -> str:
        """HASH: scope (`partner`, `run:NUMBER` or `brand:ID`) -> the hold in JSON. TTL: none.

        Members leave with a resume, or some moments after the end that they name.
        """
        return f"{self.prefix}holds"

    @property
    def audit(self) -> str:
        """STREAM: what people and the fleet did and what was refused. TTL: none; COUPONPRESS_AUDIT_TTL per entry."""
        return f"{self.prefix}audit"

    @property
    def acts(self) -> str:
        """HASH: an act, as the audit log names it -> how often it was noted. TTL: none; nothing in it ever shrinks."""
        return f"{self.prefix}acts"

    @property
    def outage(self) -> str:
        """STRING: since when and why a process finds the platform down, JSON. TTL: 5 s, renewed meanwhile."""
        return f"{self.prefix}outage"

    @property
    def present(self) -> str:
        """HASH: a process -> what it is and when it last said so. Removed after 15 s; TTL: a minute."""
        return f"{self.prefix}present"

    @property
    def left(self) -> str:
        """ZSET: a process that said that it stops -> when, s. TTL: none, members leave after a day."""
        return f"{self.prefix}left"

    @property
    def notify_leader(self) -> str:
        """STRING: which process tells people of events. TTL: seconds, renewed while it lives."""
        return f"{self.prefix}notify-leader"

    @property
    def notify_seen(self) -> str:
        """STRING: what was last seen of runs, holds, nights and processes, JSON. TTL: none."""
        return f"{self.prefix}notify-seen"

    def notify_claim(self, occurrence: str) -> str:
        """STRING: notes that an occurrence was put into the queues of its targets. TTL: 30 days."""
        return f"{self.prefix}notify-claim:{occurrence}"

    def notify_queue(self, target: str) -> str:
        """LIST: what a target is still to be told, each with the moment (ms) at which it was put there. TTL: 2 days."""
        return f"{self.prefix}notify-queue:{target}"

    def notify_call(self, target: str) -> str:
        """HASH: the call to a target that is under way: by whom, until when, `1`, `2`, …: what it tells.

        `tries` and `objection`: how often in vain, and the last answer. TTL: 2 days.
        """
        return f"{self.prefix}notify-call:{target}"

    def notify_rest(self, robot: str) -> str:
        """STRING: notes that a robot, named by a digest of its URL, is sent nothing now. TTL: that rest."""
        return f"{self.prefix}notify-rest:{robot}"

    @property
    def holds_changed(self) -> str:
        """CHANNEL: the scope of a hold that was just set or released. TTL: none, nothing is stored."""
        return f"{self.prefix}holds-changed"

    @property
    def events(self) -> str:
        """HASH: kind of callback -> how many arrived. TTL: none."""
        return f"{self.prefix}events"

    def echo(self, message: str) -> str:
        """STRING: notes that the doctor's test notice with this message came back. TTL: ten minutes."""
        return f"{self.prefix}echo:{message}"

    def passed_on(self, notice_id: str) -> str:
        """STRING: notes that the other system took the callback with this id. TTL: an hour."""
        return f"{self.prefix}passed_on:{notice_id}"

    @property
    def doctor(self) -> str:
        """STREAM, LIST and CHANNEL: used by the doctor to test a server. TTL: a second."""
        return f"{self.prefix}doctor"

    def quota(self, token: str) -> str:
        """HASH: the day, and how many specs a token of the gateway has enqueued on it. TTL: until the day ends."""
        return f"{self.prefix}quota:{token}"

    def idempotency(self, digest: str) -> str:
        """HASH: the digest of a request that a token sent with an Idempotency-Key, and the answer. TTL: a day."""
        return f"{self.prefix}idempotency:{digest}"

    @property
    def selections(self) -> str:
        """ZSET: id of a selection of specs -> when the gateway was asked for it, s. Removed after an hour."""
        return f"{self.prefix}selections"

    def selection(self, selection_id: str) -> str:
        """HASH: whose selection it is, its filter, its act, and how far that is. TTL: an hour after the last change."""
        return f"{self.prefix}selection:{selection_id}"

    def selection_places(self, selection_id: str) -> str:
        """HASH: chunk id -> the chosen positions in it, with blanks between. TTL: an hour after the last change."""
        return f"{self.prefix}selection-places:{selection_id}"

    def picture(self, digest: str) -> str:
        """STRING: the platform's URL of the picture with this content. TTL: 30 days after its last use."""
        return f"{self.prefix}picture:{digest}"

    @property
    def leader(self) -> str:
        """STRING: which process does recovery and status queries for all. TTL: seconds, renewed while it lives."""
        return f"{self.prefix}leader"

    def bucket(self, name: str) -> str:
        """HASH (the limiter's): the state of one token bucket. TTL: a day after its last use."""
        return f"{self.prefix}bucket:{name}"

    @property
    def flight(self) -> str:
        """STREAM: per process and second, when each request was sent. TTL: entries are removed after ten minutes."""
        return f"{self.prefix}flight"

    @property
    def request_durations(self) -> str:
        """HASH: what a call was for, its status, why no answer came, and a bucket -> how many calls. TTL: none.

        With `sum` for the bucket: how long they took together, microseconds. See `ledger.request_durations`.
        """
        return f"{self.prefix}request-durations"

    def pace(self, name: str) -> str:
        """HASH (the limiter's): a bucket's rate: configured, set by hand, learned; see `adaptive.lua`. TTL: none."""
        return f"{self.prefix}pace:{name}"


#: What a hold of the whole partner is stored under.
PARTNER_SCOPE = "partner"


def queue_name(keys: Keys, queue: str) -> str:
    """Return the name by which Celery knows a queue; its transport puts the partner's prefix before it."""
    return queue.removeprefix(keys.prefix)


def run_scope(number: str) -> str:
    """Return what a run's hold is stored under."""
    return f"run:{number}"


def brand_scope(brand_id: str) -> str:
    """Return what a brand's hold is stored under."""
    return f"brand:{brand_id}"


def lane_of(number: str) -> Lane:
    """Return the lane of a run's number or a chunk's id."""
    return "urgent" if number.startswith("u") else "bulk"


def run_of(chunk_id: str) -> str:
    """Return the run's number of a chunk's id."""
    return chunk_id.partition(".")[0]


def index_entry(task_id: str) -> bytes:
    """Return the 10 bytes under which a task_id is indexed; their first 12 bits choose one of INDEX_BUCKETS hashes.

    80 bits: among ten million task_ids the chance of one collision is below 1 in 10^10.
    """
    return hashlib.sha256(task_id.encode()).digest()[:10]


def index_bucket(entry: bytes) -> str:
    """Return the last part of the name of an entry's index hash: its first 12 bits. The scripts compute it too."""
    return f"{entry[0] * 16 + (entry[1] >> 4):03x}"
