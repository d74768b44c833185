"""What most platforms have in common. A platform need not begin here: it is whatever has the protocol's members."""
# ruff: noqa: ARG002 (the protocol's)

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from time import time
from typing import Any

from flask_pickup.platforms.events import Answer, JsonObject, Rejection, ToolCalls
from flask_pickup.platforms.signing import require_match, require_recent


@dataclass(frozen=True, eq=False, kw_only=True)
class BasePlatform:
    """A platform with a template engine of its own, that cannot reject a call.

    :param clock: gives the Unix time in seconds.
    :param tolerance: seconds that the signed time may be away from the clock, in either direction.
    """

    templates_again = True
    needs_metadata = False
    acknowledges_large_bodies = False
    plans_analysis = False
    untold = frozenset[str]()
    untemplated = frozenset[str]()

    clock: Callable[[], float] = time
    tolerance: float = 300.0

    def require_signed(self, digest: str, expected: Iterable[bytes], signed_at: float, oldest: float = 0) -> float:
        """Return the signed time.

        :param digest: hexadecimal digits.
        :param expected: the digests that our secrets give.
        :param oldest: how many seconds ago it may have been signed, if that is more than the tolerance.
        :raises BadSignature: if somebody else signed, or too long ago.
        """
        require_match([bytes.fromhex(digest)], expected)
        require_recent(signed_at, now=self.clock(), tolerance=self.tolerance, oldest=oldest)
        return signed_at

    def notes(self, answer: Answer | Rejection) -> Iterable[str]:
        """Return nothing: nothing has to be set at the vendor."""
        return ()

    def default(self) -> dict[str, Any]:
        """Return an empty answer."""
        return {}

    def rejection(self, settings: JsonObject) -> str | None:
        """Return None: the platform cannot reject a call."""
        return None

    def analysis_fields(self, settings: JsonObject) -> Mapping[str, JsonObject]:
        """Return nothing: what an analysis finds is set at the vendor."""
        return {}

    def tool_results(self, event: ToolCalls, result: JsonObject, error: str = "") -> JsonObject:
        """Return the result as it is, or the error."""
        return {"error": error} if error else result
