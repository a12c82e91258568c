"""Postgres: connections, the transaction of a request, its recording, the installer and the embedded server."""
