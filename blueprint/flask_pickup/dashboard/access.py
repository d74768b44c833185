"""Who may see the dashboard: whoever has the token, or whom the host's own login lets in."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode as _query

from flask import Request, Response, make_response, redirect
from itsdangerous import BadSignature, TimestampSigner

log = logging.getLogger("flask_pickup")

Asks = Callable[[], Any]
"""The host's own function: true lets the visitor in, false or None does not, anything else is the response."""

COOKIE = "pickup_dashboard"
_DAYS_30 = 30 * 24 * 3600


class Access:
    """Decides about each request before any page is made.

    :param token: opens the dashboard: ``?token=…`` once, from then on a signed cookie.
    :param asks: the host's function, which decides alone where there is one.
    """

    def __init__(self, token: str | None, asks: Asks | None) -> None:
        self._token = token
        self._asks = asks
        # Keyed by the token: a host may have no SECRET_KEY, and another token ends all sessions.
        self._signer = TimestampSigner(token, salt="pickup-dashboard") if token else None

    @property
    def is_closed(self) -> bool:
        """Whether there is no way in."""
        return self._token is None and self._asks is None

    def refuse(self, request: Request, home: str) -> Response | None:
        """Return what a visitor gets instead of the page; None lets them in.

        :param home: the path below which the dashboard lies, for the cookie.
        """
        if self._asks is not None:
            answer = self._asks()
            return None if answer is True else make_response(answer or ("", 404))
        if self._token is None:
            return Response(status=404)
        if (given := request.args.get("token")) is not None:
            return self._let_in(request, home) if self._is_token(given) else self._turn_away()
        return None if self._has_cookie(request) else Response(status=401)

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "replace"), (self._token or "").encode())

    def _turn_away(self) -> Response:
        # At once: a thread that sleeps is a call that waits.
        log.warning("Somebody tried to open the dashboard with a wrong token.")
        return Response(status=403)

    def _let_in(self, request: Request, home: str) -> Response:
        rest = {key: value for key, value in request.args.items(multi=True) if key != "token"}
        clean = redirect(f"{request.root_path}{request.path}" + (f"?{_query(rest)}" if rest else ""))
        assert self._signer is not None
        clean.set_cookie(
            COOKIE,
            self._signer.sign("in").decode(),
            max_age=_DAYS_30,
            path=home,
            secure=request.is_secure,
            httponly=True,
            # Strict would be lost on the way from a link in a message.
            samesite="Lax",
        )
        response: Response = make_response(clean)
        return response

    def _has_cookie(self, request: Request) -> bool:
        assert self._signer is not None
        try:
            return self._signer.unsign(request.cookies.get(COOKIE, ""), max_age=_DAYS_30) == b"in"
        except BadSignature:
            return False


def is_own_form(request: Request) -> bool:
    """Return whether a request that is not GET comes from a page of ours.

    Every browser of today sends ``Sec-Fetch-Site``; older ones send ``Origin`` with a form.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    return request.headers.get("Origin", "").rstrip("/") == request.host_url.rstrip("/")
