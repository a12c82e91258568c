"""The in-flight table: a request or a finished record is lost by nothing that happens to its process."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import textwrap
from collections import deque
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flux.context import RequestContext
from flux.errors import CannotWrite
from flux.runtime import inflight
from flux.runtime.inflight import NO_SLOT, InflightTable, inflight_folder
from flux.runtime.leftovers import CRASHED, leftovers

SIGNUP = RequestContext(method="POST", path="/signup", route="/signup", headers={"host": "example"}, code_sha="abc")


def left_in_copy(table: InflightTable, folder: Path) -> list[tuple[dict, list]]:
    """What another process would find if this one died now."""
    folder.mkdir(exist_ok=True)
    shutil.copy(table.path, folder)
    found = []
    for left in leftovers(folder):
        found += [(orjson.loads(one.request), orjson.loads(one.spans)) for one in left.records]
        left.discard()
    return found


def run_and_kill(folder: Path, body: str) -> None:
    """Run Python code with a table in a process of its own, which ends by SIGKILL."""
    code = f"""
    import os, signal, sys
    from pathlib import Path
    from flux.context import RequestContext
    from flux.runtime.inflight import InflightTable
    table = InflightTable(Path({str(folder)!r}))
    context = RequestContext(method="POST", path="/signup", route="/signup")
    {body}
    os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert done.returncode == -signal.SIGKILL


def test_a_killed_process_leaves_the_request_it_was_running(tmp_path):
    """The input of a request whose worker was killed is what its developer needs most."""
    run_and_kill(tmp_path, """table.claim(context, "create_user", b'{"email":"a@b"}')""")

    (left,) = leftovers(tmp_path)

    (record,) = left.records
    request, spans = orjson.loads(record.request), orjson.loads(record.spans)
    assert request["outcome"] == "crashed"
    assert request["error_message"] == CRASHED
    assert (request["function"], request["input"]) == ("create_user", {"email": "a@b"})
    assert [(span["span_id"], span["parent_id"], span["name"]) for span in spans] == [
        (1, None, "POST /signup"),
        (2, 1, "create_user"),
    ]


def test_a_killed_process_leaves_the_records_it_had_not_written_yet(tmp_path):
    """A record that waits for the background writer belongs to a request that was answered: it must not vanish."""
    run_and_kill(
        tmp_path,
        """slot = table.claim(context, "hello", None); table.keep(b'{"n":1}', b'[]'); table.release(slot)""",
    )

    (left,) = leftovers(tmp_path)

    assert [(one.request, one.spans) for one in left.records] == [(b'{"n":1}', b"[]")]


def test_a_living_process_is_left_alone(tmp_path):
    """A request that still runs is no crash."""
    table = InflightTable(tmp_path)
    table.claim(SIGNUP, "create_user", None)

    assert leftovers(tmp_path) == []

    table.close()


