"""One outbound HTTP call as a tool span: what fetch and every HTTP library that is listened to have in common.

Bodies are kept in a form in which their members can be redacted by name. Credentials never get here: headers that carry
them are left out, and query parameters that are known to are blanked.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

import orjson

from flux.record import Failure, Record, Span
from flux.redaction import CREDENTIAL_HEADERS, REDACTED
from flux.runtime.deadline import Interrupted
from flux.runtime.execution import Execution, current_execution
from flux.runtime.failures import calling_line, failure_of
from flux.runtime.given import GivenAnswer, given_answer
from flux.runtime.raised import made_of
from flux.runtime.recalled import Answer, raise_error
from flux.runtime.tools import close_leaf, open_leaf, recorded_execution

#: What a body is recorded as when it was not there to be seen: read piece by piece, or not at all.
STREAMED = {"$streamed": True}

#: The attribute with the text of a body that is recorded as a value, and the bytes up to which it is kept.
TEXT = "flux.body"
MOST_TEXT = 16 * 1024

#: Parts of header names that tell a credential.
_CREDENTIAL_PARTS = ("api-key", "apikey", "credential", "password", "secret", "signature", "token")

#: Query parameters that carry credentials; the first four are those of OpenTelemetry's conventions for url.full.
_CREDENTIAL_PARAMETERS = frozenset(
    {
        "awsaccesskeyid",
        "signature",
        "sig",
        "x-goog-signature",
        "access_token",
        "api_key",
        "apikey",
        "client_secret",
        "password",
        "token",
        "x-amz-credential",
        "x-amz-security-token",
        "x-amz-signature",
    }
)

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Hop:
    """One request to another system and its answer. Begun by `begin`; ended by `answered` and `close`, or `failed`."""

    def __init__(self, execution: Execution, method: str, url: str) -> None:
        self.execution = execution
        self.record: Record = execution.record
        self.method = method.upper()
        parts = urlsplit(url)
        self.name = f"{self.method} {_host(parts)}{parts.path or '/'}"
        self.span: Span = open_leaf(execution, self.record.text(self.name))
        self.span.attributes = {
            "http.request.method": self.method,
            "url.full": self.record.text(f"{parts.scheme}://{_host(parts)}{parts.path}"),
            "server.address": parts.hostname,
            "server.port": parts.port or _DEFAULT_PORTS.get(parts.scheme),
        }
        self._parts = parts
        self._output: dict[str, Any] = {}

    def asked(self, headers: Iterable[tuple[str, str]], body: object) -> None:
        """What is sent. `body` is bytes, None, or STREAMED."""
        headers = list(headers)
        self._learn_secrets(headers)
        known = public_headers(headers)
        asked = {
            "method": self.method,
            "url": self.span.attributes["url.full"],
            "query": _query(self._parts),
            "headers": known,
            "body": self._body(body, known.get("content-type")),
        }
        self.span.input = self.record.json({name: value for name, value in asked.items() if value not in (None, {})})

    @property
    def traceparent(self) -> str:
        """The W3C header that makes the called system's trace part of ours; its parent id names request and span."""
        context = self.record.context
        parent = f"{context.request_id.hex[:8]}{self.span.span_id:08x}"
        return f"00-{context.trace_id or context.request_id.hex}-{parent}-01"

    def answered(self, status: int, headers: Iterable[tuple[str, str]], reason: str | None = None) -> None:
        """The head of the answer has come; the body may still be under way."""
        self._output = {"status": status, "headers": public_headers(headers), "body": STREAMED}
        self.span.attributes["http.response.status_code"] = status
        if status >= 400:
            self.span.attributes["error.type"] = str(status)
        self.span.output = self.record.json(self._output)

    def close(self, body: object = STREAMED) -> None:
        """The answer has been read: `body` is bytes, None, or STREAMED when it was not kept."""
        if self.span.duration_us is not None:
            return
        if body is not STREAMED and self._output:
            self._output["body"] = self.readable(body)
            self._keep_text(body)
            self.span.output = self.record.json(self._output)
        status = self._output.get("status", 0)
        close_leaf(self.span, self.refusal(f"answered {status}") if status >= 500 else None)

    def readable(self, body: object) -> object:
        """The body of the answer as it is recorded."""
        return self._body(body, self._output.get("headers", {}).get("content-type"))

    def recall(self) -> GivenAnswer | None:
        """The recorded answer, to go on with as if it had come; None where the call is to be made.

        Raises what the call raised, or ToolNotRecorded.
        """
        answer = self.find()
        return None if answer is None else self.give(answer)

    def find(self) -> Answer | None:
        """What the record answers, to be handed to `give`; None where the call is to be made."""
        recalled = self.execution.recalled
        if recalled is None:
            return None
        try:
            return recalled.answer(self.record, self.span)
        except BaseException as error:
            self.failed(error)
            raise

    def give(self, answer: Answer) -> GivenAnswer:
        """The answer that was found, or the error it is."""
        try:
            raise_error(answer)
            given = given_answer(answer)
        except BaseException as error:
            self.failed(error)
            raise
        self.answered(given.status, given.headers.items())
        return given

    def refusal(self, message: str) -> Failure:
        """The failure of a call that was answered with an error status."""
        status = self.span.attributes.get("http.response.status_code")
        return Failure(
            type="HTTPStatus",
            message=self.record.text(f"{self.span.name} {message}"),
            code=str(status),
            location=calling_line(self.record),
        )

    def failed(self, error: BaseException) -> None:
        """No answer came. At the function's deadline this ends the function, whatever it catches."""
        self.span.attributes.setdefault("error.type", type(error).__qualname__)
        made = made_of(error)
        if made is not None:
            self.span.attributes["flux.raised"] = self.record.json(made)
        close_leaf(self.span, failure_of(error, self.record))
        if isinstance(error, Exception) and not self.execution.remaining():
            raise Interrupted from error

    def _learn_secrets(self, headers: Iterable[tuple[str, str]]) -> None:
        """Credentials are hidden wherever they turn up later: in an error's message, in an answer that echoes them."""
        found = [value for name, value in parse_qsl(self._parts.query) if name.lower() in _CREDENTIAL_PARAMETERS]
        found += [value.rpartition(" ")[2] for name, value in headers if _is_credential(name.lower())]
        self.record.secrets.update(value for value in [*found, self._parts.password] if value)

    def _keep_text(self, body: object) -> None:
        """Keep the text of a body that is recorded as a value: spaces and the order of members are not in that.

        A message in which the text stands must read the same in a replay. Where something of it is hidden, all is.
        """
        known = self._output["body"]
        if isinstance(known, str) and _is_text(self._output["headers"]):
            return
        if not isinstance(body, bytes | bytearray) or len(body) > MOST_TEXT or _is_stand_in(known):
            return
        try:
            text = bytes(body).decode()
        except UnicodeDecodeError:
            return
        record = self.record
        if text and record.text(text) == text and record.redactor.clean(known, set()) == known:
            self.span.attributes[TEXT] = text

    def _body(self, body: object, content_type: str | None) -> object:
        if not isinstance(body, bytes | bytearray | memoryview):
            return body
        return readable(bytes(body), content_type or "", self.record)


