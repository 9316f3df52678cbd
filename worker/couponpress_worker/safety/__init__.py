"""What may keep a request back: holds, the slow start, the circuit breaker."""
