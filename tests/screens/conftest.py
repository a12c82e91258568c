"""A past with every kind of step, and who answers about it."""

from __future__ import annotations

import os
import time

import psycopg
import pytest
import story
from checkout import tell_richly

from flux.screens.reader import Reader

CODE = '''\
"""Upgrades."""

import json


def upgrade(ctx, user):
    ctx.db.execute("update users set plan = %s where id = %s", None, 42)
    # the provider is asked last
    ctx.tools.stripe.charge(user)
    return user
'''


@pytest.fixture(autouse=True, scope="session")
def _in_utc():
    """Times on the screen are those of this machine's zone."""
    was = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    yield
    os.environ.pop("TZ")
    if was is not None:
        os.environ["TZ"] = was
    time.tzset()


@pytest.fixture(scope="session")
def past(new_database, tmp_path_factory):
    """The story, a rich request with a job, and the code that failed."""
    project = story.told(new_database(), tmp_path_factory.mktemp("walked"))
    story.settle(project)
    (project.root / "functions" / "create_user.py").write_text(
        "from flux import function\n\n\n@function\ndef create_user(ctx, email):\n    "
        + story.UNIQUE["stack"][0]["source"]
        + "\n    return user\n"
    )
    (project.root / "functions" / "upgrade.py").write_text(CODE)
    with psycopg.connect(project.database_url) as connection:
        tell_richly(connection)
    return project


@pytest.fixture(scope="module")
def reader(past):
    """Answers about the past."""
    reader = Reader(past, past.database_url)
    yield reader
    reader.close()
