"""One picture request as its producer states it, and the exact bytes of it that are sent.

Checks that a spec is valid, and serializes it. The rules are those of the platform's submit page
(pay.weixin.qq.com/doc/v3/partner/4017327752, 2026-01-26) and of the same-named coupon fields (partner/4016434630,
brand/4015736297). All amounts are cents (分).
"""

from __future__ import annotations

import hashlib
from binascii import b2a_base64
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from couponpress.broken_rules import broken, problems_of
from couponpress.errors import Problem, SpecError
from couponpress.language import gettext

ImageGenerationType = Literal["COMBINE_IMAGE", "CUT_OUT"]
Scope = Literal["ALL", "SINGLE", "CATEGORY"]
CouponType = Literal["NORMAL", "DISCOUNT", "EXCHANGE"]
UsageMode = Literal["SINGLE", "PROGRESSIVE_BUNDLE"]

#: The one object that belongs to each type; the others have no place in its body.
PART_OF_TYPE: Mapping[str, str] = {"COMBINE_IMAGE": "combine_image", "CUT_OUT": "cut_out"}
RULE_OF_TYPE: Mapping[str, str] = {
    "NORMAL": "normal_coupon",
    "DISCOUNT": "discount_coupon",
    "EXCHANGE": "exchange_coupon",
}

#: The platform counts in 64-bit integers.
_INT64_MAX = 2**63 - 1

#: What stands for the two letters of base64 that a URL cannot hold.
_URL_SAFE = bytes.maketrans(b"+/", b"-_")

Cents = Annotated[int, Field(ge=0, le=_INT64_MAX)]
TaskId = Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{6,40}\z")]
RowId = Annotated[str, Field(min_length=1, max_length=200)]
#: The platform prints no length for a brand id. The charset keeps it safe inside a signed query string.
BrandId = Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]+\z", max_length=64)]
Color = Annotated[str, Field(pattern=r"^#[0-9A-Fa-f]{6}\z")]
#: Only pictures that the platform stores itself; such a URL comes from its upload call.
StoredPictureUrl = Annotated[str, Field(pattern=r"^https://wxpaylogo\.qpic\.cn/[!-~]+\z", max_length=1024)]


class _Part(BaseModel):
    """Frozen, and strict: no unknown field, no text where a number belongs.

    Its validator is built when it is first needed: most commands, and plain rows, never need it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class NormalCoupon(_Part):
    """Spend `threshold` cents, get `discount_amount` cents off. Threshold 0 means none."""

    threshold: Cents
    discount_amount: Annotated[int, Field(ge=1, le=_INT64_MAX)]

    @model_validator(mode="after")
    def _discount_within_threshold(self) -> Self:
        if self.threshold and self.discount_amount > self.threshold:
            raise broken("discount_amount", gettext("must not exceed the threshold"), self.discount_amount)
        return self


class DiscountCoupon(_Part):
    """Spend `threshold` cents, get `percent_off` percent off: 20 means that 80 % is paid."""

    threshold: Cents
    percent_off: Annotated[int, Field(ge=1, le=99)]


class ExchangeCoupon(_Part):
    """Spend `threshold` cents, buy for `exchange_price` cents."""

    threshold: Cents
    exchange_price: Cents


class CombineImage(_Part):
    """A head picture: brand elements and the offer's text. Exactly one rule object, the one of its type."""

    scope: Scope
    type: CouponType
    usage_mode: UsageMode
    normal_coupon: NormalCoupon | None = None
    discount_coupon: DiscountCoupon | None = None
    exchange_coupon: ExchangeCoupon | None = None
    background_color: Color | None = None

    @model_validator(mode="after")
    def _one_rule_object(self) -> Self:
        others = (self.normal_coupon is None) + (self.discount_coupon is None) + (self.exchange_coupon is None)
        if others == len(RULE_OF_TYPE) - 1 and getattr(self, RULE_OF_TYPE[self.type]) is not None:
            return self  # as nearly all are
        for coupon_type, name in RULE_OF_TYPE.items():
            if (getattr(self, name) is None) == (coupon_type == self.type):
                rule = (
                    gettext("is required when type is %(type)s")
                    if coupon_type == self.type
                    else gettext("has no place when type is %(type)s")
                )
                raise broken(name, rule % {"type": self.type})
        return self


class CutOut(_Part):
    """A product photo whose background is to be removed."""

    image_url: StoredPictureUrl


