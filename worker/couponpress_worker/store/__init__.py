"""The fleet's side of Redis: clients, availability, leases, batched writes."""
