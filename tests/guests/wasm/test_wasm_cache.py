"""Compiled modules are compiled once, are never run when they were tampered with, and do not fill the memory."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from flux.runtime.guests.wasm.cache import CompiledFiles, LoadedModules


@pytest.fixture
def files(tmp_path: Path) -> CompiledFiles:
    """An empty cache."""
    return CompiledFiles(tmp_path / "cache")


class Compiling:
    """Counts how often something is compiled."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, data: bytes) -> bytes:
        self.times += 1
        return b"machine code of " + data


def test_a_module_is_compiled_once(files: CompiledFiles) -> None:
    """Go takes seconds, and each worker would."""
    compiling = Compiling()

    for _ in range(3):
        with files.file(b"module", "this machine", compiling) as path:
            assert path.read_bytes() == b"machine code of module"

    assert compiling.times == 1
    assert files.holds(b"module", "this machine")


def test_another_configuration_is_another_file(files: CompiledFiles) -> None:
    """Machine code of another version of wasmtime is refused, or worse."""
    compiling = Compiling()

    for identity in ("this", "that"):
        with files.file(b"module", identity, compiling):
            pass

    assert compiling.times == 2


def test_a_file_that_was_tampered_with_is_thrown_away(files: CompiledFiles, tmp_path: Path) -> None:
    """Wasmtime would run it as it is."""
    compiling = Compiling()
    with files.file(b"module", "this", compiling):
        pass
    (stored,) = (tmp_path / "cache").glob("*.cwasm")
    stored.write_bytes(b"machine code of another")

    with files.file(b"module", "this", compiling) as path:
        assert path.read_bytes() == b"machine code of module"

    assert compiling.times == 2


def test_the_folder_is_its_owners_alone(files: CompiledFiles, tmp_path: Path) -> None:
    """Who can write there can run what they like."""
    (tmp_path / "cache").mkdir(mode=0o777)
    (tmp_path / "cache").chmod(0o777)

    with files.file(b"module", "this", Compiling()):
        pass

    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700


def test_a_folder_of_somebody_else_is_refused(files: CompiledFiles, tmp_path: Path) -> None:
    """They could put anything there, also later."""
    (tmp_path / "cache").mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    os.chown(tmp_path / "cache", 12345, 12345)

    with pytest.raises(PermissionError, match="belongs to another user"), files.file(b"module", "this", Compiling()):
        pass


def test_a_compilation_that_fails_leaves_nothing(files: CompiledFiles, tmp_path: Path) -> None:
    """Half a file would be found by the next process."""

    def fail(data: bytes) -> bytes:
        raise ValueError("not valid")

    with pytest.raises(ValueError, match="not valid"), files.file(b"module", "this", fail):
        pass

    assert list((tmp_path / "cache").iterdir()) == []


def test_a_full_disk_stops_no_function(
    files: CompiledFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It runs from memory, compiled anew in each process, and the log says why it is slow to start."""

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with files.file(b"module", "this", Compiling()) as path:
        assert path.read_bytes() == b"machine code of module"

    assert list((tmp_path / "cache").iterdir()) == []
    assert "No space left on device" in caplog.text


def test_a_folder_that_cannot_be_made_stops_no_function(tmp_path: Path) -> None:
    """A file lies where it should be, or the whole file system is read-only."""
    (tmp_path / "file").write_text("")

    with CompiledFiles(tmp_path / "file" / "wasm").file(b"module", "this", Compiling()) as path:
        assert path.read_bytes() == b"machine code of module"


def test_a_cache_that_was_made_beforehand_need_not_be_written(
    files: CompiledFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in an image whose file system is read-only where it runs."""
    with files.file(b"module", "this", Compiling()):
        pass
    compiling = Compiling()

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "utime", refuse)

    with files.file(b"module", "this", compiling) as path:
        assert path.read_bytes() == b"machine code of module"
    assert compiling.times == 0


def test_processes_wait_for_the_one_that_compiles(tmp_path: Path) -> None:
    """Eight workers that begin at once would each take the seconds, and the memory."""
    code = (
        "import sys, time; from pathlib import Path; from flux.runtime.guests.wasm.cache import CompiledFiles\n"
        "def compile(data):\n"
        "    with open(sys.argv[1] + '/compiled', 'a') as file: file.write('x')\n"
        "    time.sleep(0.3); return data\n"
        "with CompiledFiles(Path(sys.argv[1]) / 'cache').file(b'module', 'this', compile) as path:\n"
        "    assert path.read_bytes() == b'module'\n"
    )

    processes = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(3)]

    assert [process.wait() for process in processes] == [0, 0, 0]
    assert (tmp_path / "compiled").read_text() == "x"


def test_the_last_used_modules_stay_by_count_and_by_bytes() -> None:
    """A project with a thousand functions must not need the memory of all of them."""
    loaded: LoadedModules[str] = LoadedModules(most_modules=3, most_bytes=100)
    loads: list[str] = []

    def get(key: str, size: int = 10) -> str:
        return loaded.get(key, lambda: (loads.append(key) or key, size))

    for key in "abcabd":
        get(key)
    get("a")
    get("c")
    assert loads == ["a", "b", "c", "d", "c"]

    get("large", 95)
    assert len(loaded) == 1
    get("a")
    assert loads[-2:] == ["large", "a"]


def test_threads_that_want_one_module_load_it_once() -> None:
    """The first requests of a worker come together."""
    loaded: LoadedModules[str] = LoadedModules()
    loads: list[int] = []
    gate = threading.Barrier(4)

    def load() -> tuple[str, int]:
        loads.append(1)
        return "module", 1

    def ask() -> None:
        gate.wait()
        assert loaded.get("key", load) == "module"

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert loads == [1]


def test_a_load_that_fails_is_tried_again() -> None:
    """A disk that was full for a moment must not break a function for good."""
    loaded: LoadedModules[str] = LoadedModules()

    def fail() -> tuple[str, int]:
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        loaded.get("key", fail)

    assert loaded.get("key", lambda: ("module", 1)) == "module"
