"""Whether a project's functions can be loaded, found out in a process of its own: importing a module runs its code.

`python -P -m flux.deploy.trial ROOT ANSWER` is that process; it writes what it found to the file ANSWER.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from flux.config import Project
from flux.errors import DeployRefused

#: Seconds that loading all functions may take.
PATIENCE = 60

#: Characters of what a process said before it died that are worth showing.
_TAIL = 600


@dataclass(frozen=True, slots=True)
class Fault:
    """A module or function that cannot be used: file:line and the reason, and what to do."""

    where: str
    hint: str | None


@dataclass(frozen=True, slots=True)
class Trial:
    """What a load found: names of functions that work, and what does not."""

    functions: tuple[str, ...]
    faults: tuple[Fault, ...]


def try_loading(root: Path, patience: float = PATIENCE) -> Trial:
    """Load the project in this folder in another process; raises DeployRefused when that does not come to an end."""
    with tempfile.TemporaryDirectory(prefix="flux-trial-") as folder:
        answer = Path(folder) / "answer"
        said = Path(folder) / "said"
        with said.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "flux.deploy.trial", str(root), str(answer)],
                cwd=root,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            code = process.wait(patience)
        except subprocess.TimeoutExpired:
            raise DeployRefused(
                f"the functions were still being imported after {patience:g} s",
                hint="A module must not wait or loop when it is imported: do that inside a function.",
            ) from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if not answer.exists():
            tail = said.read_text(errors="replace")[-_TAIL:].strip()
            raise DeployRefused(f"importing the functions ended the process with exit code {code}\n{tail}".strip())
        return msgspec.json.decode(answer.read_bytes(), type=Trial)


def main() -> None:
    """Load, and write what was found; threads that the user's modules started are not waited for."""
    from flux.runtime.loader import load

    root, answer = Path(sys.argv[1]), Path(sys.argv[2])
    registry = load(Project.load(root))
    registry.close()
    found = Trial(
        tuple(sorted(registry.functions)),
        tuple(Fault(str(broken), broken.hint) for broken in registry.broken),
    )
    unfinished = answer.with_suffix(".part")
    unfinished.write_bytes(msgspec.json.encode(found))
    unfinished.rename(answer)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
