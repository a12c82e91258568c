"""A bundle is the project and nothing else: the same bytes for the same files, and no secrets."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux.deploy import bundle as bundles
from flux.deploy.bundle import members_of, pack, unpack
from flux.deploy.withheld import packed_settings
from flux.errors import BundleDamaged, BundleTooLarge, DeployRefused

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n-----END OPENSSH PRIVATE KEY-----\n"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.fixture
def shop(tmp_path):
    root = tmp_path / "shop"
    (root / "functions").mkdir(parents=True)
    (root / "flux.toml").write_text('[project]\nname = "shop"\n')
    (root / "functions" / "app.py").write_text("one = 1\n")
    return root


def unpacked(found, folder):
    unpack(found.packed, found.content_sha, folder)
    return folder


def test_the_same_files_give_the_same_bundle(shop, tmp_path):
    """Whoever packs a commit, wherever and whenever, deploys the same version."""
    first = pack(shop)
    copy = tmp_path / "elsewhere"
    (copy / "functions").mkdir(parents=True)
    for name in ("functions/app.py", "flux.toml"):
        (copy / name).write_bytes((shop / name).read_bytes())
        os.utime(copy / name, (time.time() - 86_400,) * 2)
        (copy / name).chmod(0o600)

    again = pack(copy)

    assert (again.content_sha, again.packed) == (first.content_sha, first.packed)
    (copy / "functions" / "app.py").write_text("one = 2\n")
    assert pack(copy).content_sha != first.content_sha


def test_what_is_packed_comes_out_again(shop, tmp_path):
    """Bytes, the right to be run, and links inside the project."""
    (shop / "data.bin").write_bytes(bytes(range(256)))
    (shop / "tool.sh").write_text("#!/bin/sh\n")
    (shop / "tool.sh").chmod(0o755)
    (shop / "functions" / "link.py").symlink_to("app.py")

    there = unpacked(pack(shop), tmp_path / "out")

    assert (there / "data.bin").read_bytes() == bytes(range(256))
    assert os.access(there / "tool.sh", os.X_OK)
    assert not os.access(there / "data.bin", os.X_OK)
    assert (there / "functions" / "link.py").readlink().name == "app.py"


def test_a_link_out_of_the_project_becomes_the_file_it_leads_to(shop, tmp_path):
    """On another machine it would lead nowhere."""
    (tmp_path / "shared.py").write_text("shared = True\n")
    (shop / "functions" / "shared.py").symlink_to(tmp_path / "shared.py")

    there = unpacked(pack(shop), tmp_path / "out")

    assert (there / "functions" / "shared.py").read_text() == "shared = True\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".env", "STRIPE=sk_live"),
        (".env.production", "STRIPE=sk_live"),
        ("config/prod.env", "STRIPE=sk_live"),
        ("server.key", "anything"),
        ("id_rsa", "anything"),
        ("deploy_ed25519", "anything"),
        ("certs/both.pem", CERTIFICATE + KEY),
        (".pgpass", "*:*:*:*:secret"),
    ],
)
def test_secrets_stay_where_they_are(shop, name, text):
    """A database holds what everybody who may read it can see; each file left out is named with the reason."""
    (shop / name).parent.mkdir(exist_ok=True)
    (shop / name).write_text(text)

    found = pack(shop)

    assert name not in found.files
    assert [left for left, _ in found.left_out] == [name]
    assert text.encode() not in gzip.decompress(found.packed)


def test_a_link_to_a_secret_is_no_way_in(shop, tmp_path):
    """Neither inside the project nor out of it."""
    (shop / ".env").write_text("STRIPE=sk_live")
    (tmp_path / "id_rsa").write_text(KEY)
    (shop / "inside.txt").symlink_to(".env")
    (shop / "outside.txt").symlink_to(tmp_path / "id_rsa")

    found = pack(shop)

    assert [name for name, _ in found.left_out] == [".env", "inside.txt", "outside.txt"]
    assert b"PRIVATE" not in gzip.decompress(found.packed)


def test_a_certificate_is_no_secret(shop):
    """Functions that talk to a bank bring theirs."""
    (shop / "ca.pem").write_text(CERTIFICATE)

    assert "ca.pem" in pack(shop).files


def test_the_databases_url_stays_out(shop):
    """It holds a password; each machine has its own."""
    (shop / "flux.toml").write_text(
        '[project]\nname = "shop"\n\n[database]\n# url = "postgresql://old:hunter1@db/shop"\n'
        'url = "postgresql://shop:hunter2@db/shop"  # production\n\n[recording]\nredact = ["password"]\n'
    )

    found = pack(shop)
    (settings,) = [member for member in members_of(found.packed, found.content_sha) if member.name == "flux.toml"]

    assert b"hunter" not in settings.content
    assert b'redact = ["password"]' in settings.content


@pytest.mark.parametrize(
    "text", ['database = { url = "postgresql://x:y@z/a" }\n', '[database]\n"url" = "postgresql://x"\n']
)
def test_a_url_written_in_another_way_is_taken_out_or_refused(text):
    """Never packed because it was not recognised."""
    try:
        assert "postgresql" not in packed_settings(text)
    except DeployRefused as refused:
        assert "URL" in refused.message


def test_other_urls_are_none_of_our_business():
    """Only the database's own is taken out."""
    text = '[project]\nname = "url = 1"\n[webhooks.shop]\nurl = "https://x"\n'

    assert packed_settings(text) == text


