"""The program deno: where it is, how it is started so that code can reach nothing but its own socket, and its cache."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from flux.errors import ToolMissing

SDK = Path(__file__).resolve().parents[3] / "sdk" / "typescript"
HOST = SDK / "host"

#: What says how a project's TypeScript is loaded, by order.
CONFIGS = ("deno.json", "deno.jsonc")

#: What is private also where it is not there yet when a process starts.
_HIDDEN = (".env", ".env.local", ".flux", ".git", ".npmrc")

INSTALL = "Install it: `pip install 'flux-runtime[typescript]'`."


@cache
def find_deno() -> str:
    """The program's path; raises ToolMissing."""
    try:
        from deno import find_deno_bin

        return str(find_deno_bin())
    except (ImportError, OSError):
        raise ToolMissing("deno, which runs functions in TypeScript, is not installed", hint=INSTALL) from None


def command(root: Path, socket: Path, heap: int) -> list[str]:
    """The command line of a process, started in root, that serves functions of the project there over a socket.

    `heap` is what JavaScript objects may take, in bytes. Nothing else may be read than the project and its packages,
    and of that nothing private; nothing written, no program run, no address reached.
    """
    read = [str(SDK), ".", str(socket)]
    packages = root / "node_modules"
    if packages.is_symlink():
        read.append(str(packages.resolve()))
    return [
        *dying_with_parent(),
        find_deno(),
        "run",
        "--no-prompt",
        *loading(root),
        "--ignore-env",
        "--deny-run",
        "--deny-ffi",
        "--deny-sys",
        f"--allow-net=unix:{socket}",
        f"--allow-read={','.join(read)}",
        f"--deny-read={','.join(private(root))}",
        f"--allow-write={socket}",
        f"--v8-flags=--max-old-space-size={heap // 1024**2}",
        str(HOST / "main.ts"),
        str(socket),
    ]


def private(root: Path) -> list[str]:
    """What may hold credentials at the top of a project: its flux.toml, and whatever a dot hides.

    Relative to root, since Deno has no way to write a path that has a comma in it.
    """
    hidden = {path.name for path in root.glob(".*") if "," not in path.name}
    return [f"./{name}" for name in sorted({"flux.toml", *_HIDDEN, *hidden})]


def loading(root: Path) -> list[str]:
    """How modules are found: by the project's own import map, in node_modules, and nowhere else."""
    return ["--no-remote", "--cached-only", "--no-lock", "--node-modules-dir=manual", f"--config={config(root)}"]


def environment(root: Path) -> dict[str, str]:
    """The whole environment of a process of Deno: secrets stay with the worker."""
    return {
        "DENO_DIR": str(cache_folder()),
        "DENO_NO_UPDATE_CHECK": "1",
        "NO_COLOR": "1",
        "HOME": str(root),
        "PATH": os.environ.get("PATH", os.defpath),
    }


def config(root: Path) -> Path:
    """The project's deno.json; one that only knows Flux where it has none."""
    return next((root / name for name in CONFIGS if (root / name).is_file()), SDK / "deno.json")


@cache
def cache_folder() -> Path:
    """Where Deno keeps what it compiled, for all projects of this user."""
    home = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    folder = Path(home) / "flux" / "deno"
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    if os.access(folder, os.W_OK | os.X_OK):
        return folder
    return Path(tempfile.mkdtemp(prefix="flux-deno-cache-"))


@cache
def dying_with_parent() -> Sequence[str]:
    """The beginning of a command line, with which a process ends with the thread that started it, where it can."""
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", "KILL", "--no-new-privs", "--") if setpriv else ()
