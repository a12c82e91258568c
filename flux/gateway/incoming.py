"""What came in, made of a WSGI environment: the request's context, its query and its body.

Nothing that a caller sends is believed before it is looked at: sizes are bounded, ids and traces are taken only in
their proper form, credentials go where they are never stored.
"""

from __future__ import annotations

import io
import re
from contextlib import suppress
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import UUID

import falcon
import msgspec
from falcon.media import MultipartFormHandler

from flux.gateway.problems import Refused
from flux.redaction import CREDENTIAL_HEADERS, REDACTED, Redactor
from flux.runtime.arguments import Form

Environment = dict[str, Any]

#: Fields of a query or a form beyond this number are refused: a table of a million keys is an attack.
MOST_FIELDS = 1_000

#: Seconds between two pieces of a body, after which its sender is given up.
BODY_PAUSE = 10.0

#: Bytes of a refused body that are read and thrown away, so that the connection can be used again.
DRAINED = 32 * 1024

_READ = "flux.body_was_read"
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")
_FORM = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"


def target_of(environ: Environment) -> tuple[str, str]:
    """Path, still percent-encoded, and query as they were sent."""
    raw = str(environ.get("RAW_URI") or environ["PATH_INFO"])
    if not raw.startswith("/") and "://" in raw:  # absolute form, as proxies send it
        with suppress(ValueError):
            parts = urlsplit(raw)
            return parts.path or "/", parts.query
    path, _, query = raw.partition("?")
    return path, query.partition("#")[0]


def headers_of(environ: Environment, redactor: Redactor) -> tuple[dict[str, str], dict[str, str]]:
    """Headers by lower-case name: those that may be stored, and credentials."""
    open_: dict[str, str] = {}
    secret: dict[str, str] = {}
    for key, value in environ.items():
        name = _header_name(key)
        if name and value:
            hidden = name in CREDENTIAL_HEADERS or (redactor.active and redactor.hides((name,)))
            (secret if hidden else open_)[name] = value
    return open_, secret


@lru_cache(1_000)
def _header_name(key: str) -> str | None:
    """The header that a WSGI key stands for; None for the keys that are none."""
    if key.startswith("HTTP_"):
        return key[5:].replace("_", "-").lower()
    return key.replace("_", "-").lower() if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else None


def uuid_of(text: str | None) -> UUID | None:
    """The UUID in a header; None for anything else, and for the one of zeros."""
    if text is None or not _UUID.fullmatch(text):
        return None
    found = UUID(text)
    return found if found.int else None


def trace_of(traceparent: str | None) -> tuple[str | None, str | None]:
    """Trace id and parent id of a W3C traceparent header; None for one that breaks the rules."""
    matched = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    return (matched[1], matched[2]) if matched else (None, None)


def query_of(text: str) -> dict[str, list[str]]:
    """The query's fields, each with its values; raises Refused."""
    return _fields(text, "the query") if text else {}


def redacted_query(text: str, redactor: Redactor) -> str:
    """The query as it may be stored; one that cannot be read might hold anything."""
    try:
        query = query_of(text)
    except Refused:
        return REDACTED
    hidden = {name for name in query if redactor.hides((name.lower(),))}
    if not hidden:
        return text
    return urlencode([(name, REDACTED if name in hidden else value) for name in query for value in query[name]])


def redacted_path(path: str, route: str, redactor: Redactor) -> str:
    """The path as it may be stored: a secret parameter's value is replaced."""
    pairs = zip(path.split("/"), route.split("/"), strict=True)
    return "/".join(
        REDACTED if pattern.startswith("{") and redactor.hides((pattern[1:-1].lower(),)) else segment
        for segment, pattern in pairs
    )


def read_body(environ: Environment, limit: int) -> bytes:
    """The whole body; raises Refused when it is larger than limit, in bytes, or does not come."""
    length = environ.get("CONTENT_LENGTH")
    if not length and "HTTP_TRANSFER_ENCODING" not in environ:
        return b""
    too_large = Refused(413, f"the body is larger than {limit} bytes")
    if length and int(length) > limit:
        raise too_large
    environ[_READ] = False
    socket = environ.get("gunicorn.socket")
    if socket is not None:
        socket.settimeout(BODY_PAUSE)
    try:
        body: bytes = environ["wsgi.input"].read(limit + 1)
    except TimeoutError:
        raise Refused(408, f"nothing more of the body came for {BODY_PAUSE:g} s") from None
    except (OSError, ValueError) as error:
        raise Refused(400, f"the body could not be read: {error or type(error).__name__}") from None
    finally:
        if socket is not None:
            socket.settimeout(None)
    if len(body) > limit:
        raise too_large
    if length and len(body) < int(length):
        raise Refused(400, f"the body ended after {len(body)} of {length} bytes")
    environ[_READ] = True
    return body


def has_unread_body(environ: Environment) -> bool:
    """Whether so much of a body may still be on its way that the connection is better closed than read to its end."""
    if _READ in environ:
        return not environ[_READ]
    return int(environ.get("CONTENT_LENGTH") or 0) > DRAINED or "HTTP_TRANSFER_ENCODING" in environ


def decode_body(body: bytes, content_type: str | None, content_encoding: str | None) -> object | None:
    """A body as decoded JSON or a Form, None when there is none; raises Refused."""
    if content_encoding and content_encoding.lower() != "identity":
        raise Refused(415, f"a body with content-encoding {content_encoding} is not taken")
    if not body:
        return None
    media_type, parameters = falcon.parse_header(content_type or "application/json")
    charset = parameters.get("charset", "utf-8").lower()
    if charset not in ("utf-8", "utf8", "us-ascii"):
        raise Refused(415, f"a body in charset {charset} is not taken; send utf-8")
    media_type = media_type.lower()
    if media_type == "application/json" or media_type.endswith("+json"):
        return _json(body)
    if media_type == _FORM:
        return _form(body)
    if media_type == _MULTIPART:
        return _multipart(body, content_type or "")
    raise Refused(
        415,
        f"a body of type {media_type} is not taken; send application/json, {_FORM} or {_MULTIPART}",
        headers={"accept-post": f"application/json, {_FORM}, {_MULTIPART}"},
    )


def _json(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(400, f"the body is not JSON: {error}") from None
    except RecursionError:
        raise Refused(400, "the body is not JSON: nested too deeply") from None


def _form(body: bytes) -> Form:
    if body.lstrip().startswith((b"{", b"[")):
        raise Refused(
            415, "the body looks like JSON, but its content-type is a form's; send content-type: application/json"
        )
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Refused(400, "the form is not utf-8") from None
    return Form(_fields(text, "the form"))


def _fields(text: str, place: str) -> dict[str, list[str]]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except UnicodeDecodeError:
        raise Refused(400, f"{place} is not utf-8") from None
    except ValueError:
        raise Refused(400, f"{place} has more than {MOST_FIELDS} fields") from None
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _multipart(body: bytes, content_type: str) -> Form:
    """Text for each field, bytes for each file."""
    form: dict[str, list[object]] = {}
    try:
        for part in MultipartFormHandler().deserialize(io.BytesIO(body), content_type, len(body)):
            if part.name is not None:
                form.setdefault(part.name, []).append(part.get_data() if part.filename else part.get_text())
    except falcon.HTTPError as error:
        raise Refused(400, f"the form cannot be read: {error.description or error.title}") from None
    return Form(form)
