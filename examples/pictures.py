"""`make pictures`: the shop of the demo with its traffic, and the full screen over its record, as docs/pictures."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
from http.server import ThreadingHTTPServer

import demo

from flux.config import Project
from flux.engine.server import database
from flux.screens.app import DebugApp
from flux.screens.debug import WalkScreen
from flux.screens.failures import FailureScreen
from flux.screens.lines import Terminal
from flux.screens.reader import Reader

PICTURES = demo.HERE.parent / "docs" / "pictures"


def main():
    provider = ThreadingHTTPServer(("127.0.0.1", 0), demo.Provider)
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    demo.prepare()
    try:
        failed, taken = traffic(f"http://127.0.0.1:{provider.server_port}")
    finally:
        provider.shutdown()
    project = Project.load(demo.PROJECT)
    PICTURES.mkdir(exist_ok=True)
    with database(project) as url:
        reader = Reader(project, url)
        picture(reader, "trace-debug", lambda: WalkScreen(reader.walk(failed)), ["f"])
        picture(reader, "trace-debug-writes", lambda: WalkScreen(reader.walk(failed)), ["down", "down"])
        picture(reader, "trace-debug-state", lambda: WalkScreen(reader.walk(failed)), ["down", "down", "s"])
        picture(reader, "trace-debug-diff", lambda: WalkScreen(reader.walk(taken)), ["d"])
        rows = reader.failures(refused=False, most=200)
        picture(reader, "debug", lambda: FailureScreen(rows, refused=False, most=200), [])
        reader.close()


def traffic(provider):
    """What `make demo` sends; the ids of the renewal and of the sign-up that failed."""
    environment = {**os.environ, "PAYMENTS_URL": provider}
    environment.pop("DATABASE_URL", None)
    port = demo.free_port()
    log = (demo.PROJECT / ".flux-dev.log").open("w+")
    server = subprocess.Popen(
        [demo.FLUX, "dev", "--port", str(port)], cwd=demo.PROJECT, env=environment, stdout=log, stderr=subprocess.STDOUT
    )
    try:
        demo.wait_until_ready(server, port, log)
        demo.call(port, "POST", "/users", {"email": "a@b.com"})
        demo.call(port, "POST", "/users", {"email": "grace@navy.mil"})
        demo.call(port, "PATCH", "/users/1", {"name": "Alice Smith"})
        demo.call(port, "POST", "/users/1/upgrade", {"card": demo.CARD})
        failed = demo.call(port, "POST", "/users/1/renew", {"card": demo.DECLINED})
        return failed, demo.call(port, "POST", "/users", {"email": "a@b.com"})
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(20)


def picture(reader, name, screen, keys):
    """The screen after these keys, 100 by 30."""
    app = DebugApp(reader, screen, Terminal())

    async def draw():
        async with app.run_test(size=(100, 30)) as pilot:
            for key in [*keys, None]:
                while any(not worker.is_finished for worker in app.workers if worker.group != "listening"):
                    await asyncio.sleep(0.01)
                await pilot.pause()
                if key:
                    await pilot.press(key)
            return app.export_screenshot(title=f"flux {name.replace('-', ' ')}")

    drawn = asyncio.run(draw())
    path = PICTURES / f"{name}.svg"
    path.write_text("\n".join(line.rstrip() for line in re.sub(r"terminal-\d+", "terminal", drawn).splitlines()) + "\n")
    print(f"{path.relative_to(demo.HERE.parent)}", file=sys.stdout)


if __name__ == "__main__":
    main()
