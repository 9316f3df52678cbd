"""What `--help` says of the fleet's commands, marked for translation; a test compares it with the docstrings."""

from __future__ import annotations

from typing import Final

from couponpress.language import gettext_noop

COMMANDS: Final = (
    gettext_noop("Run a Celery worker that submits specs; start as many as you like, they share one limit."),
    gettext_noop("Recover what crashes left behind and query late specs, for fleets whose workers may scale to none."),
    gettext_noop(
        "Receive the platform's callbacks on /wechatpay/callback; of several partners on /wechatpay/callback/ID."
    ),
    gettext_noop("Show where the platform sends the partner's callbacks; with --set, change it after asking."),
    gettext_noop("Run a stand-in for the platform, as strict as it, that shows how often it was called."),
    gettext_noop("Run a Redis server for a first try: the one on PATH, else the embedded one."),
    gettext_noop("Check settings, keys, Redis, limits, clock and platform; every failure comes with its cure."),
    gettext_noop(
        "Say whether this machine's workers, schedulers and callback receivers get on.\n"
        "\n"
        "The exit code is 1 when one of them does not, or when no worker or scheduler runs.\n"
        "\n"
        "Reads the sign of life that each of them leaves in a file every second; asks neither Redis nor the "
        "platform."
    ),
    gettext_noop("Run everything on this machine: sample rows through a real worker against the sandbox."),
    gettext_noop(
        "Run every service on this machine, in one terminal.\n"
        "\n"
        "These are: Redis, the platform's stand-in, callback receiver, worker, scheduler and gateway. What "
        "the\n"
        "settings name is used: COUPONPRESS_REDIS_URL, and the platform by COUPONPRESS_MCH_PRIVATE_KEY_FILE "
        "and the others\n"
        "of deploy/README.md. Without them a Redis and a sandbox are started as well. Ctrl-C stops it all."
    ),
)
