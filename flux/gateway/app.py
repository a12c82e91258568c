"""The WSGI application: one request as a straight line from environment to reply, recorded whatever happens.

Everything that is refused goes through one place, so that no refusal is without its record and its problem.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import falcon
import orjson

from flux.config import Project
from flux.context import RequestContext, new_request_id, short_id
from flux.errors import DatabaseUnavailable, InvalidInput
from flux.gateway import incoming
from flux.gateway.identity import Identity
from flux.gateway.ids import RequestIds
from flux.gateway.problems import CONTENT_TYPE, Refused, failure_of_broken, problem, retry_headers
from flux.record import Failure, Record
from flux.redaction import Redactor
from flux.runtime.broken import Broken
from flux.runtime.functions import Function
from flux.runtime.loader import Registry
from flux.runtime.routes import Match, NoMatch, RouteTable
from flux.runtime.runtime import Problem, Runtime

log = logging.getLogger("flux.gateway")


@dataclass(frozen=True, slots=True)
class Deployment:
    """What answers at one moment: swapped whole, so that no request sees half of two.

    `project` is the code's place and its settings; `version` is that of a deployment in the database."""

    project: Project
    registry: Registry
    routes: RouteTable
    redactor: Redactor
    code_sha: str
    identity: Identity
    version: int | None = None

    @classmethod
    def of(cls, project: Project, registry: Registry, code_sha: str, version: int | None = None) -> Deployment:
        """A registry with its routes; raises ConfigError where callers cannot be told apart as flux.toml asks."""
        redactor, identity = Redactor(project.recording.redact), Identity(project.auth)
        return cls(project, registry, RouteTable(registry), redactor, code_sha, identity, version=version)


@dataclass(slots=True)
class _Incoming:
    """A request on its way: what is known of it grows until a function runs or it is refused."""

    context: RequestContext
    environ: dict[str, Any]
    path: str
    query: str
    found: Match | NoMatch | None
    function: str | None
    given: Mapping[str, Any] | None = None


