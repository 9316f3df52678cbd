"""How a spec that was accepted gets its outcome: callbacks, status queries, webhooks."""