def test_what_is_too_large_is_named(shop, monkeypatch):
    """A data set that lies in the project is a mistake, and the one who made it must see which file it is."""
    monkeypatch.setattr(bundles, "MOST_PACKED", 100_000)
    (shop / "data.csv").write_bytes(os.urandom(200_000))

    with pytest.raises(BundleTooLarge, match=r"data\.csv \(0\.2 MiB\)"):
        pack(shop)


def test_a_file_larger_than_memory_is_refused_before_it_is_read(shop):
    """A sparse file of a terabyte costs nothing to make."""
    with (shop / "huge.bin").open("wb") as file:
        file.truncate(1024**4)

    with pytest.raises(BundleTooLarge, match=r"huge\.bin"):
        pack(shop)


def test_flux_toml_must_be_among_the_files(shop):
    """Without it nobody knows what is redacted."""
    (shop / ".gitignore").write_text("flux.toml\n")

    with pytest.raises(DeployRefused, match=r"flux\.toml is ignored by git"):
        pack(shop)


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_a_changed_byte_is_noticed(place, change):
    """Code that is not what was deployed is not run, whatever changed it."""
    packed = gzip.compress(_tar("functions/app.py"), mtime=0)
    content_sha = hashlib.sha256(gzip.decompress(packed)).hexdigest()
    damaged = bytearray(packed)
    damaged[place % len(damaged)] ^= change

    try:
        whole = list(members_of(bytes(damaged), content_sha))
    except BundleDamaged:
        return
    assert whole == list(members_of(packed, content_sha))  # a byte of the gzip header that means nothing


@pytest.mark.parametrize("name", ["../out.py", "/etc/out.py", "functions/../../out.py"])
def test_no_file_of_a_bundle_lands_outside_its_folder(tmp_path, name):
    """Unpacking must not be a way to write elsewhere."""
    archive = _tar(name)

    with pytest.raises(BundleDamaged, match="does not belong"):
        unpack(gzip.compress(archive), hashlib.sha256(archive).hexdigest(), tmp_path / "in" / "here")


def test_no_link_of_a_bundle_leads_outside_its_folder(tmp_path):
    """The same by a detour."""
    archive = _tar("functions/app.py", link="../../../etc")

    with pytest.raises(BundleDamaged, match="does not belong"):
        unpack(gzip.compress(archive), hashlib.sha256(archive).hexdigest(), tmp_path / "here")


def _tar(name, link=None):
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        if link is not None:
            entry.type, entry.linkname = tarfile.SYMTYPE, link
        else:
            entry.size = 3
        tar.addfile(entry, io.BytesIO(b"abc"))
    return written.getvalue()
