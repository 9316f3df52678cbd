"""Says stored sentences in the language of the person who reads them: why something is held, and what became of a spec.

The fleet and the ledger store English, which every reader shares. The sentences that they are known to store stand
here and are translated where they are shown. Others, such as the platform's own words, are shown as they are stored.
"""

from __future__ import annotations

from typing import Final

from couponpress.language import gettext_noop
from couponpress.library_sentences import KNOWN as LIBRARIES
from couponpress.sentence_patterns import SentencePatterns

#: Each as it is stored; `%(name)s` stands for any text, which may be a known sentence itself. The first that fits.
KNOWN: Final = (
    # What is held.
    gettext_noop("partner"),
    gettext_noop("run %(run)s"),
    gettext_noop("brand %(brand)s"),
    # Why, and how it goes on.
    gettext_noop("%(reason)s, until %(moment)s"),
    gettext_noop("paused by hand: %(why)s"),
    gettext_noop("paused by hand"),
    gettext_noop("being cancelled"),
    gettext_noop("`%(command)s` lets it go on"),
    gettext_noop("`couponpress cancel %(run)s` again finishes it"),
    gettext_noop("the platform rejected its first %(specs)s specs and took none, the last one with %(reason)s"),
    gettext_noop("the platform rejected its first %(specs)s specs and took none"),
    gettext_noop(
        "Look at the catalog. If it is wrong: `couponpress cancel %(run)s`, mend it, and submit it under a new run "
        "name. If it is right: `couponpress resume %(same_run)s` goes on from where it stopped."
    ),
    gettext_noop(
        "the platform refused %(count)s brands one after the other and took nothing; the last one: %(reason)s"
    ),
    gettext_noop(
        "The partner must have the permission for product coupons on the merchant platform: have it granted, "
        "`couponpress resume`, and then `couponpress resume --brand ID` for each brand that is held. If only these "
        "brands did not authorise the partner: `couponpress resume`, the others go on."
    ),
    gettext_noop("%(cure)s Then `couponpress resume --brand %(brand)s`."),
    gettext_noop(
        "The brand must authorise the partner on the merchant platform (or the partner lacks the permission for "
        "product coupons, if every brand is refused). A brand that signs for itself needs that permission of its own."
    ),
    gettext_noop(
        "COUPONPRESS_MCHID, COUPONPRESS_MCH_SERIAL_NO and COUPONPRESS_MCH_PRIVATE_KEY_FILE must belong together: "
        "compare them with the API certificate on the merchant platform, then `couponpress resume`."
    ),
    gettext_noop(
        "COUPONPRESS_WECHATPAY_PUBLIC_KEY_ID is not an id that the platform knows: copy it whole, with its "
        "PUB_KEY_ID_ prefix, from the merchant platform's API security page, then `couponpress resume`. The "
        "merchant's own serial number is not meant."
    ),
    gettext_noop(
        "The merchant API certificate has expired: issue a new one on the merchant platform, set its serial number "
        "and private key, then `couponpress resume`."
    ),
    gettext_noop(
        "COUPONPRESS_BASE_URL must be the platform's own host, without a path and without a proxy that changes paths: "
        "correct it, then `couponpress resume`."
    ),
    gettext_noop(
        "The platform refuses the form of the call, not the row: look for a proxy that changes requests on their way, "
        "and for a newer couponpress; then `couponpress resume`."
    ),
    gettext_noop(
        "This machine's clock is %(seconds)s s ahead of the platform's, and 300 s is the most that it takes: set the "
        "clock (NTP), then `couponpress resume`."
    ),
    gettext_noop(
        "This machine's clock is %(seconds)s s behind the platform's, and 300 s is the most that it takes: set the "
        "clock (NTP), then `couponpress resume`."
    ),
    gettext_noop(
        "The platform takes our calls, but its answers do not verify: COUPONPRESS_WECHATPAY_PUBLIC_KEY_ID and "
        "COUPONPRESS_WECHATPAY_PUBLIC_KEY_FILE must be the id and the file of one key, from the merchant platform's "
        "API security page. Correct them, start the workers again, then `couponpress resume`."
    ),
    gettext_noop("%(count)s answers in a row did not verify, and none before did: %(reason)s"),
    # What a process says of itself.
    gettext_noop("sending"),
    gettext_noop("receiving"),
    gettext_noop("waiting"),
    gettext_noop("idle"),
    gettext_noop("held"),
    gettext_noop("platform down"),
    gettext_noop("platform unreached"),
    gettext_noop("Redis away"),
    gettext_noop("Redis full"),
    gettext_noop("keys unusable"),
    gettext_noop("stopping"),
    gettext_noop("stuck"),
    # What is wrong with Redis.
    gettext_noop("it deletes keys when it is full (%(policy)s): set maxmemory-policy noeviction"),
    gettext_noop("%(share)s of its memory is used: raise maxmemory, or cancel what is not needed"),
    gettext_noop("it may forget the last writes when it restarts: set appendonly yes"),
    gettext_noop("it could not write its %(what)s: look at its disk and its log"),
    gettext_noop("append-only file"),
    gettext_noop("snapshot"),
    # Why the platform gave no answer, or none that can be used.
    gettext_noop("connection timeout: all were in use for %(seconds)s s"),
    gettext_noop("connection timeout: none within %(seconds)s s"),
    gettext_noop("Cannot connect to %(address)s (%(reason)s)"),
    gettext_noop("the far end closed the connection while it waited for its slot"),
    gettext_noop("the connection broke before an answer came"),
    gettext_noop("an answer of more than %(bytes)s bytes"),
    gettext_noop("what came back is no HTTP answer (%(error)s)"),
    gettext_noop("an answer whose body cannot be decoded (%(error)s)"),
    gettext_noop("the client was closed"),
    gettext_noop("the platform took the request but leaves the outcome open"),
    gettext_noop("status %(status)s without a reason"),
    gettext_noop("task_state is %(state)s, which is none of the known ones"),
    gettext_noop("task_state is SUCCESS, but there is no image_url"),
    gettext_noop("the timestamp is not a number"),
    gettext_noop("the timestamp is 5 minutes or more from our clock"),
    gettext_noop("signed with a key that is not known here"),
    gettext_noop("the signature does not hold"),
    gettext_noop("the proxy %(shown)s cannot be reached (%(why)s): check %(named_by)s"),
    gettext_noop("the proxy %(shown)s did not answer within %(seconds)s s"),
    gettext_noop("the proxy %(shown)s wants another user name or password (%(told)s): correct %(named_by)s"),
    gettext_noop("the proxy %(shown)s refused the connection (%(told)s)"),
    gettext_noop("the proxy %(shown)s answered with a web page instead of a connection"),
    gettext_noop("the proxy %(shown)s is no HTTP proxy: %(what)s"),
    gettext_noop("the proxy %(shown)s sent more than an answer to CONNECT"),
    # How often a spec ended so, and with which code.
    gettext_noop("failed %(code)s"),
    gettext_noop("rejected %(code)s"),
    gettext_noop("expired %(code)s"),
    gettext_noop("cancelled %(code)s"),
    # What came of an act in the audit log.
    gettext_noop("done"),
    gettext_noop("nothing"),
    gettext_noop("denied"),
    gettext_noop("begun"),
    gettext_noop("%(rate)s until %(moment)s"),
    # What became of a spec.
    gettext_noop("taken back by `cancel` before the platform accepted it"),
    gettext_noop("the platform could not make the picture; it gives no reason"),
    gettext_noop("sent, but the platform does not tell what became of it: %(reason)s"),
    gettext_noop("accepted, yet the platform does not know it after %(tries)s tries"),
    gettext_noop("accepted, yet the platform does not know it"),
    gettext_noop("accepted, but never finished by the platform"),
    gettext_noop("accepted, but it cannot be queried: %(reason)s"),
    gettext_noop("%(tries)s tries, the last one: %(reason)s"),
    gettext_noop("its chunk is a dead letter: %(reason)s"),
    gettext_noop("a value is not allowed"),
    gettext_noop("a value is too long"),
    gettext_noop("a value is too short"),
    gettext_noop("a value is out of range"),
    gettext_noop("a date is out of range"),
    gettext_noop("the body's structure is wrong"),
    gettext_noop("a parameter is wrong"),
    gettext_noop("the coupon's picture is missing"),
    gettext_noop("no such object, or it belongs to another brand or partner"),
    gettext_noop("the app id is not allowed"),
    gettext_noop("the task_id was used before with other data"),
    gettext_noop("the partner lacks the permission, or the brand did not authorise it"),
    gettext_noop("the picture is over the size limit"),
    gettext_noop("a parameter is not known to the platform"),
    # Why a chunk is a dead letter.
    gettext_noop("its record is not whole"),
    gettext_noop("its stored bytes cannot be unpacked (%(error)s)"),
    gettext_noop("it holds %(rows)s and %(states)s"),
    gettext_noop("%(number)s rows"),
    gettext_noop("1 row"),
    gettext_noop("%(number)s states"),
    gettext_noop(
        "its record is lost, and with it up to 100 specs; submit the same catalog again under the same run name, which "
        "stores again what is missing"
    ),
    gettext_noop(
        "%(workers)s workers in a row ended or stood still with it in hand and without an answer for any of its specs, "
        "the last one %(last)s; see that worker's log"
    ),
    # What is wrong with Redis.
    gettext_noop("it deletes keys when it is full (%(policy)s): set maxmemory-policy noeviction"),
    gettext_noop("%(share)s of its memory is used: raise maxmemory, or cancel what is not needed"),
    gettext_noop("it may forget the last writes when it restarts: set appendonly yes"),
    gettext_noop("it could not write its append-only file: look at its disk and its log"),
    gettext_noop("it could not write its snapshot: look at its disk and its log"),
    # What an act in the audit log was about, what came of it, and why the fleet did it.
    gettext_noop("its end was there"),
    gettext_noop("all that match %(selection)s"),
    gettext_noop("until %(moment)s"),
    gettext_noop("begun, %(specs)s specs match"),
    gettext_noop("stopped after %(specs)s specs"),
    gettext_noop("%(specs)s specs"),
    # Why a hook was not told.
    gettext_noop("tries in vain: %(tries)s, the last one: %(reason)s"),
    gettext_noop("not called: %(error)s"),
    gettext_noop("no answer within %(seconds)s s"),
    gettext_noop("status %(status)s, and redirects are not followed"),
)
#: What a library said may stand in any of them.
_PATTERNS: Final = SentencePatterns((*KNOWN, *LIBRARIES))


def in_words(stored: str) -> str:
    """Return a stored sentence in the current language; as it is stored where it is not known."""
    return _PATTERNS.in_words(stored)
