"""A guest made of nothing but the protocol: it asks the host what its input says, and answers with the replies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from flux.config import Project
from flux.context import RequestContext
from flux.runtime.functions import Function
from flux.runtime.guests.guest import Loaded
from flux.runtime.guests.host import Host
from flux.runtime.guests.making import make_guest_function
from flux.runtime.inflight import InflightTable
from flux.runtime.loader import load
from flux.runtime.runtime import Reply, Runtime


class AskingGuest:
    """`requests` of the input go to the host one after another; `raise` is an error it answers with then."""

    def __init__(self) -> None:
        self.closed = 0

    def load(self) -> Loaded:
        return Loaded()

    def invoke(self, name: str, host: Host, input: Mapping[str, Any]) -> Any:
        replies = [orjson.loads(host.answer(orjson.dumps(request))) for request in input.get("requests", ())]
        if input.get("hand_on"):
            raise host.error_of(replies[-1]["error"])
        if "raise" in input:
            raise host.error_of(input["raise"])
        return input.get("result", replies)

    def close(self) -> None:
        self.closed += 1


class Asking:
    """A project with the function `ask`, which this guest runs, and one in Python."""

    def __init__(self, root: Path, url: str) -> None:
        (root / "functions").mkdir(exist_ok=True)
        (root / "flux.toml").write_text('[project]\nname = "asking"\n')
        (root / "functions" / "ask.x").write_text("first line\nsecond line\n")
        (root / "functions" / "own.py").write_text(
            "import time\nfrom flux import Response, function\n\n\n@function\ndef own(ctx, wait: float = 0):\n"
            "    end = time.monotonic() + wait\n    while time.monotonic() < end:\n        pass\n"
            "    return Response({'sum': 2}, 201)\n"
        )
        self.root, self.url = root, url
        self.project = Project.load(root)
        self.guest = AskingGuest()
        registry = load(self.project)
        self.function = self.make({"name": "ask"})
        assert isinstance(registry.functions, dict)
        registry.functions["ask"] = self.function
        (root / "inflight").mkdir()
        self.inflight = InflightTable(root / "inflight")
        self.runtime = Runtime(self.project, url, registry, inflight=self.inflight, code_sha="abc")
        self.runtime.open()

    def make(self, options: Mapping[str, Any], schema: Mapping[str, Any] | None = None, **more: Any) -> Function:
        """A function of the guest's."""
        return make_guest_function(
            self.guest,
            options,
            schema=schema,
            file=self.root / "functions" / "ask.x",
            line=1,
            root=self.root,
            language="x",
            runtime="asking",
            **more,
        )

    def run(self, **input: Any) -> Reply:
        """Run `ask` as a request of its own."""
        context = RequestContext(kind="http", method="POST", path="/ask", route="/ask", code_sha="abc")
        return self.runtime.execute(context, self.function, self.function.bind_input(input))

    def ask(self, op: str, **args: Any) -> Any:
        """The reply to one operation."""
        reply = self.run(requests=[{"op": op, "args": args}])
        assert reply.status == 200, reply.record.failure
        return orjson.loads(reply.body)[0]

    def close(self) -> None:
        self.runtime.close()
        self.inflight.close()
