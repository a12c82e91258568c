"""[auth] of flux.toml: how callers say who they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from flux.errors import ConfigError

_ALGORITHMS = (
    *("HS256", "HS384", "HS512", "RS256", "RS384", "RS512"),
    *("PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"),
)


@dataclass(frozen=True, slots=True)
class Auth:
    """JSON Web Tokens: which are good, and what they say.

    `jwt_secret` is the environment variable that holds the secret, or the public key in PEM; None where tokens are not
    looked at. `role_claim` names the claim that holds the database role of a caller.
    """

    jwt_secret: str | None = None
    jwt_algorithms: tuple[str, ...] = ("HS256",)
    issuer: str | None = None
    audience: str | None = None
    role_claim: str = "role"
    required: bool = False


class Settings(Protocol):
    """The reader of flux.toml."""

    path: Path
    left: dict[str, dict[str, Any]]

    def take(self, table: str, key: str, kind: type, default: Any) -> Any:
        """A value of a kind."""

    def names(self, table: str, key: str) -> tuple[str, ...]:
        """A list of strings."""

    def environment_variable(self, table: str, key: str) -> str | None:
        """The variable that "env:NAME" names."""


def read_auth(settings: Settings) -> Auth:
    """The settings under [auth]; raises ConfigError."""
    given: Mapping[str, Any] = dict(settings.left.get("auth", {}))
    algorithms = settings.names("auth", "jwt_algorithms") or ("HS256",)
    required = settings.left.get("auth", {}).pop("required", False)
    auth = Auth(
        jwt_secret=settings.environment_variable("auth", "jwt_secret"),
        jwt_algorithms=algorithms,
        issuer=settings.take("auth", "issuer", str, None),
        audience=settings.take("auth", "audience", str, None),
        role_claim=settings.take("auth", "role_claim", str, "role"),
        required=required,
    )
    where = f"{settings.path}: [auth]"
    if unknown := [name for name in algorithms if name not in _ALGORITHMS]:
        raise ConfigError(f"{where} jwt_algorithms has {unknown[0]}; there is {', '.join(_ALGORITHMS)}")
    if len({name.startswith("HS") for name in algorithms}) > 1:  # a public key would do as a secret
        raise ConfigError(f"{where} jwt_algorithms mixes those of a secret with those of a public key")
    if not isinstance(required, bool):
        raise ConfigError(f"{where} required must be true or false, not {required!r}")
    if given and auth.jwt_secret is None:
        raise ConfigError(f'{where} needs jwt_secret, such as "env:JWT_SECRET"')
    return auth
