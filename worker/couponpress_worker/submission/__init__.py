"""A chunk on its way from a hint to the platform's answers."""
