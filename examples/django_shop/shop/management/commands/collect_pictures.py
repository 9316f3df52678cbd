"""Stores the URLs of finished pictures in their coupons, and tells which pictures there will not be."""

from django.core.management.base import BaseCommand, CommandError

from couponpress import CouponpressError, UnknownRunError
from shop.models import Coupon
from shop.pictures import FOUND_RUN, SAVED_RUN, client


class Command(BaseCommand):
    """Goes through the outcomes of both runs; a hook (docs/hooks.md) can tell when it is worth while."""

    help = __doc__

    def handle(self, **_: object) -> None:
        """Store what is there."""
        try:
            for run in (SAVED_RUN, FOUND_RUN):
                self.collect(run)
        except CouponpressError as error:
            raise CommandError(str(error)) from error

    def collect(self, run: str) -> None:
        """Store the pictures of one run; an offer that was changed meanwhile has another task_id and stays open."""
        open_coupons = {one.picture_request()["task_id"]: one for one in Coupon.objects.filter(picture_url="")}
        try:
            for outcome in client().outcomes(run):
                coupon = open_coupons.get(outcome.task_id)
                if coupon is not None and outcome.outcome == "succeeded":
                    coupon.picture_url = outcome.image_url
                    coupon.save(update_fields=["picture_url"])
                    self.stdout.write(f"{coupon}: {coupon.picture_url}")
                elif coupon is not None and outcome.outcome:
                    self.stdout.write(f"{coupon}: {outcome.outcome}, {outcome.code} {outcome.message}")
        except UnknownRunError:
            self.stdout.write(f"nothing was asked for in {run}")
