"""A project's files as one archive: the same files give the same bytes, and no secret is among them.

It is a tar archive with sorted names and without times, owners or umasks, compressed with gzip. Its identity is the
hash of the uncompressed archive, because compressors differ from one machine to the next.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from flux.config import FILE_NAME
from flux.deploy.files import project_files
from flux.deploy.withheld import packed_settings, why_withheld
from flux.errors import BundleDamaged, BundleTooLarge, DeployRefused

#: Bytes of a bundle: enough for code and what belongs to it, too little for a data set that went astray.
MOST_PACKED = 32 * 1024**2
MOST_UNPACKED = 256 * 1024**2


@dataclass(frozen=True, slots=True)
class Bundle:
    """`content_sha` names the content; `left_out` are paths that were not packed, each with the reason."""

    content_sha: str
    packed: bytes
    files: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive: its content, or where it leads to when it is a link."""

    name: str
    content: bytes
    executable: bool = False
    link: str | None = None


def pack(root: Path) -> Bundle:
    """The project in this folder; raises DeployRefused, BundleTooLarge."""
    members: list[Member] = []
    left_out: list[tuple[str, str]] = []
    links: list[str] = []
    size = 0
    for name in project_files(root):
        if (root / name).is_symlink():
            links.append(name)
            continue
        reason = _why_left_out(root / name)
        if reason is not None:
            left_out.append((name, reason))
            continue
        length = (root / name).stat().st_size
        size += length
        if size > MOST_UNPACKED:
            raise _too_large(f"more than {MOST_UNPACKED // 1024**2} MiB of files", [(name, length), *_sizes(members)])
        members.append(_read(root, name, root / name))
    for name in links:
        _take_link(root, name, members, left_out)
    if not any(member.name == FILE_NAME for member in members):
        raise DeployRefused(f"{FILE_NAME} is ignored by git", hint=f"Take {FILE_NAME} out of .gitignore.")
    members.sort(key=lambda member: member.name.encode("utf-8", "surrogateescape"))
    archive = _archive(members)
    packed = gzip.compress(archive, mtime=0)
    if len(packed) > MOST_PACKED:
        raise _too_large(f"{len(packed) / 1024**2:.1f} MiB, more than {MOST_PACKED // 1024**2} MiB", _sizes(members))
    return Bundle(
        hashlib.sha256(archive).hexdigest(),
        packed,
        tuple(member.name for member in members),
        tuple(sorted(left_out)),
    )


def members_of(packed: bytes, content_sha: str) -> Iterator[Member]:
    """What a bundle holds, in order; raises BundleDamaged when it is not what was packed under this hash."""
    try:
        archive = gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as error:
        raise BundleDamaged(f"the bundle {content_sha[:12]} cannot be unpacked: {error}") from error
    if hashlib.sha256(archive).hexdigest() != content_sha:
        raise BundleDamaged(f"the bundle {content_sha[:12]} is not what was stored under this name")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for entry in tar:
            yield _member(tar, entry)


def unpack(packed: bytes, content_sha: str, folder: Path) -> None:
    """Write the files of a bundle below a new folder; raises BundleDamaged, OSError."""
    folder.mkdir(parents=True)
    for member in members_of(packed, content_sha):
        path = folder / member.name
        path.parent.mkdir(parents=True, exist_ok=True)
        if member.link is not None:
            path.symlink_to(member.link)
        else:
            path.write_bytes(member.content)
            path.chmod(0o755 if member.executable else 0o644)


def _why_left_out(path: Path) -> str | None:
    try:
        return why_withheld(path)
    except OSError as error:
        return f"it cannot be read: {(error.strerror or str(error)).lower()}"


def _read(root: Path, name: str, path: Path) -> Member:
    content = path.read_bytes()
    if name == FILE_NAME:
        content = packed_settings(content.decode()).encode()
    return Member(name, content, bool(path.stat().st_mode & 0o100))


def _take_link(root: Path, name: str, members: list[Member], left_out: list[tuple[str, str]]) -> None:
    """A link to something that is packed stays a link; one out of the project to a file becomes that file."""
    top, target = root.resolve(), (root / name).resolve()
    if target.is_relative_to(top):
        inside = target.relative_to(top).as_posix()
        if any(member.name == inside or member.name.startswith(f"{inside}/") for member in members):
            members.append(Member(name, b"", link=os.path.relpath(target, (root / name).parent.resolve())))
        else:
            left_out.append((name, "it is a link to what is not packed"))
        return
    reason = _why_left_out(target) if target.is_file() else "it is a link out of the project, and not to a file"
    if reason is None:
        members.append(_read(root, name, target))
    else:
        left_out.append((name, reason))


def _archive(members: list[Member]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member in members:
            entry = tarfile.TarInfo(member.name)
            entry.mode = 0o755 if member.executable else 0o644
            if member.link is not None:
                entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, member.link, 0o777
            entry.size = len(member.content)
            tar.addfile(entry, io.BytesIO(member.content))
    return written.getvalue()


def _member(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> Member:
    """An entry that is safe to write: a file or a link that stays inside the folder it is unpacked in."""
    where = [entry.name] if not entry.issym() else [entry.name, f"{PurePosixPath(entry.name).parent}/{entry.linkname}"]
    content = tar.extractfile(entry) if entry.isreg() else None
    if not (entry.isreg() or entry.issym()) or not all(_stays_inside(path) for path in where):
        raise BundleDamaged(f"the bundle holds {entry.name!r}, which does not belong into one")
    return Member(
        entry.name,
        content.read() if content else b"",
        bool(entry.mode & 0o100),
        entry.linkname if entry.issym() else None,
    )


def _stays_inside(path: str) -> bool:
    if path.startswith("/") or "//" in path:
        return False
    depth = 0
    for part in PurePosixPath(path).parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return False
    return True


def _sizes(members: list[Member]) -> list[tuple[str, int]]:
    return [(member.name, len(member.content)) for member in members]


def _too_large(size: str, files: list[tuple[str, int]]) -> BundleTooLarge:
    largest = sorted(files, key=lambda file: file[1], reverse=True)[:3]
    named = ", ".join(f"{name} ({length / 1024**2:.1f} MiB)" for name, length in largest)
    return BundleTooLarge(
        f"the bundle is too large: {size}; its largest files are {named}",
        hint="Name in .gitignore what is not code; data belongs into the database.",
    )
