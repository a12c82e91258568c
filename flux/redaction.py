"""What must never be stored: credentials, and the fields and columns that the project lists as secret."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

REDACTED = "[redacted]"

#: Headers that carry credentials; never stored, whatever flux.toml says.
CREDENTIAL_HEADERS = frozenset(
    {
        "api-key",
        "apikey",
        "authorization",
        "cookie",
        "proxy-authorization",
        "set-cookie",
        "stripe-signature",
        "x-amz-security-token",
        "x-api-key",
        "x-auth-token",
        "x-csrf-token",
        "x-hub-signature",
        "x-hub-signature-256",
        "x-xsrf-token",
    }
)

#: Shorter secrets are not looked for inside other text: "1" or "yes" would blank out half of a message.
SHORTEST_SECRET_IN_TEXT = 6

#: Shorter ones, such as a PIN, are looked for as whole words; of one or two characters they are not.
SHORTEST_SECRET_AS_WORD = 3


class Redactor:
    """Knows which names are secret: `password` anywhere, `card.number` below card, `users.password_hash` in a table."""

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        paths = [tuple(pattern.lower().split(".")) for pattern in patterns]
        self.names = frozenset(path[0] for path in paths if len(path) == 1)
        self.paths = tuple(path for path in paths if len(path) > 1)
        self.active = bool(paths)

    def hides(self, path: tuple[str, ...]) -> bool:
        """Whether the value at this path of lower-case names is secret."""
        return path[-1] in self.names or any(path[-len(known) :] == known for known in self.paths)

    def clean(self, value: Any, secrets: set[str], path: tuple[str, ...] = ()) -> Any:
        """A copy of value with secret parts replaced; what was replaced is added to secrets."""
        if isinstance(value, Mapping):
            return {key: self._member(key, item, secrets, path) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.clean(item, secrets, path) for item in value]
        return clean_text(value, secrets) if secrets and isinstance(value, str) else value

    def _member(self, key: Any, item: Any, secrets: set[str], path: tuple[str, ...]) -> Any:
        here = (*path, str(key).lower())
        if not self.hides(here):
            return self.clean(item, secrets, here)
        if item is None:
            return None
        if isinstance(item, str | int | float | Decimal) and not isinstance(item, bool):
            secrets.add(str(item))
        return REDACTED


def clean_text(text: str, secrets: set[str]) -> str:
    """Text with every secret known of this request replaced."""
    for secret in secrets:
        if text == secret or len(secret) >= SHORTEST_SECRET_IN_TEXT:
            text = text.replace(secret, REDACTED)
        elif len(secret) >= SHORTEST_SECRET_AS_WORD:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", REDACTED, text)
    return text
