"""A fleet under attack, and the audit of what became of every spec; docs/chaos.md says what is done and promised."""
