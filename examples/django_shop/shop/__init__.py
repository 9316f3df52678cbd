"""A shop whose coupons get their pictures by themselves."""
