"""A bundle is unpacked once on a machine, and what is not whole any more is made anew."""

from __future__ import annotations

import os
import shutil
import threading
import time

import pytest

from flux.deploy import unpacked as cache
from flux.deploy.bundle import pack
from flux.deploy.unpacked import unpacked
from flux.errors import BundleDamaged


@pytest.fixture
def bundle(tmp_path):
    shop = tmp_path / "shop"
    (shop / "functions").mkdir(parents=True)
    (shop / "flux.toml").write_text("")
    (shop / "functions" / "app.py").write_text("one = 1\n")
    return pack(shop)


@pytest.fixture
def fetched(bundle):
    """How often the database was asked, and how it is asked."""

    class Fetch:
        times = 0

        def __call__(self):
            self.times += 1
            return bundle.packed

    return Fetch()


def test_the_second_use_asks_nobody(tmp_path, bundle, fetched):
    """A worker that starts while the database is away finds its code here."""
    first = unpacked(tmp_path / "state", bundle.content_sha, fetched)
    again = unpacked(tmp_path / "state", bundle.content_sha, fetched)

    assert again == first
    assert (first / "functions" / "app.py").read_text() == "one = 1\n"
    assert fetched.times == 1


@pytest.mark.parametrize("harm", ["changed", "removed", "added", "archive"])
def test_what_was_changed_by_hand_is_made_anew(tmp_path, bundle, fetched, harm):
    """Every row says which code ran; it must be that code."""
    root = unpacked(tmp_path / "state", bundle.content_sha, fetched)
    if harm == "changed":
        (root / "functions" / "app.py").write_text("one = 2\n")
    elif harm == "removed":
        (root / "functions" / "app.py").unlink()
    elif harm == "added":
        (root / "functions" / "more.py").write_text("")
    else:
        (root.parent / "bundle.tar.gz").write_bytes(b"")

    again = unpacked(tmp_path / "state", bundle.content_sha, fetched)

    assert fetched.times == 2
    assert [path.name for path in (again / "functions").iterdir()] == ["app.py"]
    assert (again / "functions" / "app.py").read_text() == "one = 1\n"


def test_files_that_functions_write_do_not_matter(tmp_path, bundle, fetched):
    """A cache beside the code is no other code."""
    root = unpacked(tmp_path / "state", bundle.content_sha, fetched)
    (root / "cache.json").write_text("{}")

    unpacked(tmp_path / "state", bundle.content_sha, fetched)

    assert fetched.times == 1


def test_a_bundle_that_is_not_what_was_stored_is_refused(tmp_path, bundle):
    """And nothing of it stays."""
    with pytest.raises(BundleDamaged):
        unpacked(tmp_path / "state", bundle.content_sha, lambda: bundle.packed[:-9] + b"123456789")

    assert [path.name for path in (tmp_path / "state" / "deployments").iterdir() if path.is_dir()] == []


def test_those_who_want_it_at_once_wait_for_one_to_make_it(tmp_path, bundle):
    """Workers start together: each would fetch the whole bundle, and rename it over the others' heads."""
    fetched, roots = [], []

    def fetch():
        fetched.append(1)
        time.sleep(0.3)
        return bundle.packed

    def use():
        roots.append(unpacked(tmp_path / "state", bundle.content_sha, fetch))

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(fetched) == 1
    assert len(roots) == 4


def test_a_folder_that_cannot_be_written_is_done_without(tmp_path, bundle, fetched, monkeypatch):
    """A read-only container has a temporary folder at least."""
    state = tmp_path / "file-in-the-way"
    state.write_text("")
    monkeypatch.setattr(cache.tempfile, "gettempdir", lambda: str(tmp_path))

    root = unpacked(state, bundle.content_sha, fetched)

    assert root.is_relative_to(tmp_path)
    assert (root / "functions" / "app.py").exists()


def test_old_bundles_go_but_not_the_one_in_use(tmp_path, bundle, fetched, monkeypatch):
    """A machine that is deployed to every hour must not fill up."""
    monkeypatch.setattr(cache, "KEPT", 2)
    root = unpacked(tmp_path / "state", bundle.content_sha, fetched)
    for number in range(4):
        shutil.copytree(root.parent, root.parent.parent / f"{number:032}")
    os.utime(root.parent, (0, 0))
    unpacked(tmp_path / "state", bundle.content_sha, fetched)

    kept = [path for path in root.parent.parent.iterdir() if path.is_dir()]

    assert len(kept) == 2
    assert root.parent in kept
