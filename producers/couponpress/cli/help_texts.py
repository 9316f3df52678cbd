"""What `--help` says of each command, marked for the message catalog; a test compares it with the docstrings."""

from __future__ import annotations

from typing import Final

from couponpress.language import gettext_noop

COMMANDS: Final = (
    gettext_noop("Enqueue catalogs as one run. The same catalog again is the same work: nothing is sent twice."),
    gettext_noop("Show a run's progress and why specs ended badly; without a name, every run and every hold."),
    gettext_noop("Show a run's progress until every spec has its outcome; without a name, the youngest run's."),
    gettext_noop(
        "Show one spec: where it is, each try and answer with its moment and Request-ID, callbacks, and the request."
    ),
    gettext_noop("Write one line per spec: row id, task id, outcome, picture URL or reason."),
    gettext_noop("Write an example catalog with Chinese headers, a row of every kind, and what each column takes."),
    gettext_noop(
        "Stop submitting a run, a brand, everything, or all that match; requests in flight end, nothing is lost.\n"
        "\n"
        "With an option that chooses specs, exactly those that match now are taken out of what waits, until\n"
        "`couponpress resume --state paused` or the same options let them go on. With --until or --for, what is "
        "paused goes\n"
        "on by itself."
    ),
    gettext_noop("Let a run, a brand, everything, or all that match and are paused, go on from where it stopped."),
    gettext_noop(
        "Take back what the platform has not accepted, of a run, of every run, or of all that match; the "
        "rest goes on.\n"
        "\n"
        "Without an option that chooses specs the run is held meanwhile, so that nothing of it is sent any "
        "more. With one,\n"
        "exactly the specs that match now are taken back."
    ),
    gettext_noop(
        "Send ended specs again, of a run or all that match: same task_id and bytes; failed ones only when "
        "asked for.\n"
        "\n"
        "It helps where the cause lay outside the row and is gone: an outage, a permission, a dead-letter "
        "chunk. A row\n"
        "that is wrong, and a picture that the platform could not make, need a new task_id: submit them "
        "under a new run name."
    ),
    gettext_noop(
        "Show the dead letters of a run or of all, or delete them once their cause is known.\n"
        "\n"
        "Their specs have ended as expired and stay so; `couponpress redrive RUN --code DEAD_LETTER` sends them again."
    ),
    gettext_noop(
        "Show the rate of the running fleet, or set it by hand: at once, for all workers, without a restart.\n"
        "\n"
        "COUPONPRESS_RATE of the workers is the ceiling, unless a rate is set by hand: that one may be lower "
        "or higher, and\n"
        "stays until `couponpress limit default`, or as long as --until or --for says. Either way what was "
        "learned from the\n"
        "platform's refusals is forgotten.\n"
        "When the platform refuses at the rate in force, the fleet finds the limit that is really there by "
        "itself, stays\n"
        "below it, and climbs back when it is lifted."
    ),
    gettext_noop(
        "Show the shares of brands, or set one: at once, for all workers, without a restart.\n"
        "\n"
        "Brands that wait in the same lane take turns, so that one with ten rows does not wait for one with a "
        "million. Of\n"
        "two brands, one with --weight 3 sends three specs for each one of the other. A brand with --per-second "
        "rests when\n"
        "it has sent as much, and the others go on. A share that is set replaces the brand's share before."
    ),
    gettext_noop(
        "Show the whole fleet live: rate, limits, lanes, workers, runs, and what the fleet is bound by.\n"
        "\n"
        "Keys: p pauses everything, r resumes, l changes the limit, q quits; each act is confirmed first. "
        "Looking costs the\n"
        "fleet nothing that grows with a run, and nothing at all when nobody looks."
    ),
    gettext_noop(
        "Show what people and the fleet did, the latest first: who, by which way, when and why; and what was refused."
    ),
    gettext_noop("Show every schedule, its next start, and what came of its latest night."),
    gettext_noop("Show when schedules start next, in each one's own time zone with its UTC offset."),
    gettext_noop(
        "Start a schedule now, from this machine's files. Within the same minute it is the same night, and starts once."
    ),
    gettext_noop("Leave out the next night of a schedule; the one after it starts as usual."),
    gettext_noop(
        "Take specs over HTTP from apps that hold a token, and answer what became of them. See docs/protocol.md."
    ),
    gettext_noop("Make a token, print it once, and write its digest to COUPONPRESS_GATEWAY_TOKENS_FILE."),
    gettext_noop(
        "Tell Prometheus of the whole fleet, at /metrics: one such service is enough. See docs/operations.md."
    ),
)
