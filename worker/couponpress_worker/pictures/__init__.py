"""The merchant's own pictures: fetched, converted, uploaded to the platform."""
