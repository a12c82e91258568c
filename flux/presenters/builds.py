"""The answer of flux build: a line a module as it is made, or all at once as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from flux.presenters.answer import present, present_json, remark
from flux.presenters.deployments import amount
from flux.presenters.style import Style
from flux.presenters.text import paint, safe, wrap

if TYPE_CHECKING:
    from flux.runtime.guests.wasm.build import Built


class Report:
    """Tells what became of each function. `failures` counts those without a module."""

    def __init__(self, style: Style, root: Path) -> None:
        self.failures = 0
        self._style, self._root = style, root
        self._rows: list[dict[str, Any]] = []

    def begun(self, name: str) -> None:
        """A build begins, which may take a minute."""
        if self._style.terminal:
            remark(f"building {name} …")

    def built(self, built: Built) -> None:
        """A module is ready."""
        module = str(built.module).removeprefix(f"{self._root}/")
        self._rows.append(
            {
                "function": built.function,
                "module": module,
                "bytes": built.size,
                "snapshot": built.snapshot,
                "compiled": built.compiled,
                "seconds": round(built.seconds, 3),
                "error": None,
                "hint": None,
            }
        )
        made = f"{built.seconds:.1f} s" if built.compiled else "its machine code was there"
        snapshot = ", a snapshot" if built.snapshot else ""
        self._say(
            f"  {paint('✔', 'green')} {paint(built.function, 'bold')}  {module}, {amount(built.size)}{snapshot}, {made}"
        )

    def failed(self, name: str, message: str, hint: str | None) -> None:
        """There is no module, and why."""
        self.failures += 1
        self._rows.append(
            {
                "function": name,
                "module": None,
                "bytes": None,
                "snapshot": None,
                "compiled": None,
                "seconds": None,
                "error": message,
                "hint": hint,
            }
        )
        first, *more = message.splitlines()
        columns = self._style.width - 4
        hints = wrap(f"hint: {hint}", columns) if hint else []
        told = [*wrap(first, columns), *map(safe, more), *hints]
        self._say(f"  {paint('✗', 'red')} {paint(name, 'bold')}", *(f"    {line}" for line in told))

    def ended(self) -> None:
        """All were tried."""
        if self._style.json:
            present_json({"builds": self._rows})
        elif not self._rows:
            present(["no function of this project is WebAssembly: none has a flux.toml with [wasm]"], self._style)

    def _say(self, *lines: str) -> None:
        if not self._style.json:
            present(lines, self._style)