class TaskSpec(_Part):
    """One picture request.

    Built directly it raises `pydantic.ValidationError`; `TaskSpec.parse` takes raw data and raises `SpecError`.

    Attributes:
        brand_id: the brand; it must have authorised the signing partner.
        task_id: the partner's own serial, 6 to 40 of digits, letters, `_` and `-`, unique for the partner.
            When absent, one is generated from the run and the row id.
        image_generation_type: `COMBINE_IMAGE` (head picture) or `CUT_OUT` (background removed).
        combine_image: required for COMBINE_IMAGE, absent otherwise.
        cut_out: required for CUT_OUT, absent otherwise.
        row_id: the catalog's own id, given back in the results; never sent.
    """

    brand_id: BrandId
    task_id: TaskId | None = None
    image_generation_type: ImageGenerationType
    combine_image: CombineImage | None = None
    cut_out: CutOut | None = None
    row_id: RowId | None = Field(default=None, exclude=True)

    @model_validator(mode="after")
    def _one_part(self) -> Self:
        is_cut_out = self.cut_out is not None
        if is_cut_out is (self.combine_image is None) and is_cut_out is (self.image_generation_type == "CUT_OUT"):
            return self  # as nearly all are
        for kind, name in PART_OF_TYPE.items():
            if (getattr(self, name) is None) == (kind == self.image_generation_type):
                rule = (
                    gettext("is required when image_generation_type is %(kind)s")
                    if kind == self.image_generation_type
                    else gettext("has no place when image_generation_type is %(image_generation_type)s")
                )
                raise broken(name, rule % {"kind": kind, "image_generation_type": self.image_generation_type})
        return self

    @classmethod
    def parse(cls, raw: Mapping[str, Any], *, strict: bool = False) -> tuple[TaskSpec, tuple[str, ...]]:
        """Read a request as the platform's own samples print it.

        Objects that the type does not use are left out and noted, for the platform's samples carry them; with
        `strict` they are refused, and so is EXCHANGE outside scope SINGLE, which coupon creation refuses.
        A null counts as absent.

        Returns:
            The spec and the notes, each a sentence about something left out or doubtful.

        Raises:
            SpecError: naming every broken rule.
        """
        if not isinstance(raw, Mapping):
            raise SpecError((Problem("spec", gettext("must be an object with the request's fields"), raw),))
        kept, left_out = _leave_out(raw)
        notes = [_noted(name, gettext("left out, it has no place here")) for name in left_out]
        try:
            spec = cls.model_validate(kept)
        except ValidationError as error:
            raise SpecError(problems_of(error)) from None
        refused = [Problem(name, gettext("has no place here")) for name in left_out]
        if (combine := spec.combine_image) is not None:
            doubtful, doubts = doubts_of(combine.scope, combine.type, combine.usage_mode)
            refused += doubtful
            notes += doubts
        if strict and refused:
            raise SpecError(tuple(refused))
        return spec, tuple(notes)

    def identified(self, run: str) -> TaskSpec:
        """Return this spec with a row id and a task_id; both depend on nothing but the run and the spec itself.

        A caller's own task_id is kept. A spec with neither id takes the digest of its body for a row id, so that
        two equal specs of one run are the same work.
        """
        if self.task_id is not None:
            return self if self.row_id is not None else self.model_copy(update={"row_id": self.task_id})
        row_id = self.row_id or hashlib.sha256(self._json()).hexdigest()[:16]
        return self.model_copy(update={"row_id": row_id, "task_id": generated_task_id(run, row_id)})

    def body(self) -> bytes:
        """Return the request body: compact UTF-8 JSON, absent fields left out.

        Made once and stored: these bytes are signed and sent again for ever after.

        Raises:
            ValueError: the spec has no task_id yet; see `identified`.
        """
        if self.task_id is None:
            raise ValueError("a spec without a task_id has no body yet: call identified(run) first")
        return self._json()

    def _json(self) -> bytes:
        return self.model_dump_json(exclude_none=True).encode()


def doubts_of(
    scope: Scope, coupon_type: CouponType, usage_mode: UsageMode
) -> tuple[tuple[Problem, ...], tuple[str, ...]]:
    """Return what the platform's pages make doubtful in a head picture: what strict reading refuses, and all notes."""
    refused: list[Problem] = []
    notes: list[str] = []
    if coupon_type == "EXCHANGE" and scope != "SINGLE":
        rule = gettext("an EXCHANGE coupon is known for scope SINGLE only")
        refused.append(Problem("combine_image.scope", rule, scope))
        notes.append(_noted("combine_image.scope", rule))
    if scope == "SINGLE":
        doubt = gettext("head pictures are meant for all-shop offers; a single item takes CUT_OUT")
        notes.append(_noted("combine_image.scope", doubt))
    if usage_mode == "PROGRESSIVE_BUNDLE":
        doubt = gettext("PROGRESSIVE_BUNDLE is listed, yet SINGLE may be all that is supported")
        notes.append(_noted("combine_image.usage_mode", doubt))
    return tuple(refused), tuple(notes)


def generated_task_id(run: str, row_id: str) -> str:
    """Return the task_id of a row: the same for the same run and row id, 23 characters, 120 bits of digest."""
    return task_ids_of(run)(row_id)


def task_ids_of(run: str) -> Callable[[str], str]:
    """Return `generated_task_id` for one run, for many rows."""
    of_run = hashlib.sha256(f"{run}\0".encode())

    def task_id_of(row_id: str) -> str:
        digest = of_run.copy()
        digest.update(row_id.encode())
        return "cp_" + b2a_base64(digest.digest()[:15], newline=False).translate(_URL_SAFE).decode()

    return task_id_of


def _leave_out(raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Copy `raw` without nulls and without the objects that its own types do not use; say which those were."""
    kept, left_out = _keep_only(_without_nulls(raw), PART_OF_TYPE, raw.get("image_generation_type"), "")
    combine = kept.get("combine_image")
    if isinstance(combine, Mapping):
        kept["combine_image"], more = _keep_only(combine, RULE_OF_TYPE, combine.get("type"), "combine_image.")
        left_out += more
    return kept, left_out


def _without_nulls(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _without_nulls(value) if isinstance(value, Mapping) else value
        for name, value in raw.items()
        if value is not None
    }


def _keep_only(
    raw: Mapping[str, Any], object_of_type: Mapping[str, str], kind: object, prefix: str
) -> tuple[dict[str, Any], list[str]]:
    kept = dict(raw)
    belongs = object_of_type.get(kind) if isinstance(kind, str) else None
    if belongs is None:
        return kept, []
    strangers = [name for name in object_of_type.values() if name != belongs and name in kept]
    for name in strangers:
        del kept[name]
    return kept, [prefix + name for name in strangers]


def _noted(field: str, doubt: str) -> str:
    return f"{field}: {doubt}"
