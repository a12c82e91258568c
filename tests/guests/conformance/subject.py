"""A conformance project under test: asked things over its gateway, looked at in the record, replayed."""

from __future__ import annotations

import threading
from typing import Any
from uuid import UUID

import orjson
import psycopg
from outside import Outside
from past import Past, recorded, unlike
from psycopg.rows import dict_row

from flux.context import RequestContext
from flux.replay.recorded import RecordedRequest


class Subject:
    """One language's project."""

    def __init__(self, past: Past, outside: Outside) -> None:
        self.past = past
        self.outside = outside

    def act(self, *steps: dict[str, Any]) -> RecordedRequest:
        """Have steps taken; the record of it."""
        return self.past.ask("POST /act", {"steps": list(steps)})

    def results(self, *steps: dict[str, Any]) -> list[Any]:
        """What steps gave."""
        asked = self.act(*steps)
        assert asked.request["status"] == 200, asked.request["error_message"]
        return asked.request["output"]["results"]

    def result(self, do: str, **members: Any) -> Any:
        """What one step gave."""
        return self.results({"do": do, **members})[0]

    def reply(self, *steps: dict[str, Any]) -> tuple[int, list[tuple[str, str]], bytes]:
        """What the caller got."""
        function = self.past.runtime.registry.find("act")
        context = RequestContext(kind="http", method="POST", path="/act", route="/act", code_sha="then")
        reply = self.past.runtime.execute(context, function, function.bind_input({"steps": list(steps)}))
        return reply.status, list(reply.headers), reply.body

    def at_once(self, *actions: dict[str, Any]) -> list[Any]:
        """What single steps gave that were asked for side by side."""
        found: list[Any] = [None] * len(actions)

        def ask(number: int) -> None:
            status, _, body = self.reply(actions[number])
            found[number] = orjson.loads(body)["results"][0] if status == 200 else status

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(actions))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found

    def replay(self, asked: RecordedRequest) -> tuple[RecordedRequest, list[str]]:
        """The record of a replay, and how it is not what was replayed."""
        _, replay = self.past.replay(asked)
        return replay, unlike(asked, replay)

    def rows(self, statement: str, *parameters: Any) -> list[dict[str, Any]]:
        """What the database holds, seen from outside."""
        with psycopg.connect(self.past.url, row_factory=dict_row) as connection:
            return connection.execute(statement, parameters).fetchall()

    def whole(self, request_id: UUID) -> RecordedRequest:
        """The record of a request."""
        return recorded(self.past.url, request_id)
