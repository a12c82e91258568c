"""The one path that every request takes, and what user code holds while it runs."""
