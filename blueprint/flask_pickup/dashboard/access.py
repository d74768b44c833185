"""Who may see the dashboard: a visitor who has the token, or whom the host's own login lets in."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from flask import Request, Response, make_response
from itsdangerous import BadSignature, TimestampSigner

log = logging.getLogger("flask_pickup")

AccessCheck = Callable[[], Any]
"""The host's own function: True lets the visitor in, False or None does not, anything else is the response."""

COOKIE = "pickup_dashboard"
_DAYS_30 = 30 * 24 * 3600


class Access:
    """Decides about each request before any page is made.

    :param token: opens the dashboard: ``?token=…`` once, from then on a signed cookie.
    :param check: the host's function, which decides alone where there is one.
    """

    def __init__(self, token: str | None, check: AccessCheck | None) -> None:
        self._token = token
        self._check = check
        # Keyed by the token: a host may have no SECRET_KEY, and another token ends all sessions.
        self._signer = TimestampSigner(token or "", salt="pickup-dashboard")

    @property
    def has_own_page(self) -> bool:
        """Whether visitors without access get a page of the dashboard's own, which says how to get in."""
        return self._check is None and self._token is not None

    def refuse(self, request: Request, home: str) -> Response | None:
        """Return what a visitor gets instead of the page; None lets them in.

        :param home: the path of the dashboard, for the cookie.
        """
        if self._check is not None:
            answer = self._check()
            return None if answer is True else make_response(answer or ("", 404))
        if self._token is None:
            return Response(status=404)
        given = request.args.get("token")
        if given is None:
            return None if self._has_cookie(request) else Response(status=401)
        if hmac.compare_digest(given.encode("utf-8", "replace"), self._token.encode()):
            return self._let_in(request, home)
        log.warning("Somebody tried to open the dashboard with a wrong token.")
        return Response(status=403)

    def _let_in(self, request: Request, home: str) -> Response:
        """Return the way to the same address without the token, and the cookie."""
        others = urlencode([(key, value) for key, value in request.args.items(multi=True) if key != "token"])
        response = Response(status=302)
        response.location = f"{request.root_path}{request.path}" + (f"?{others}" if others else "")
        response.set_cookie(
            COOKIE,
            self._signer.sign("in").decode(),
            max_age=_DAYS_30,
            path=home,
            secure=request.is_secure,
            httponly=True,
            # Strict would be lost on the way from a link in a message.
            samesite="Lax",
        )
        return response

    def _has_cookie(self, request: Request) -> bool:
        try:
            return self._signer.unsign(request.cookies.get(COOKIE, ""), max_age=_DAYS_30) == b"in"
        except BadSignature:
            return False


def is_same_site_form(request: Request) -> bool:
    """Return whether a request that is not GET comes from a page of this site.

    Every current browser sends ``Sec-Fetch-Site``; older ones send ``Origin`` with a form.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    return request.headers.get("Origin", "").rstrip("/") == request.host_url.rstrip("/")
