"""`make demo`: starts a small shop on a Postgres of its own, sends it real traffic, breaks it, and asks what happened.

Everything printed behind a `$` is a real command with its real output.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent / "demo"
FLUX = Path(sys.executable).with_name("flux")
CARD = {"number": "4242 4242 4242 4242", "expires": "12/29"}
DECLINED = {"number": "4000 0000 0000 0002", "expires": "12/29"}


class Provider(BaseHTTPRequestHandler):
    """A payment provider that times out for one card."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        declined = body["card"]["number"] == DECLINED["number"]
        answer = {"error": "upstream timeout"} if declined else {"id": "ch_1Pq8Zk"}
        text = json.dumps(answer).encode()
        self.send_response(504 if declined else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *arguments):
        pass


def main():
    provider = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    port = free_port()
    prepare()
    environment = {**os.environ, "PAYMENTS_URL": f"http://127.0.0.1:{provider.server_port}"}
    environment.pop("DATABASE_URL", None)

    say(f"A project in {PROJECT.name}/: functions/users.py, functions/billing.py and one migration. Starting it:")
    print(f"\n$ cd {PROJECT.name} && flux dev --port {port}")
    log = (PROJECT / ".flux-dev.log").open("w+")
    server = subprocess.Popen(
        [FLUX, "dev", "--port", str(port)], cwd=PROJECT, env=environment, stdout=log, stderr=subprocess.STDOUT
    )
    try:
        wait_until_ready(server, port, log)
        story(port, environment)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(20)
        provider.shutdown()


def story(port, environment):
    tail = subprocess.Popen([FLUX, "tail"], cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True)
    time.sleep(1.0)
    say("Traffic: sign up, rename, upgrade; then a renewal whose payment fails, and an address that is taken.")
    call(port, "POST", "/users", {"email": "a@b.com"})
    call(port, "POST", "/users", {"email": "grace@navy.mil"})
    call(port, "PATCH", "/users/1", {"name": "Alice Smith"})
    call(port, "POST", "/users/1/upgrade", {"card": CARD})
    call(port, "GET", "/users")
    failed = call(port, "POST", "/users/1/renew", {"card": DECLINED})
    taken = call(port, "POST", "/users", {"email": "a@b.com"})
    time.sleep(0.5)
    tail.send_signal(signal.SIGINT)
    print("\nMeanwhile, in another terminal:\n\n$ flux tail")
    print(tail.communicate(timeout=10)[0], end="")

    def flux(*arguments):
        print(f"\n$ flux {' '.join(arguments)}", flush=True)
        subprocess.run([FLUX, *arguments], cwd=PROJECT, env=environment, check=False)

    say("Why did the renewal fail?")
    flux("why", failed)
    say("Step by step:")
    flux("trace", failed)
    say("And the address that was taken: which request took it?")
    flux("why", taken)
    say("Every change ever made to user 1, also the one that was rolled back:")
    flux("state", "history", "users", "--id", "1")
    say("Who set each of its fields?")
    flux("state", "blame", "users", "--id", "1")
    say("Mend it: functions/users.py answers 409 now. Does the fix hold for the very request that failed?")
    mend()
    flux("incident", "replay", "--request", taken)
    say(f"""Yours to try:

  cd {PROJECT.name} && export PATH="{FLUX.parent}:$PATH"

  flux dev                                       start it again; edit functions/ while it runs
  flux errors                                    failures, grouped by what they share
  flux state show users --id 1 --at {failed}     the row as the failed request saw it
  flux db shell -c 'select * from flux.requests' the same answers in SQL""")


def mend():
    """Answer an address that is taken with 409, as a developer would."""
    path = PROJECT / "functions" / "users.py"
    text = path.read_text()
    insert = next(line for line in text.splitlines() if "insert into users" in line)
    guard = '    if ctx.db.value("select true from users where email = %s", email):\n'
    refusal = '        raise HTTPError(409, f"{email} is taken")\n'
    path.write_text(text.replace(insert, guard + refusal + insert))
    print(f"$ edit functions/users.py\n{guard}{refusal}", end="")


def prepare():
    shutil.rmtree(PROJECT, ignore_errors=True)
    shutil.copytree(HERE / "shop", PROJECT)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until_ready(server, port, log):
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            if server.poll() is not None:
                break
            time.sleep(0.1)
    log.seek(0)
    sys.exit(f"flux dev did not start:\n{log.read()}")


def call(port, method, path, body=None):
    """One HTTP request, shown as curl would send it; returns its request id's first 8 digits."""
    data = None if body is None else json.dumps(body).encode()
    shown = "" if body is None else f" -d '{json.dumps(body)}'"
    print(f"$ curl -X {method} localhost:{port}{path}{shown}")
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", data, {"content-type": "application/json"}, method=method
    )
    try:
        answer = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        text = re.sub(r"\s+", " ", answer.read().decode())
        print(f"  {answer.status} {text}")
        return answer.headers["x-request-id"][:8]


def say(text):
    print(f"\n{text}", flush=True)


if __name__ == "__main__":
    main()
