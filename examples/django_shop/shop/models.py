"""A coupon, and the picture request that goes with it."""

import hashlib
import json
from typing import Any

from django.db import models


class Coupon(models.Model):
    """Spend `threshold` cents, get `discount_amount` cents off."""

    brand_id = models.CharField(max_length=64)
    threshold = models.BigIntegerField(default=0)
    discount_amount = models.BigIntegerField()
    picture_url = models.URLField(max_length=1024, blank=True, default="")

    def __str__(self) -> str:
        return f"coupon {self.pk}"

    def picture_request(self) -> dict[str, Any]:
        """Return the request; a changed offer gets another task_id, for the platform keeps to an id's first body."""
        rule = {"threshold": self.threshold, "discount_amount": self.discount_amount}
        combine = {"scope": "ALL", "type": "NORMAL", "usage_mode": "SINGLE", "normal_coupon": rule}
        digest = hashlib.sha256(json.dumps([self.brand_id, combine]).encode()).hexdigest()[:12]
        return {
            "task_id": f"coupon-{self.pk}-{digest}",
            "brand_id": self.brand_id,
            "image_generation_type": "COMBINE_IMAGE",
            "combine_image": combine,
        }
