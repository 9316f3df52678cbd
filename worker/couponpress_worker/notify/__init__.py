"""Tells people of what happens: group robots of 企业微信, 钉钉 and 飞书, and plain webhooks. See docs/notify.md."""
