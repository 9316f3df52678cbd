"""How many examples a property is tried with that needs more than the usual hundred."""

from hypothesis import settings

#: What hypothesis tries by itself.
USUAL = settings.get_profile("default").max_examples


def examples(number: int) -> int:
    """Return the number, or the same share of it as the profile takes of the usual: `make test-quick` a quarter."""
    return number * settings.default.max_examples // USUAL
