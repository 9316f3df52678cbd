"""Connects the signal when Django has loaded everything."""

from django.apps import AppConfig
from django.db.models.signals import post_save


class ShopConfig(AppConfig):
    """The one app of this shop."""

    name = "shop"

    def ready(self) -> None:
        """Ask for a picture whenever a coupon was saved."""
        from shop.models import Coupon  # noqa: PLC0415 - Django loads models after the app
        from shop.pictures import enqueue_after_commit  # noqa: PLC0415

        post_save.connect(enqueue_after_commit, sender=Coupon)
