"""The `couponpress` command."""
