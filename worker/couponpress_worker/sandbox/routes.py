"""Finds the call that a method and a path mean: the product-coupon picture calls of a partner or a brand (pure)."""

from __future__ import annotations

from typing import Literal, NamedTuple

from couponpress_worker.sandbox import refusals
from couponpress_worker.sandbox.exchange import Answer

SUBMIT_PATH = "/v3/marketing/partner/product-coupon/image-generation-tasks"
UPLOAD_PATH = "/v3/marketing/partner/product-coupon/media/upload-image"
NOTIFY_PATH = "/v3/marketing/partner/product-coupon/notify-configs"
ECHO_PATH = "/v3/security/echo"
CERTIFICATES_PATH = "/v3/certificates"

Kind = Literal["submit", "query", "upload", "notify_shown", "notify_set", "echo", "certificates"]
KINDS: tuple[Kind, ...] = ("submit", "query", "upload", "notify_shown", "notify_set", "echo", "certificates")

_CALLS: dict[str, dict[str, Kind]] = {
    SUBMIT_PATH: {"POST": "submit"},
    UPLOAD_PATH: {"POST": "upload"},
    NOTIFY_PATH: {"GET": "notify_shown", "POST": "notify_set"},
    ECHO_PATH: {"POST": "echo"},
    CERTIFICATES_PATH: {"GET": "certificates"},
}
_QUERY: dict[str, Kind] = {"GET": "query"}
_PARTNERS = "/v3/marketing/partner/"
#: A brand has the same coupon calls below another path. The pages show no others.
_BRANDS = "/brand/marketing/"


class Call(NamedTuple):
    """A call that exists; `task_id` is what a query's path names."""

    kind: Kind
    task_id: str = ""


def find(method: str, path: str, *, brand: bool = False) -> Call | Answer:
    """Return the call of a partner, or of a brand, or the refusal: 404 for a path, 405 for a method."""
    if brand:
        if not path.startswith(_BRANDS):
            return refusals.not_found()
        path = path.replace(_BRANDS, _PARTNERS, 1)
    methods, task_id = _CALLS.get(path), ""
    if methods is None:
        prefix, _, task_id = path.rpartition("/")
        if prefix != SUBMIT_PATH or not task_id:
            return refusals.not_found()
        methods = _QUERY
    kind = methods.get(method)
    return refusals.wrong_method(tuple(methods)) if kind is None else Call(kind, task_id)
