"""Answers that the user's code reads piece by piece: what it reads is kept for the record as it passes.

Nothing is read ahead or held back, so a stream stays a stream. No more is kept than the record would store.
"""

from __future__ import annotations

import hashlib
import http.client
import zlib
from typing import Any, cast

from flux.runtime.hops import STREAMED, Hop

#: What zlib is told for each coding of a body: 47 finds out by itself whether it is gzip or zlib.
_CODINGS = {"gzip": 47, "x-gzip": 47, "deflate": 47}


class Kept:
    """The body of one answer as far as it has been read. `coding` is the answer's content-encoding."""

    def __init__(self, hop: Hop, coding: str | None = None) -> None:
        self._hop = hop
        self._coding = (coding or "").strip().lower()
        self._pieces: list[bytes] = []
        self._size = 0
        self._hash = hashlib.sha256()

    def add(self, piece: bytes) -> None:
        """A piece that was read."""
        self._size += len(piece)
        self._hash.update(piece)
        if self._size <= self._hop.record.keep_bytes:
            self._pieces.append(bytes(piece))

    def close(self, *, complete: bool) -> None:
        """Nothing more is read; `complete` when the end was seen. Only the first time counts."""
        if complete:
            self._hop.close(self._body())
        elif self._size:
            self._hop.close({"$partial": self._hop.readable(self._body())})
        else:
            self._hop.close(STREAMED)

    def failed(self, error: BaseException) -> None:
        """The answer broke off."""
        self._hop.failed(error)

    def _body(self) -> object:
        if self._size > self._hop.record.keep_bytes:
            return self._omitted()
        body = b"".join(self._pieces)
        if self._coding in ("", "identity"):
            return body
        if self._coding not in _CODINGS:
            return self._omitted()
        most = self._hop.record.keep_bytes + 1
        try:
            return zlib.decompressobj(_CODINGS[self._coding]).decompress(body, most)
        except zlib.error:
            return self._omitted()

    def _omitted(self) -> dict[str, object]:
        omitted = {"bytes": self._size, "sha256": self._hash.hexdigest(), "coding": self._coding or None}
        return {"$omitted": {name: value for name, value in omitted.items() if value is not None}}


class RecordedAnswer(http.client.HTTPResponse):
    """An http.client answer whose pieces are kept. A plain one is made this by setting its class."""

    _flux_kept: Kept
    _flux_depth: int

    def read(self, amt: int | None = None) -> bytes:
        """Read as http.client does."""
        return self._keep(super().read, amt)

    def read1(self, n: int = -1) -> bytes:
        """Read as http.client does."""
        return self._keep(super().read1, n)

    def readline(self, limit: int = -1) -> bytes:  # type: ignore[override]  # typeshed says int | None
        """Read as http.client does."""
        return self._keep(super().readline, limit)

    def readinto(self, b: Any) -> int:
        """Read as http.client does."""
        count: int = self._listen(super().readinto, b)
        if not self._flux_depth:
            self._flux_kept.add(bytes(memoryview(b)[:count]))
            self._flux_ended()
        return count

    def close(self) -> None:
        """Close as http.client does."""
        super().close()
        self._flux_kept.close(complete=self.length == 0)

    def _keep(self, read: Any, amount: int | None) -> bytes:
        piece: bytes = self._listen(read, amount)
        if not self._flux_depth:  # http.client's own reading goes through here again
            self._flux_kept.add(piece)
            self._flux_ended()
        return piece

    def _listen(self, read: Any, argument: Any) -> Any:
        self._flux_depth += 1
        try:
            return read(argument)
        except BaseException as error:
            if self._flux_depth == 1:
                self._flux_kept.failed(error)
            raise
        finally:
            self._flux_depth -= 1

    def _flux_ended(self) -> None:
        if self.isclosed():
            self._flux_kept.close(complete=True)


def recorded_answer(answer: http.client.HTTPResponse, hop: Hop) -> http.client.HTTPResponse:
    """The same answer, which from now on keeps what is read of it."""
    if type(answer) is not http.client.HTTPResponse:  # a class of the user's own is left as it is
        hop.close(STREAMED)
        return answer
    answer.__class__ = RecordedAnswer
    recorded = cast("RecordedAnswer", answer)
    recorded._flux_depth = 0
    recorded._flux_kept = Kept(hop, answer.getheader("content-encoding"))
    if recorded.length == 0 or recorded.isclosed():  # nobody may ever read it
        recorded._flux_kept.close(complete=True)
    return recorded


class HttpxStream:
    """What httpx reads an answer from; made a stream of httpx's own kinds where httpx is imported."""

    def __init__(self, stream: Any, kept: Kept) -> None:
        self._stream = stream
        self._kept = kept

    def __iter__(self) -> Any:
        try:
            for piece in self._stream:
                self._kept.add(piece)
                yield piece
        except GeneratorExit:
            raise
        except BaseException as error:
            self._kept.failed(error)
            raise
        self._kept.close(complete=True)

    async def __aiter__(self) -> Any:
        try:
            async for piece in self._stream:
                self._kept.add(piece)
                yield piece
        except GeneratorExit:
            raise
        except BaseException as error:
            self._kept.failed(error)
            raise
        self._kept.close(complete=True)

    def close(self) -> None:
        """Let go of the connection."""
        self._stream.close()
        self._kept.close(complete=False)

    async def aclose(self) -> None:
        """Let go of the connection."""
        await self._stream.aclose()
        self._kept.close(complete=False)
