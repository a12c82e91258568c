"""--stub FILE: answers for calls that a replay makes and the record does not hold."""

from __future__ import annotations

from typing import IO, Any

from flux.errors import UsageError


def read_stubs(file: IO[bytes] | None) -> dict[str, Any]:
    """The answers by the name of the call; none without a file. Raises UsageError."""
    import orjson

    if file is None:
        return {}
    try:
        stubs = orjson.loads(file.read())
    except orjson.JSONDecodeError as error:
        raise UsageError(f"--stub {file.name} is not JSON: {error}") from error
    if not isinstance(stubs, dict):
        raise UsageError(
            f"--stub {file.name} is not a JSON object",
            hint='Give answers by the name of the call: {"stripe.charge": {"id": "ch_1"}}.',
        )
    return stubs
