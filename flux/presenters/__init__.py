"""Answers made readable: lines, trees, colours, JSON. Takes plain values only and never sees a connection."""
