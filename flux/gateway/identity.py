"""Who asks: the JSON Web Token of a request, checked and turned into claims. The only importer of jwt.

Tokens that were found good are remembered by their hash until they expire; what is not a good token is a refusal.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from threading import Lock
from typing import Any

import jwt

from flux.auth import Auth
from flux.context import RequestContext
from flux.errors import ConfigError
from flux.gateway.problems import Refused

#: Tokens that are remembered at most; the one that was not used for the longest goes first.
MOST_REMEMBERED = 4096

#: Bytes of a secret that signs tokens, at least (RFC 7518, 3.2).
SHORTEST_SECRET = 32

Claims = Mapping[str, Any]


class Identity:
    """Reads the tokens of one deployment's callers; raises ConfigError when the environment holds no secret."""

    def __init__(self, auth: Auth) -> None:
        self._auth = auth
        self._secret = os.environ.get(auth.jwt_secret, "") if auth.jwt_secret else None
        if self._secret == "":
            raise ConfigError(
                f"[auth] jwt_secret names {auth.jwt_secret}, which is not set in the environment",
                hint=f"Set {auth.jwt_secret} to the secret that signs tokens, or to the public key in PEM.",
            )
        if self._secret and auth.jwt_algorithms[0].startswith("HS") and len(self._secret.encode()) < SHORTEST_SECRET:
            raise ConfigError(
                f"the secret in {auth.jwt_secret} is shorter than {SHORTEST_SECRET} bytes, and can be guessed",
                hint="Make one with `openssl rand -base64 32`.",
            )
        self._known: OrderedDict[bytes, tuple[float, Claims]] = OrderedDict()
        self._lock = Lock()

    def of(self, context: RequestContext) -> RequestContext:
        """The request with what its token says; raises Refused as claims_of() does."""
        claims = self.claims_of(context.credentials.get("authorization"))
        if claims is None:
            return context
        subject = claims.get("sub")
        return replace(context, claims=claims, actor=None if subject is None else str(subject))

    def claims_of(self, authorization: str | None) -> Claims | None:
        """The claims of an Authorization header; None without a token, or where tokens are not looked at.

        Raises Refused with 401 for a token that is not good, and without one where one is required.
        """
        if self._secret is None:
            return None
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            if self._auth.required:
                raise _refused("a bearer token is required")
            return None
        token = token.strip()
        key = sha256(token.encode()).digest()
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
        if known is not None and time.time() < known[0]:
            return known[1]
        claims = self._verified(token, self._secret)
        with self._lock:
            self._known[key] = (float(claims.get("exp", "inf")), claims)
            if len(self._known) > MOST_REMEMBERED:
                self._known.popitem(last=False)
        return claims

    def _verified(self, token: str, secret: str) -> Claims:
        auth = self._auth
        try:
            # A token that names an audience is for nobody else: without one in flux.toml it is refused.
            return jwt.decode(
                token, secret, algorithms=list(auth.jwt_algorithms), audience=auth.audience, issuer=auth.issuer
            )
        except jwt.InvalidKeyError as error:
            raise ConfigError(f"[auth] the key in {auth.jwt_secret} cannot be used: {error}") from error
        except jwt.InvalidTokenError as error:
            why = str(error)
            raise _refused(f"the token is not valid: {why[:1].lower()}{why[1:]}", "invalid_token") from None


def _refused(message: str, code: str | None = None) -> Refused:
    challenge = "Bearer" if code is None else f'Bearer error="{code}"'
    return Refused(401, message, headers={"www-authenticate": challenge})
