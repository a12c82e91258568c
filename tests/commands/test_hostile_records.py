"""Whoever can send a request writes into the record. No command may let that drive the terminal of who reads it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import psycopg
import pytest
import story
from hostile import ATTACK, CALM, EVIL, NAME, attack, checked

from flux.cli import main

#: Every command that shows recorded values, with what it is called with.
LINES = {
    "trace show": ["trace"],
    "trace show ID": ["trace", str(ATTACK), "--full"],
    "trace show --flame": ["trace", str(ATTACK), "--flame"],
    "trace diff": ["trace", "diff", str(CALM), str(ATTACK), "--full"],
    "trace debug": ["trace", "debug", str(ATTACK)],
    "debug": ["debug", "--refused"],
    "why": ["why", str(ATTACK)],
    "errors": ["errors"],
    "state history": ["state", "history", f'public."{NAME}"', "--id", "1"],
    "state blame": ["state", "blame", f'public."{NAME}"', "--id", "1"],
    "state show": ["state", "show", f'public."{NAME}"', "--id", "1", "--at", "now"],
    "state undo": ["state", "undo", str(ATTACK)],
    "queue list": ["queue", "list"],
    "queue dead": ["queue", "dead"],
    "queue stats": ["queue", "stats"],
    "queue limit": ["queue", "limit", NAME, "3"],
    "queue pause": ["queue", "pause", NAME],
    "queue resume": ["queue", "resume", NAME],
    "queue retry": ["queue", "retry", "9001"],
    "queue cancel": ["queue", "cancel", "9002"],
    "cron list": ["cron", "list"],
    "cron history": ["cron", "history"],
    "cron pause": ["cron", "pause", NAME[:-12]],
    "cron resume": ["cron", "resume", NAME[:-12]],
    "cron run": ["cron", "run", NAME[:-12]],
    "events list": ["events", "list"],
    "events subscribers": ["events", "subscribers"],
    "events publish": ["events", "publish", "order.paid", "--data", json.dumps({"a": EVIL})],
    "webhooks list": ["webhooks", "list"],
    "webhooks deliveries": ["webhooks", "deliveries"],
    "webhooks resend": ["webhooks", "resend", "job:1234"],
    "deployments": ["deployments"],
    "rollback": ["rollback", NAME[:-12]],
    "invoke": ["invoke", "echo", "--data", json.dumps({"value": EVIL})],
    "invoke a failure": ["invoke", "fail", "--data", json.dumps({"value": EVIL})],
    "incident replay": ["incident", "replay", "--request", str(ATTACK)],
    "explain": ["explain", "--request", str(ATTACK)],
    "policies": ["policies"],
    "doctor": ["doctor"],
    "db status": ["db", "status"],
    "db track": ["db", "track", f'public."{NAME}"'],
    "db untrack": ["db", "untrack", f'public."{NAME}"'],
}

#: Commands that show nothing that was recorded, or, as tail, have a test of their own below.
WITHOUT = {
    "init", "dev", "serve", "worker", "deploy", "db migrate", "db shell", "db url", "state checkout", "bug bisect",
    "tail", "build",
}  # fmt: skip


@pytest.fixture(scope="module")
def attacked(new_database, tmp_path_factory):
    """A project whose every recorded text is an attack."""
    root = tmp_path_factory.mktemp("attacked")
    project = story.queueing(story.handing_on(story.told(new_database(), root)))
    (root / "functions" / "echo.py").write_text(
        "from flux import function\n\n\n@function\ndef echo(ctx, value):\n    return {value: value}\n\n\n"
        "@function\ndef fail(ctx, value):\n    raise ValueError(value)\n"
    )
    with psycopg.connect(project.database_url) as connection:
        attack(connection)
    return replace(project)


def test_every_command_is_attacked_or_known_to_show_nothing():
    """A new command comes with its line in this file."""
    from test_house_style import COMMAND_LINES

    named = {" ".join(path) for path in COMMAND_LINES}
    tested = {name for name in named for line in LINES if line == name or line.startswith(f"{name} ")}

    assert tested | WITHOUT == named
    assert not WITHOUT & set(LINES)


@pytest.mark.parametrize("name", LINES)
def test_recorded_values_cannot_drive_the_terminal(attacked, monkeypatch, name):
    """In colour as for a person, and as JSON."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown = story.run(main, attacked, *LINES[name])
    assert shown.exception is None or isinstance(shown.exception, SystemExit), shown.exception
    assert shown.exit_code in (0, 1, 2), shown.output
    plain = checked(shown.stdout, multiline=name == "state undo") + checked(shown.stderr)

    if not name.startswith(("queue", "cron", "rollback", "events publish", "webhooks resend", "db")):
        answered = story.run(main, attacked, *LINES[name], "--json").stdout
        checked(answered)
        assert answered or not shown.stdout

    if name in SHOW_THE_ATTACK:
        assert "\\x1b" in plain, "the attack was there to be seen"


#: Where the attack itself must be in the answer, made visible; the test would prove nothing otherwise.
SHOW_THE_ATTACK = {
    "trace show", "trace show ID", "trace diff", "trace debug", "debug", "why", "errors", "state history", "state show",
    "queue list", "queue dead", "events list", "invoke a failure",
}  # fmt: skip


def test_tail_is_safe_too(attacked):
    """It never ends, so it runs in a process of its own."""
    story.settle(attacked)
    process = subprocess.Popen(
        [sys.executable, "-c", "from flux.cli import main; main()", "tail", "--since", "2026-03-10T17:30Z"],
        cwd=attacked.root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert "\\x1b" in checked(process.stdout.readline() + process.stdout.readline())
    finally:
        process.terminate()
        process.communicate(timeout=10)
