"""Where a TUF repository is read from: a directory, a medium that was put in, or a mirror.

A repository has `metadata/` and `targets/`. Nothing that comes from here is believed for where it
came from: TUF's signatures decide, so http is as good as https. What is not there is told as
python-tuf expects it, as HTTP's 404: that is how it learns which root is the newest.
"""

import http.client
import os
import stat
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from tuf.api.exceptions import DownloadError, DownloadHTTPError, SlowRetrievalError
from tuf.ngclient.fetcher import FetcherInterface

from snaproot import __version__
from snaproot.errors import UsageError

_CHUNK = 1 << 16
_MISSING = 404
_SILENCE = 15.0
"""How many seconds a mirror may say nothing."""
_PATIENCE = 120.0
"""How many seconds one file may take altogether, however slowly it drips."""


class Directory(FetcherInterface):
    """A repository in a directory; nothing outside it is read."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            with os.fdopen(_opened(self._path, url), "rb") as file:
                while chunk := file.read(_CHUNK):
                    yield chunk
        except (OSError, ValueError, RuntimeError) as error:  # the last for links in a circle
            raise DownloadError(_said(error)) from error


class Mirror(FetcherInterface):
    """A repository below an http or https URL, read with the standard library.

    Proxies are taken from the environment, as everybody does; certificates are the system's.
    """

    def __init__(self, url: str, *, silence: float = _SILENCE, patience: float = _PATIENCE) -> None:
        self.name = url
        self._base = url if url.endswith("/") else f"{url}/"
        self._silence = silence
        self._patience = patience
        self._opener = urllib.request.OpenerDirector()
        self._opener.addheaders = [("User-Agent", f"snaproot/{__version__}")]
        for handler in (
            urllib.request.ProxyHandler(),
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            _SameScheme(),
        ):
            self._opener.add_handler(handler)

    def _fetch(self, url: str) -> Iterator[bytes]:
        deadline = time.monotonic() + self._patience
        try:
            with self._opener.open(self._base + url, timeout=self._silence) as answer:
                while chunk := answer.read1(_CHUNK):
                    yield chunk
                    if time.monotonic() > deadline:
                        raise SlowRetrievalError(f"it takes more than {self._patience:g} s")
        except urllib.error.HTTPError as error:
            error.close()
            raise DownloadHTTPError(f"it answers {error.code}", error.code) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise DownloadError(_said(error)) from error


class _SameScheme(urllib.request.HTTPRedirectHandler):
    """Redirects stay with http, or with https."""

    def redirect_request(  # noqa: PLR0917 - as urllib calls it
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        scheme = urlsplit(newurl).scheme
        if scheme != req.type:
            raise DownloadError(f"it redirects from {req.type} to {scheme or 'nothing known'}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def source(text: str) -> Directory | Mirror:
    """Tell a mirror's URL from a directory. Raises UsageError for a URL of another kind."""
    if "://" not in text:
        return Directory(Path(text))
    try:
        url = urlsplit(text)
        plain = bool(url.hostname) and url.port != 0 and not (url.query or url.fragment)
    except ValueError as error:
        raise UsageError(f"{text} is no URL") from error
    if url.scheme not in {"http", "https"} or not plain:
        raise UsageError(
            f"{text} is no place to read from",
            hint="give a directory, or an http or https URL without query",
        )
    return Mirror(text)


def _opened(directory: Path, name: str) -> int:
    """Open a regular file; a link may lead anywhere in the directory, but not out of it.

    Raises DownloadHTTPError where there is none, OSError, ValueError, RuntimeError.
    """
    top = directory.resolve(strict=True)
    try:
        place = (top / name).resolve(strict=True)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DownloadHTTPError("it is not there", _MISSING) from error
    if not place.is_relative_to(top):
        raise PermissionError(0, "it leads out of the directory")
    descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise PermissionError(0, "it is no regular file")
    return descriptor


def _said(error: Exception) -> str:
    """Give the cause in words: those of the system, where it has some."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror.lower()
    return str(cause).lower() or type(cause).__name__
