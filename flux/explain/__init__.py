"""Queries: what a statement touches, before it runs."""