def test_a_table_is_found_by_one_finder_only(tmp_path):
    """Two workers that start at once must not record the same crash twice."""
    run_and_kill(tmp_path, """table.claim(context, "create_user", None)""")

    (first,) = leftovers(tmp_path)

    assert leftovers(tmp_path) == []
    first.leave()
    (again,) = leftovers(tmp_path)
    again.discard()
    assert leftovers(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_released_request_is_not_left(tmp_path):
    """A request that ended is recorded elsewhere."""
    table = InflightTable(tmp_path)
    slot = table.claim(SIGNUP, "create_user", None)
    assert table.running == 1

    table.release(slot)

    assert table.running == 0
    assert left_in_copy(table, tmp_path / "copy") == []
    table.close()


@pytest.mark.parametrize("size", [100, inflight.SLOT_BYTES, 500_000, 1_500_000])
def test_a_large_input_is_left_whole(tmp_path, size):
    """An upload that kills its worker is the one to look at."""
    table = InflightTable(tmp_path)
    text = "x" * size

    slot = table.claim(SIGNUP, "upload", orjson.dumps({"text": text}))
    ((request, _),) = left_in_copy(table, tmp_path / "copy")

    assert request["input"] == {"text": text}
    table.release(slot)
    assert left_in_copy(table, tmp_path / "copy") == []
    table.close()


def test_an_input_beyond_all_room_leaves_the_request_without_it(tmp_path):
    """The request is known even when its input cannot be kept."""
    table = InflightTable(tmp_path)
    long_path = RequestContext(method="POST", path="/" + "x" * 100_000, route="/{name}")

    table.claim(long_path, "upload", orjson.dumps("x" * inflight.LARGE_BYTES))
    ((request, _),) = left_in_copy(table, tmp_path / "copy")

    assert request["function"] == "upload"
    assert "input" not in request
    assert request["route"] == "/{name}"


def test_more_requests_than_slots_still_run(tmp_path):
    """A full table must not refuse work."""
    table = InflightTable(tmp_path, slots=1)
    first = table.claim(SIGNUP, "a", None)

    second = table.claim(SIGNUP, "b", None)

    assert second == NO_SLOT
    table.release(second)
    table.release(first)
    assert table.claim(SIGNUP, "c", None) == first


def test_close_removes_a_table_that_holds_nothing(tmp_path):
    """An orderly end leaves no litter, but never throws a record away."""
    empty, kept = InflightTable(tmp_path), InflightTable(tmp_path)
    kept.keep(b"{}", b"[]")

    empty.close()
    kept.close()

    (left,) = leftovers(tmp_path)
    assert left.path == kept.path
    assert [one.request for one in left.records] == [b"{}"]


def test_a_damaged_table_is_passed_over(tmp_path):
    """A file that is no table must not stop the start of a server."""
    (tmp_path / "1-a.inflight").write_bytes(b"")
    (tmp_path / "2-b.inflight").write_bytes(b"not a table" * 1000)

    found = leftovers(tmp_path)

    assert [left.records for left in found] == [[], []]


def test_a_full_ring_refuses_instead_of_overwriting(tmp_path):
    """What does not fit is the writer's to keep; what is there stays."""
    table = InflightTable(tmp_path)
    large = b"x" * (inflight.RING_BYTES // 2)

    assert table.keep(large, b"")
    assert not table.keep(large, b"")
    table.flushed()
    assert table.keep(large, b"")


def test_the_ring_goes_on_at_its_start(tmp_path):
    """A server that is never idle for a moment must be able to keep records for ever."""
    table = InflightTable(tmp_path)
    third = b'"' + b"x" * (inflight.RING_BYTES // 3 - 1_000) + b'"'
    for _ in range(3):
        table.keep(third, b"[]")

    for number in range(10):
        table.flushed()
        assert table.keep(third, orjson.dumps([number]))

    left = left_in_copy(table, tmp_path / "copy")
    assert [spans for _, spans in left] == [[7], [8], [9]]
    assert all(orjson.dumps(request) == third for request, _ in left)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(st.integers(1, 900_000), st.none()),
        min_size=1,
        max_size=60,
    )
)
def test_kept_records_come_out_as_they_went_in(tmp_path_factory, steps):
    """Whatever was kept and flushed before, what is left is exactly what was not flushed, in order."""
    folder = tmp_path_factory.mktemp("ring")
    table = InflightTable(folder)
    expected: deque[tuple[dict, list]] = deque()
    for number, step in enumerate(steps):
        if step is None:
            table.flushed()
            if expected:
                expected.popleft()
            continue
        request = {"n": number, "x": "x" * (step // 2)}
        spans = ["y" * (step - step // 2)]
        if table.keep(orjson.dumps(request), orjson.dumps(spans)):
            expected.append((request, spans))

    left = left_in_copy(table, folder / "copy")

    assert left == list(expected)
    table.flushed(len(expected))
    table.close()
    assert not table.path.exists()


def test_a_state_folder_that_cannot_be_written_has_a_stand_in(tmp_path, monkeypatch):
    """A read-only project, as in a container, still loses no crash: the next start looks in the same place."""
    monkeypatch.setattr(inflight.tempfile, "gettempdir", lambda: str(tmp_path))
    state = tmp_path / "file"
    state.write_text("a file where a folder should be")

    folder = inflight_folder(state)

    assert folder == inflight_folder(state)
    assert folder.parent == tmp_path
    InflightTable(folder).close()


def test_a_folder_that_vanished_is_an_error_with_its_name(tmp_path):
    """The message has to say which folder."""
    with pytest.raises(CannotWrite, match="nowhere"):
        InflightTable(tmp_path / "nowhere")
