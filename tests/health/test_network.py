"""The probes of endpoints, against servers on this machine; integration/test_health.py has more."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from snaproot.health import Result
from snaproot.health.network import accepts, fetches, resolves
from tests.health.asking import answer


class Pages(BaseHTTPRequestHandler):
    """Answers with the status that the path names; `/302` leads to `/204`."""

    def do_GET(self) -> None:
        self.send_response(int(self.path[1:]))
        if self.path == "/302":
            self.send_header("Location", "/204")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def listening(*, backlog: int = 1) -> Iterator[str]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(backlog)
        yield f"127.0.0.1:{server.getsockname()[1]}"


def closed() -> str:
    with listening() as endpoint:
        return endpoint


def test_a_port_that_accepts_is_good() -> None:
    with listening() as endpoint:
        found = answer(lambda: accepts(endpoint, 5))
    assert (found.result, found.reason) == (Result.GOOD, f"{endpoint} accepts connections")


def test_an_ipv6_address_in_brackets() -> None:
    with socket.socket(socket.AF_INET6) as server:
        server.bind(("::1", 0))
        server.listen()
        port = server.getsockname()[1]
        assert answer(lambda: accepts(f"[::1]:{port}", 5)).result is Result.GOOD


def test_a_port_that_refuses_is_bad() -> None:
    endpoint = closed()
    found = answer(lambda: accepts(endpoint, 5))
    assert (found.result, found.reason) == (Result.BAD, f"{endpoint}: connection refused")


@pytest.mark.parametrize(("status", "result"), [(200, "good"), (302, "good"), (404, "bad")])
def test_a_page_is_as_good_as_its_status(web: str, status: int, result: str) -> None:
    found = answer(lambda: fetches(f"http://{web}/{status}", 5))
    assert found.result == result
    assert found.evidence["status"] == (204 if status == 302 else status)


def test_no_proxy_of_the_environment_is_asked(web: str) -> None:
    import os

    os.environ["http_proxy"] = f"http://{closed()}"
    try:
        assert answer(lambda: fetches(f"http://{web}/200", 5)).result is Result.GOOD
    finally:
        del os.environ["http_proxy"]


def test_a_server_that_refuses_is_bad() -> None:
    url = f"http://{closed()}/"
    found = answer(lambda: fetches(url, 5))
    assert (found.result, found.reason) == (Result.BAD, f"{url}: connection refused")


def test_a_server_that_says_nothing_is_unknown() -> None:
    with listening() as endpoint:
        found = answer(lambda: fetches(f"http://{endpoint}/", 0.3))
    assert found.result is Result.UNKNOWN
    assert "timed out" in found.reason


def test_a_server_that_speaks_no_http_is_bad() -> None:
    with listening() as endpoint, socket.create_server(("127.0.0.1", 0)) as server:
        del endpoint
        threading.Thread(target=lambda: _say(server, b"SSH-2.0-x\r\n\r\n"), daemon=True).start()
        found = answer(lambda: fetches(f"http://127.0.0.1:{server.getsockname()[1]}/", 5))
    assert found.result is Result.BAD


def _say(server: socket.socket, text: bytes) -> None:
    with server.accept()[0] as peer:
        peer.recv(100)
        peer.sendall(text)


def test_a_certificate_that_is_none_is_bad(web: str) -> None:
    found = answer(lambda: fetches(f"https://{web}/200", 5))
    assert found.result is Result.BAD


def test_a_name_in_the_hosts_file_is_good() -> None:
    found = answer(lambda: resolves("localhost"))
    assert found.result is Result.GOOD


def test_a_name_that_cannot_be_one_is_bad() -> None:
    assert answer(lambda: resolves("a..b")).result is Result.BAD
