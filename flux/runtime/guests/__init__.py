"""Functions in other languages than Python, run by machinery that the runtime feeds through one host API."""
