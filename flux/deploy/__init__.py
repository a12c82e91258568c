"""Which code runs."""