class Gateway:
    """Answers requests with the functions of a deployment. `on_record` is told each record when its reply is ready."""

    def __init__(
        self,
        runtime: Runtime,
        deployment: Deployment,
        on_record: Callable[[Record], None] | None = None,
    ) -> None:
        self._runtime = runtime
        self._on_record = on_record
        self._ids = RequestIds()
        self.deployment = deployment
        self._app: falcon.App[falcon.Request, falcon.Response] = falcon.App()
        self._app.add_sink(self._serve, "")
        self._app.set_error_serializer(_serialize_error)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The WSGI application. A connection whose body was not read is closed, and the answer says so."""

        def start(*arguments: Any) -> Any:
            server: Any = getattr(start_response, "__self__", None)  # gunicorn's Response; WSGI has no word for it
            if incoming.has_unread_body(environ) and hasattr(server, "force_close"):
                server.force_close()
            return start_response(*arguments)

        return self._app(environ, start)

    def deploy(self, deployment: Deployment) -> None:
        """Answer with this deployment from the next request on."""
        self._runtime.reload(deployment.project, deployment.registry, deployment.code_sha)
        self.deployment = deployment

    def _serve(self, req: falcon.Request, resp: falcon.Response, **_: Any) -> None:
        deployment, response = self.deployment, resp
        request = self._receive(req.env, time.time_ns(), deployment)
        context = request.context
        try:
            self._answer(request, deployment, response)
        except Refused as refused:
            told = Problem(refused.status, refused.message, refused.members)
            self._refuse(request, told, response, None)
            for name, value in refused.headers.items():
                response.set_header(name, value)
        except Exception as error:  # the edge: whatever it was, the caller gets an answer and an id
            log.exception("%s could not be answered", short_id(context.request_id))
            failure = Failure(type=type(error).__name__, message=str(error), code=getattr(error, "code", None))
            self._refuse(request, Problem(500, "the gateway failed", {}), response, failure)
        response.set_header("x-request-id", str(context.request_id))

    def _receive(self, environ: dict[str, Any], started_ns: int, deployment: Deployment) -> _Incoming:
        """What a request is, before anything of it is refused; secrets are out of what will be stored."""
        method: str = environ["REQUEST_METHOD"]
        path, query = incoming.target_of(environ)
        try:
            found = deployment.routes.match(method, path)
        except UnicodeDecodeError:
            found = None
        route = found.route if isinstance(found, Match) else None
        redactor = deployment.redactor
        headers, credentials = incoming.headers_of(environ, redactor)
        asked = headers.pop("x-request-id", None)
        request_id = self._request_id(asked)
        trace_id, trace_parent_id = incoming.trace_of(headers.get("traceparent"))
        context = RequestContext(
            request_id=request_id,
            started_ns=started_ns,
            method=method,
            path=incoming.redacted_path(path, route, redactor) if redactor.active and route else path,
            query=(incoming.redacted_query(query, redactor) if redactor.active and query else query) or None,
            route=route,
            headers=headers,
            credentials=credentials,
            caller_request_id=asked if asked and asked.lower() != str(request_id) else None,
            trace_id=trace_id or request_id.hex,
            trace_parent_id=trace_parent_id,
            code_sha=deployment.code_sha,
        )
        return _Incoming(context, environ, path, query, found, _function_name(found))

    def _request_id(self, asked: str | None) -> UUID:
        """The caller's id if it is a UUID that no request has had, else a fresh one."""
        wanted = incoming.uuid_of(asked)
        if wanted is not None and self._runtime.available and self._ids.take(wanted):
            with suppress(DatabaseUnavailable):
                if not self._runtime.id_is_used(wanted):
                    return wanted
        return self._ids.fresh()

    def _answer(self, request: _Incoming, deployment: Deployment, response: falcon.Response) -> None:
        """Run the function a request asks for; raises Refused when it does not come to that."""
        match = self._match(request, deployment, response)
        if match is None:
            return
        request.context = deployment.identity.of(request.context)
        if isinstance(match.target, Broken):
            self._refuse_broken(request, deployment, match.target, response)
            return
        function = match.target
        body = self._body(request, deployment, function)
        path, query = match.parameters, incoming.query_of(request.query)
        try:
            bound = function.bind(path, query, body)
        except InvalidInput as invalid:
            request.given = function.arguments.given(path, query, body)
            raise Refused(invalid.status, invalid.message, members=invalid.members) from None
        request.given = bound.given
        if not self._runtime.available:
            raise Refused(503, "the database is away", headers=retry_headers(503))
        reply = self._runtime.execute(request.context, function, bound, registry=deployment.registry)
        if reply.problem is not None:
            self._tell(reply.problem, reply.record, response)
            return
        response.status = reply.status
        for name, value in reply.headers:
            response.append_header(name, value if value.isascii() else value.encode().decode("latin-1"))
        response.data = reply.body
        if reply.content_type is not None:
            response.content_type = reply.content_type
        self._done(reply.record, response)

    def _match(self, request: _Incoming, deployment: Deployment, response: falcon.Response) -> Match | None:
        """The route of a request; None when the gateway itself has answered. Raises Refused."""
        found, path, method = request.found, request.path, request.context.method
        if isinstance(found, Match):
            return found
        if found is None:
            raise Refused(400, "the path is not utf-8")
        if path in ("/healthz", "/readyz") and method in ("GET", "HEAD"):
            self._answer_probe(path, deployment, response)
            return None
        if not found.allow:
            raise Refused(404, f"there is no route {method} {path}")
        allow = ", ".join(found.allow)
        if method != "OPTIONS":
            raise Refused(405, f"{path} does not take {method}", headers={"allow": allow})
        response.status = 204
        response.set_header("allow", allow)
        return None

    def _body(self, request: _Incoming, deployment: Deployment, function: Function) -> object | None:
        body = incoming.read_body(request.environ, deployment.project.gateway.body_limit)
        raw = function.arguments.raw_body
        if raw is not None:
            return body if body or raw in function.arguments.required else None
        environ = request.environ
        return incoming.decode_body(body, environ.get("CONTENT_TYPE"), environ.get("HTTP_CONTENT_ENCODING"))

    def _answer_probe(self, path: str, deployment: Deployment, response: falcon.Response) -> None:
        """/healthz: this process answers. /readyz: the database does too, and every function could be loaded."""
        reasons: list[str] = []
        if path == "/readyz":
            try:
                if not self._runtime.available:
                    raise DatabaseUnavailable
                self._runtime.id_is_used(new_request_id())
            except Exception as error:  # noqa: BLE001  # the edge: a probe names any reason there is
                reasons.append(f"database: {error}")
            reasons += [str(broken) for broken in deployment.registry.broken]
        response.status = 503 if reasons else 200
        response.content_type = "application/json"
        response.data = orjson.dumps({"status": "unavailable", "reasons": reasons} if reasons else {"status": "ok"})

    def _refuse_broken(
        self, request: _Incoming, deployment: Deployment, broken: Broken, response: falcon.Response
    ) -> None:
        message = f"{broken.file} cannot be loaded: {broken.message}"
        location = f"{broken.file}:{broken.line}"
        failure = failure_of_broken(deployment.registry.root, broken, request.function, message)
        told = Problem(500, message, {"location": location, "code": "XF205"})
        self._refuse(request, told, response, failure)

    def _refuse(self, request: _Incoming, told: Problem, response: falcon.Response, failure: Failure | None) -> None:
        record = self._runtime.refuse(
            request.context,
            told.status,
            told.message,
            function=request.function,
            given=request.given,
            failure=failure,
        )
        self._tell(told, record, response)

    def _tell(self, told: Problem, record: Record, response: falcon.Response) -> None:
        response.status = told.status
        response.content_type = CONTENT_TYPE
        response.data = problem(told.status, told.message, record.context.request_id, told.members)
        for name, value in retry_headers(told.status).items():
            response.set_header(name, value)
        self._done(record, response)

    def _done(self, record: Record, response: falcon.Response) -> None:
        response.set_header("server-timing", _server_timing(record))
        if self._on_record is not None:
            self._on_record(record)


