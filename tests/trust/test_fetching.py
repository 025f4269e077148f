"""A repository is read from where it was said to be, and from nowhere else."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from tuf.api.exceptions import (
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    SlowRetrievalError,
)

from snaproot.errors import UsageError
from snaproot.trust.fetching import Directory, Mirror, source
from tests.trust.repository import served

LIMIT = 1000
PAUSE = 0.05
LONG = 5.0


@pytest.fixture
def place(tmp_path: Path) -> Path:
    inside = tmp_path / "repository"
    (inside / "metadata").mkdir(parents=True)
    (inside / "metadata/timestamp.json").write_bytes(b"signed")
    (tmp_path / "secret").write_bytes(b"secret")
    return inside


# -- a directory ---------------------------------------------------------------------------------


def test_a_file_of_the_directory_is_read(place: Path) -> None:
    assert Directory(place).download_bytes("metadata/timestamp.json", LIMIT) == b"signed"


def test_the_directory_itself_and_files_in_it_may_be_links(place: Path) -> None:
    (place / "metadata/1.json").symlink_to("../metadata/timestamp.json")
    (place.parent / "medium").symlink_to(place)
    assert Directory(place.parent / "medium").download_bytes("metadata/1.json", LIMIT) == b"signed"


@pytest.mark.parametrize("name", ["metadata/2.root.json", "metadata/timestamp.json/x", "targets/x"])
def test_what_is_missing_is_told_as_http_does(place: Path, name: str) -> None:
    with pytest.raises(DownloadHTTPError) as caught:
        Directory(place).download_bytes(name, LIMIT)
    assert caught.value.status_code == 404


@pytest.mark.parametrize("name", ["../secret", "metadata/../../secret", "", "metadata", "x\0y"])
def test_nothing_outside_is_read(place: Path, name: str) -> None:
    refused(Directory(place), name)


def test_an_absolute_path_is_outside(place: Path) -> None:
    refused(Directory(place), str(place.parent / "secret"))


@pytest.mark.parametrize("leads", ["../../secret", "/etc/hostname", "loop"])
def test_a_link_that_leads_out_is_not_followed(place: Path, leads: str) -> None:
    (place / "metadata/loop").symlink_to(leads)
    refused(Directory(place), "metadata/loop")


def test_a_pipe_is_not_waited_for(place: Path) -> None:
    os.mkfifo(place / "metadata/pipe")
    refused(Directory(place), "metadata/pipe")


def test_a_medium_that_is_not_in_is_no_empty_repository(place: Path) -> None:
    """An absent file would say that there is no newer root."""
    refused(Directory(place / "none"), "metadata/2.root.json")


def test_a_file_is_read_no_further_than_it_may_be_long(place: Path) -> None:
    with (place / "metadata/endless").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(DownloadLengthMismatchError):
        Directory(place).download_bytes("metadata/endless", LIMIT)


def refused(where: Directory | Mirror, name: str) -> DownloadError:
    with pytest.raises(DownloadError) as caught:
        where.download_bytes(name, LIMIT)
    assert not isinstance(caught.value, DownloadHTTPError)
    return caught.value


# -- a mirror ------------------------------------------------------------------------------------


class Handler(BaseHTTPRequestHandler):
    """Answers by the last part of the path."""

    asked: tuple[str, ...] = ()

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        Handler.asked = (*Handler.asked, self.path)
        act: Callable[[], None] | None = getattr(self, f"_{name.replace('-', '_')}", None)
        if act is not None:
            act()
        elif name.isdigit():
            self.send_error(int(name))
        else:
            self.answer(b"signed")

    def answer(self, content: bytes) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(content)

    def redirect(self, place: str) -> None:
        self.send_response(302)
        self.send_header("Location", place)
        self.end_headers()

    def _moved(self) -> None:
        self.redirect("/elsewhere")

    def _circle(self) -> None:
        self.redirect("circle")

    def _to_a_file(self) -> None:
        self.redirect("file:///etc/hostname")

    def _to_ftp(self) -> None:
        self.redirect("ftp://127.0.0.1:1/x")

    def _to_https(self) -> None:
        self.redirect("https://127.0.0.1:1/x")

    def _endless(self) -> None:
        self.go_on(b"x" * LIMIT, pause=0)

    def _dripping(self) -> None:
        self.go_on(b"x", pause=PAUSE / 4)

    def go_on(self, content: bytes, pause: float) -> None:
        """Send until nobody listens any more, which should be soon."""
        end = time.monotonic() + LONG
        self.answer(b"")
        with suppress(OSError):
            while time.monotonic() < end:
                self.wfile.write(content)
                time.sleep(pause)

    def _garbled(self) -> None:
        self.wfile.write(b"\0\xff garbage\r\n\r\n")

    def _silent(self) -> None:
        time.sleep(LONG)

    def log_message(self, *_: object) -> None:
        pass


def test_a_mirror_is_read_below_its_url() -> None:
    with served(Handler) as url:
        for base in (f"{url}/trust", f"{url}/trust/"):
            assert Mirror(base).download_bytes("metadata/timestamp.json", LIMIT) == b"signed"
            assert Handler.asked[-1] == "/trust/metadata/timestamp.json"
        assert Mirror(url).download_bytes("moved", LIMIT) == b"signed"


@pytest.mark.parametrize("status", [403, 404, 500])
def test_an_http_status_is_passed_on(status: int) -> None:
    with served(Handler) as url, pytest.raises(DownloadHTTPError) as caught:
        Mirror(url).download_bytes(str(status), LIMIT)
    assert caught.value.status_code == status


@pytest.mark.parametrize("name", ["to-a-file", "to-ftp", "to-https"])
def test_a_redirect_to_another_scheme_is_not_followed(name: str) -> None:
    with served(Handler) as url, pytest.raises(DownloadError, match=r"redirects from|answers 302"):
        Mirror(url).download_bytes(name, LIMIT)


def test_what_is_no_answer_is_told() -> None:
    with served(Handler) as url:
        refused(Mirror(url), "garbled")


def test_a_mirror_that_says_nothing_is_given_up() -> None:
    with served(Handler) as url:
        assert str(refused(Mirror(url, silence=PAUSE), "silent")) == "timed out"


def test_redirects_in_a_circle_end() -> None:
    with served(Handler) as url, pytest.raises(DownloadError):
        Mirror(url).download_bytes("circle", LIMIT)


def test_a_mirror_that_drips_is_given_up() -> None:
    start = time.monotonic()
    with served(Handler) as url, pytest.raises(SlowRetrievalError, match="takes more than 0"):
        Mirror(url, patience=PAUSE).download_bytes("dripping", LIMIT)
    assert time.monotonic() - start < LONG / 2


def test_no_more_is_taken_than_a_file_may_have() -> None:
    start = time.monotonic()
    with served(Handler) as url, pytest.raises(DownloadLengthMismatchError):
        Mirror(url).download_bytes("endless", LIMIT)
    assert time.monotonic() - start < LONG / 2


def test_nobody_there_is_told_in_the_words_of_the_system() -> None:
    with served(Handler) as url:
        pass
    assert str(refused(Mirror(url), "x")) == "connection refused"


# -- which of the two ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("/media/usb/trust", Directory),
        ("trust", Directory),
        ("http://mirror.example/trust", Mirror),
        ("https://[2001:db8::1]:8443/trust/", Mirror),
    ],
)
def test_a_url_is_a_mirror_and_all_else_a_directory(text: str, kind: type) -> None:
    found = source(text)
    assert type(found) is kind
    assert found.name == text


@pytest.mark.parametrize(
    "text",
    [
        *("file:///etc", "ftp://mirror.example/", "HTTPX://mirror.example", "https://", "://x"),
        *("https://mirror.example/?x=1", "https://mirror.example/#x", "https://[x/", "http://x:y/"),
    ],
)
def test_any_other_url_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        source(text)
