"""The commands, one a file: each parses, asks, and presents the answer. flux.cli imports them when they are used."""
