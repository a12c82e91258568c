"""The guard: a replay reaches nothing outside, whatever way its code takes, and says what was refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from outside import Outside
from past import Past

from flux.replay.runner import Runner

WAYS = """
    import asyncio, os, socket, subprocess, threading, http.client, multiprocessing
    import psycopg

    PORT = {port}
    DEED = "{deed}"

    def connect(address=("127.0.0.1", PORT)):
        with socket.create_connection(address, timeout=3) as made:
            made.sendall(b"GET /socket HTTP/1.1\\r\\nhost: x\\r\\nconnection: close\\r\\n\\r\\n")
            return made.recv(12).decode()

    def raw():
        return connect()

    def thread():
        found = []
        other = threading.Thread(target=lambda: found.append(connect()))
        other.start()
        other.join()
        return found[0]

    def low():
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=3)
        connection.putrequest("GET", "/low")
        connection.endheaders()
        answer = connection.getresponse().read()
        connection.close()
        return len(answer)

    def udp():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
            return made.sendto(b"x", ("127.0.0.1", PORT))

    def name():
        return len(socket.getaddrinfo("localhost", PORT)) > 0

    def stream():
        async def talk():
            reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
            writer.close()
            await writer.wait_closed()
            return 1
        return asyncio.run(talk())

    def program():
        return subprocess.run([DEED, "run"], check=False).returncode

    def shell():
        return os.system(DEED + " system")

    def spawn():
        return os.waitpid(os.posix_spawn(DEED, [DEED, "spawn"], dict(os.environ)), 0)[1]

    def fork():
        child = os.fork()
        if not child:
            os.execv(DEED, [DEED, "fork"])
        return os.waitpid(child, 0)[1]

    def process():
        made = multiprocessing.get_context("spawn").Process(target=int)
        made.start()
        made.join(5)
        return made.exitcode

    def driver():
        with psycopg.connect("host=127.0.0.1 port=%s connect_timeout=2" % PORT):
            return 1

    @function(route="POST /reach")
    def reach(ctx, way: str, swallow: bool = False) -> dict:
        try:
            return {{"reached": str(globals()[way]())}}
        except Exception as error:
            if swallow:
                return {{"reached": "nothing"}}
            raise
"""

REFUSED = {
    "raw": "connect 127.0.0.1:{port}",
    "thread": "connect 127.0.0.1:{port}",
    "low": "connect 127.0.0.1:{port}",
    "udp": "connect 127.0.0.1:{port}",
    "name": "connect localhost:{port}",
    "stream": "connect 127.0.0.1:{port}",
    "program": "run {deed} run",
    "shell": "run {deed} system",
    "spawn": "run {deed} spawn",
    "fork": "start a process",
    "process": "run ",
    "driver": "connect by psycopg",
}


@pytest.mark.parametrize("way", REFUSED)
@pytest.mark.parametrize("swallow", [False, True])
def test_nothing_outside_is_reached(
    past: Callable[..., Past], outside: Outside, tmp_path_factory: pytest.TempPathFactory, way: str, swallow: bool
) -> None:
    """A replay that charges a card again is the worst thing this program could do."""
    folder = tmp_path_factory.mktemp("deeds")
    program = folder / "deed"
    program.write_text(f"#!/bin/sh\necho done >> {folder}/done\n")
    program.chmod(0o755)
    now = past(WAYS.format(port=outside.port, deed=program))
    request = now.ask("POST /reach", {"way": way, "swallow": True})
    (folder / "done").unlink(missing_ok=True)
    before = outside.connections
    again = type(request)({**request.request, "input": {"way": way, "swallow": swallow}}, request.spans, ())

    ran, replay = now.replay(again)

    assert outside.connections == before
    assert not (folder / "done").exists()
    assert [call.outcome for call in ran.calls] == ["new"], replay.request["error_message"]
    assert REFUSED[way].format(port=outside.port, deed=program) in ran.calls[0].name
    if not swallow and way != "thread":
        assert replay.request["error_code"] == "XF602"


def test_modules_reach_nothing_while_they_are_imported(past: Callable[..., Past], outside: Outside) -> None:
    """Code at the top of a module runs at each load, before any request."""
    now = past("""
        @function(route="GET /x")
        def x(ctx) -> int:
            return 1
    """)
    request = now.ask("GET /x")
    now.change("@function", f"import urllib.request\nurllib.request.urlopen('{outside.url}')\n\n@function")

    with Runner(now.root, now.sandbox, code_sha="now") as runner:
        assert "does not reach outside" in runner.broken[0]

    assert request.status == 200
    assert outside.connections == 0
