"""How fast the fleet sends: the token bucket, the adaptive limit, slots, the send log."""
