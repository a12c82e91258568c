"""Projects that can be deployed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from flux.config import Project
from flux.deploy.deployments import prepared, switch

APP = "from flux import function\n\n\n@function(route='GET /number')\ndef number(ctx):\n    return {number}\n"


@pytest.fixture
def shop(project: Project, database_url: str) -> Project:
    """A project with one function and one table, and a database of its own."""
    (project.root / "functions" / "app.py").write_text(APP.format(number=0))
    (project.root / "db" / "migrations").mkdir(parents=True)
    (project.root / "db" / "migrations" / "0001_users.sql").write_text("create table users (id int primary key);\n")
    return replace(project, database_url=database_url)


@pytest.fixture
def deployed(shop: Project) -> Callable[[int], int]:
    """Deploys code that answers with a number, without the migrations; gives the version."""

    def deploy(number: int) -> int:
        path: Path = shop.root / "functions" / "app.py"
        path.write_text(APP.format(number=number))
        assert shop.database_url is not None
        with prepared(shop) as ready:
            return switch(shop.database_url, ready, f"number {number}").version

    return deploy
