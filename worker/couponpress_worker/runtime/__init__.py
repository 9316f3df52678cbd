"""One process of the fleet and its services: wiring, signs of life, recovery, shutdown."""
