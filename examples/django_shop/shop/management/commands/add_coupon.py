"""Adds a coupon, as a form of the shop would. Its picture is asked for once it is stored."""

from argparse import ArgumentParser

from django.core.management.base import BaseCommand
from django.db import transaction

from shop.models import Coupon


class Command(BaseCommand):
    """Stores one coupon; amounts are in cents."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take what a coupon is made of."""
        parser.add_argument("brand_id")
        parser.add_argument("threshold", type=int)
        parser.add_argument("discount_amount", type=int)

    def handle(self, *, brand_id: str, threshold: int, discount_amount: int, **_: object) -> None:
        """Store it, whole or not at all."""
        with transaction.atomic():
            coupon = Coupon.objects.create(brand_id=brand_id, threshold=threshold, discount_amount=discount_amount)
        self.stdout.write(f"{coupon} is stored")
