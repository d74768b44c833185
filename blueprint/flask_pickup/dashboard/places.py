"""How many threads of a process the pages may hold, so that calls never wait for one."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from threading import BoundedSemaphore

from flask import Response

PAGES = 2
"""Pages and downloads at a time, of the usual four threads of a worker."""
FILES = 1
"""Large files beside them; one thread is always left."""


class Places:
    """A few places that are taken at once or not at all: a request that waited for one would hold a thread too."""

    def __init__(self, number: int) -> None:
        self._semaphore = BoundedSemaphore(number)

    def take(self) -> bool:
        """Take a place; False if there is none."""
        return self._semaphore.acquire(blocking=False)

    def give_back(self) -> None:
        """Let somebody else have the place."""
        self._semaphore.release()

    def hold(self, response: Response) -> Response:
        """Keep the place until the response has been sent, however slowly; or will not be."""
        if response.is_sequence:
            response.headers["Content-Length"] = str(response.calculate_content_length())
        response.response = _Sent(response.response, self)  # type: ignore[assignment]
        return response


class _Sent:
    def __init__(self, pieces: Iterable[bytes | str], places: Places) -> None:
        self._pieces = iter(pieces)
        # Also when nobody reads or closes it, as some test clients do.
        self._end = weakref.finalize(self, places.give_back)

    def __iter__(self) -> Iterator[bytes | str]:
        return self

    def __next__(self) -> bytes | str:
        try:
            return next(self._pieces)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the place back, once."""
        self._end()
