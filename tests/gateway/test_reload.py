"""What is saved is put to work, also when it was saved while nobody watched."""

from __future__ import annotations

import threading
from pathlib import Path

from flux.config import Project
from flux.gateway.reload import Reloader


def test_what_was_saved_before_the_first_watch_is_found(tmp_path: Path) -> None:
    """`flux dev` says that it serves, and an editor that saves at that moment must not be overheard."""
    (tmp_path / "flux.toml").write_text('[project]\nname = "shop"\n')
    (tmp_path / "functions").mkdir()
    (tmp_path / "db" / "migrations").mkdir(parents=True)
    applied = threading.Event()
    reloader = Reloader(
        Project.load(tmp_path),
        None,
        migrate=applied.set,
        declare=lambda: None,
        on_deploy=lambda deployment: None,
        on_error=lambda error: None,
    )

    (tmp_path / "db" / "migrations" / "0001_tags.sql").write_text("create table tags (id int);")
    reloader.start()

    assert applied.wait(10)
    reloader.stop()
    reloader.join(10)