def _is_text(headers: Mapping[str, str]) -> bool:
    """Whether a body of text is recorded as it is; one whose type is JSON may be a JSON string, or no JSON at all."""
    return not headers.get("content-type", "").partition(";")[0].strip().lower().endswith("json")


def _is_stand_in(known: object) -> bool:
    return isinstance(known, dict) and any(str(name).startswith("$") for name in known)


def begin(method: str, url: str) -> Hop | None:
    """Begin to record an outbound call; None when it is not ours to record."""
    execution = recorded_execution()
    return None if execution is None else Hop(execution, method, url)


def within_deadline(wanted: float | None) -> float | None:
    """Seconds a call may wait: what it wants, but inside a request no more than the function has left."""
    execution = current_execution()
    if execution is None:
        return wanted
    remaining = max(execution.remaining(), 0.001)  # 0 would mean without waiting, or for ever
    return remaining if wanted is None else min(wanted, remaining)


def public_headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Headers by lower-case name, without those that carry credentials; repeated ones are joined."""
    known: dict[str, str] = {}
    for spelled, value in headers:
        name = spelled.lower()
        if not _is_credential(name):
            known[name] = f"{known[name]}, {value}" if name in known else value
    return known


def _is_credential(header: str) -> bool:
    return header in CREDENTIAL_HEADERS or any(part in header for part in _CREDENTIAL_PARTS)


def readable(body: bytes, content_type: str, record: Record) -> object:
    """A body as JSON value or text where it is one, so that it can be searched and redacted."""
    if not body:
        return None
    kind = content_type.partition(";")[0].strip().lower()
    if len(body) > record.keep_bytes or kind.startswith("multipart/"):
        return {"$omitted": {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}}
    if kind.endswith("json"):
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            pass
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return {"$base64": base64.b64encode(body).decode()}
    if kind == "application/x-www-form-urlencoded":
        return _pairs(parse_qsl(text, keep_blank_values=True))
    return record.text(text)


def _query(parts: SplitResult) -> Mapping[str, object]:
    return _pairs(
        (name, REDACTED if name.lower() in _CREDENTIAL_PARAMETERS else value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    )


def _pairs(pairs: Iterable[tuple[str, str]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        before = found.get(name)
        if before is None:
            found[name] = value
        else:
            found[name] = [*before, value] if isinstance(before, list) else [before, value]
    return found


def _host(parts: SplitResult) -> str:
    """Host and port, without a user and password and without the scheme's own port."""
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    return host if parts.port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f"{host}:{parts.port}"