def _server_timing(record: Record) -> str:
    """Milliseconds in the gateway (all but the function), the function and the database."""
    function_us = statements_us = statements = 0
    for span in record.spans:
        if span.kind == "function":
            function_us += span.duration_us or 0
        elif span.kind == "db":
            statements_us += span.duration_us or 0
            statements += 1
    total_us = (time.time_ns() - record.context.started_ns) // 1_000
    parts = [f"gw;dur={max(0, total_us - function_us) / 1_000:.2f}"]
    if record.function is not None and function_us:
        parts.append(f"fn;dur={function_us / 1_000:.2f}")
    if statements:
        noun = "statement" if statements == 1 else "statements"
        parts.append(f'db;dur={statements_us / 1_000:.2f};desc="{statements} {noun}"')
    return ", ".join(parts)


def _function_name(found: Match | NoMatch | None) -> str | None:
    """The function that was asked for, where it is known."""
    if not isinstance(found, Match):
        return None
    names = (found.target.name,) if isinstance(found.target, Function) else found.target.names
    return names[0] if len(names) == 1 else None


def _serialize_error(request: falcon.Request, response: falcon.Response, error: falcon.HTTPError) -> None:
    """What falcon itself refuses, before a request is one of ours, in the same form as our own problems."""
    status = falcon.http_status_to_code(error.status)
    response.content_type = CONTENT_TYPE
    response.data = problem(status, error.description or error.title or "", new_request_id())
