"""The views of addresses are remembered: as many as there are of ours, and none that a stranger made long."""

from __future__ import annotations

import io

import pytest

from calock.server.process import wsgi


@pytest.fixture(autouse=True)
def _nothing_remembered():
    wsgi._match.cache_clear()
    yield
    wsgi._match.cache_clear()


def ask(path: str) -> str:
    """The status that the whole application answers, as the server's threads ask it."""
    answered: list[str] = []
    environ = {
        "REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": "", "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "80",
        "HTTP_HOST": "shanxi.localhost", "REMOTE_ADDR": "127.0.0.1", "wsgi.input": io.BytesIO(), "wsgi.url_scheme": "http",
        "SCRIPT_NAME": "",
    }  # fmt: skip
    wsgi.application(environ, lambda status, *_: answered.append(status))  # not closed: that would end the test's transaction
    return answered[0]


def test_a_view_is_looked_up_once_for_one_address(db):
    assert ask("/api/site") == ask("/api/site") == "200 OK"
    assert wsgi._match.cache_info()[:2] == (1, 1)


def test_addresses_that_strangers_make_long_take_no_memory(db):
    assert ask(f"/receipts/{'9' * 60_000}/")[:3] in ("302", "400", "404")
    assert ask("/no/such/page")[:3] == "404"
    assert wsgi._match.cache_info().currsize == 0
