"""What Django must be told for this example; nothing here is special to couponpress, which reads COUPONPRESS_*."""

import os
import secrets

SECRET_KEY = secrets.token_hex()  # a real shop keeps it
INSTALLED_APPS = ["shop"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ.get("SHOP_DB", "shop.sqlite3")}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
