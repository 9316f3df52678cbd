"""Who calls the platform: a partner for its brands, or a brand merchant for itself. Pure.

The two differ in the paths of their calls, in the scheme of their signature, in how it names the caller, and in which
bytes of a stored body are sent. Pages: pay.weixin.qq.com/doc/v3/partner/4017327752 (partner), and
pay.wechatpay.cn/doc/brand/4017327691, .../4017327697, .../4015736285, .../4015736293 (brand).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from couponpress_worker.wechatpay.signing import BRAND_SCHEME, SCHEME


@dataclass(frozen=True, slots=True)
class Account:
    """One kind of caller.

    Attributes:
        scheme: the first word of its Authorization header.
        named: what its own id is called there.
        coupons: the path below which the coupon calls lie.
        brand_id: the brand that calls for itself, which no path and no body names; empty for a partner.
    """

    scheme: str
    named: str
    coupons: str
    brand_id: str = ""

    @classmethod
    def of_brand(cls, brand_id: str) -> Self:
        """Return the account of a brand merchant."""
        return cls(BRAND_SCHEME, "brand_id", "/brand/marketing/product-coupon", brand_id)

    @property
    def submit_target(self) -> str:
        """The path that takes tasks, and under which each is asked for."""
        return f"{self.coupons}/image-generation-tasks"

    @property
    def upload_target(self) -> str:
        """The path that takes pictures."""
        return f"{self.coupons}/media/upload-image"

    @property
    def notify_target(self) -> str:
        """The path of the callback URL."""
        return f"{self.coupons}/notify-configs"

    def query_target(self, task_id: str, brand_id: str, image_generation_type: str) -> str:
        """Return path and query that ask for a task."""
        brand = "" if self.brand_id else f"brand_id={brand_id}&"
        return f"{self.submit_target}/{task_id}?{brand}image_generation_type={image_generation_type}"

    def sent(self, body: bytes) -> bytes:
        """Return what is sent of a stored body, always the same bytes; a brand does not name itself.

        Raises:
            ValueError: the body is of another brand; sent without its name, it would make this one's picture.
        """
        if not self.brand_id:
            return body
        own = f'{{"brand_id":"{self.brand_id}",'.encode()
        if not body.startswith(own):
            raise ValueError(f"a spec of another brand cannot be submitted by the brand {self.brand_id} itself.")
        return b"{" + body.removeprefix(own)


PARTNER: Final = Account(SCHEME, "mchid", "/v3/marketing/partner/product-coupon")
