"""What a caller sends is taken only in its proper form, and secrets never reach a record."""

from __future__ import annotations

from uuid import UUID

import pytest

from flux.gateway import incoming
from flux.gateway.ids import BLOCK, RECENT, RequestIds
from flux.gateway.problems import Refused
from flux.redaction import Redactor

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"00-{TRACE}-{PARENT}-01", (TRACE, PARENT)),
        (f"cc-{TRACE}-{PARENT}-01-what-comes-later", (TRACE, PARENT)),
        (f"ff-{TRACE}-{PARENT}-01", (None, None)),
        (f"00-{'0' * 32}-{PARENT}-01", (None, None)),
        (f"00-{TRACE}-{'0' * 16}-01", (None, None)),
        (f"00-{TRACE.upper()}-{PARENT}-01", (None, None)),
        (f"00-{TRACE}-{PARENT}", (None, None)),
        ("", (None, None)),
        (None, (None, None)),
    ],
)
def test_a_trace_is_taken_over_only_as_w3c_writes_it(header, expected):
    """A malformed traceparent must start a new trace, not spoil ours."""
    assert incoming.trace_of(header) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("4F9A3B2C-0000-4000-8000-000000000001", UUID("4f9a3b2c-0000-4000-8000-000000000001")),
        ("00000000-0000-0000-0000-000000000000", None),
        ("{4f9a3b2c-0000-4000-8000-000000000001}", None),
        ("4f9a3b2c", None),
        ("'; drop table flux.trace_requests", None),
        (None, None),
    ],
)
def test_a_request_id_is_taken_over_only_if_it_is_a_uuid(header, expected):
    """The id goes into a session variable as text: nothing else may pass."""
    assert incoming.uuid_of(header) == expected


def test_credentials_are_told_apart_from_headers():
    """Functions may read credentials, records may not."""
    environ = {
        "HTTP_AUTHORIZATION": "Bearer secret",
        "HTTP_COOKIE": "session=secret",
        "HTTP_X_API_KEY": "secret",
        "HTTP_X_TENANT": "secret",
        "HTTP_ACCEPT": "*/*",
        "CONTENT_TYPE": "application/json",
        "REQUEST_METHOD": "POST",
    }

    open_, secret = incoming.headers_of(environ, Redactor(["x-tenant"]))

    assert open_ == {"accept": "*/*", "content-type": "application/json"}
    assert set(secret) == {"authorization", "cookie", "x-api-key", "x-tenant"}


def test_secrets_in_path_and_query_are_replaced():
    """A password-reset link carries its secret in the URL."""
    redactor = Redactor(["token", "password"])

    assert incoming.redacted_path("/reset/abc/now", "/reset/{token}/{when}", redactor) == "/reset/[redacted]/now"
    assert incoming.redacted_query("a=1&Password=x", redactor) == "a=1&Password=%5Bredacted%5D"
    assert incoming.redacted_query("a=1&b=%20", redactor) == "a=1&b=%20"
    assert incoming.redacted_query("a=%ff&password=x", redactor) == "[redacted]"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("/a%2Fb?x=1?y", ("/a%2Fb", "x=1?y")),
        ("/a", ("/a", "")),
        ("http://example.com/a?x=1", ("/a", "x=1")),
        ("http://example.com", ("/", "")),
        ("//evil.example/a", ("//evil.example/a", "")),
    ],
)
def test_the_target_is_read_as_it_was_sent(raw, expected):
    """Proxies send whole URLs; a path that begins with two slashes is still a path."""
    assert incoming.target_of({"RAW_URI": raw, "PATH_INFO": "/"}) == expected


def test_a_form_of_a_million_fields_is_refused():
    """One request must not be able to fill the memory of a worker."""
    with pytest.raises(Refused, match="more than 1000 fields"):
        incoming.query_of("&".join(f"f{number}=1" for number in range(1_001)))


def test_numbers_keep_every_digit():
    """An id beyond 2**64 is still that id."""
    assert incoming.decode_body(b'{"id": 123456789012345678901234567890}', "application/json", None) == {
        "id": 123456789012345678901234567890
    }


def test_fresh_ids_are_random_and_never_the_same():
    """People name a request by its first 8 digits, so those have to differ from the first request on."""
    ids = RequestIds()

    fresh = [ids.fresh() for _ in range(3 * BLOCK)]

    assert len(set(fresh)) == len(fresh)
    assert {one.version for one in fresh} == {4}
    assert len({one.bytes[0] for one in fresh}) > 100


def test_an_id_is_taken_once_and_forgotten_only_much_later():
    """What a caller sent a moment ago is not taken again, and memory stays bounded."""
    ids = RequestIds()
    wanted = UUID("4f9a3b2c-0000-4000-8000-000000000001")

    assert ids.take(wanted)
    assert not ids.take(wanted)
    for number in range(1, RECENT + 1):
        assert ids.take(UUID(int=number))
    assert ids.take(wanted)
