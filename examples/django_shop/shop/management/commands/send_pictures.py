"""Enqueues every coupon without a picture. Run it as often as you like: what is under way is not sent twice."""

from django.core.management.base import BaseCommand, CommandError

from couponpress import CouponpressError
from shop.models import Coupon
from shop.pictures import FOUND_RUN, client


class Command(BaseCommand):
    """Asks for what nobody asked for yet: coupons of an import, or saved while Redis was away."""

    help = __doc__

    def handle(self, **_: object) -> None:
        """Enqueue them all or none, in constant memory."""
        coupons = Coupon.objects.filter(picture_url="").iterator()
        try:
            receipt = client().enqueue_many((one.picture_request() for one in coupons), run=FOUND_RUN)
        except CouponpressError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{receipt.new} asked for, {receipt.known} were asked for before")
