"""Who sees the dashboard: nobody, unless somebody opens it."""

from __future__ import annotations

from typing import Any

import pytest
from flask import redirect, request

from conftest import NOW, MakePhone, Phone
from flask_pickup import ConfigurationError, Pickup

TOKEN = "a-token-of-at-least-128-bits"
PAGES = (
    "/",
    "/calls",
    "/calls/x",
    "/experiments/warm-opening",
    "/definitions/x",
    "/plan",
    "/preview",
    "/download/calls.csv",
    "/assets/pickup.css",
)


@pytest.fixture
def opened(make_phone: MakePhone) -> Phone:
    """An app whose dashboard has a token, and a browser that has shown it."""
    phone = make_phone(PICKUP_DASHBOARD_TOKEN=TOKEN)
    phone.client.get(f"/pickup/?token={TOKEN}")
    return phone


@pytest.mark.parametrize("page", PAGES)
def test_closed_by_default(make_phone: MakePhone, page: str) -> None:
    """Without a token and without the host's own login there is no dashboard."""
    assert make_phone().client.get(f"/pickup{page}").status_code == 404


@pytest.mark.parametrize("page", PAGES)
def test_page_wants_the_token(make_phone: MakePhone, page: str) -> None:
    """Where there is a token, no page, no file and no download is shown without it."""
    phone = make_phone(PICKUP_DASHBOARD_TOKEN=TOKEN)
    assert phone.client.get(f"/pickup{page}").status_code == 401


def test_token_opens_once_and_leaves_the_address(make_phone: MakePhone) -> None:
    """The token is shown once: the answer is a clean address and a cookie that scripts and other sites do not get."""
    phone = make_phone(PICKUP_DASHBOARD_TOKEN=TOKEN)
    response = phone.client.get(f"/pickup/calls?before=x&token={TOKEN}")
    assert (response.status_code, response.headers["Location"]) == (302, "/pickup/calls?before=x")
    cookie = response.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/pickup/" in cookie
    assert TOKEN not in cookie
    assert phone.client.get("/pickup/calls").status_code == 200


@pytest.mark.parametrize("wrong", ["", "guessed", TOKEN[:-1], TOKEN + "x", "é"])
def test_wrong_token_is_refused_and_logged(make_phone: MakePhone, caplog: pytest.LogCaptureFixture, wrong: str) -> None:
    """A wrong token is refused, and the log says that somebody tried, without what they tried."""
    phone = make_phone(PICKUP_DASHBOARD_TOKEN=TOKEN)
    response = phone.client.get("/pickup/", query_string={"token": wrong})
    assert response.status_code == 403
    assert "Set-Cookie" not in response.headers
    assert "wrong token" in caplog.text
    assert not wrong or wrong not in caplog.text


def test_another_token_ends_all_sessions(make_phone: MakePhone, opened: Phone) -> None:
    """A cookie that another token signed opens nothing."""
    cookie = opened.client.get_cookie("pickup_dashboard", path="/pickup/")
    assert cookie
    other = make_phone(PICKUP_DASHBOARD_TOKEN="another-token-of-at-least-128-bits")
    other.client.set_cookie("pickup_dashboard", cookie.value, path="/pickup/")
    assert other.client.get("/pickup/").status_code == 401


def test_short_token_does_not_start(make_phone: MakePhone) -> None:
    """A token that can be guessed stops the app, with a sentence that says what to set."""
    with pytest.raises(ConfigurationError, match="set 22 random characters"):
        make_phone(PICKUP_DASHBOARD_TOKEN="secret")


@pytest.mark.parametrize(("answer", "status"), [(True, 200), (False, 404), (None, 404)])
def test_host_decides(make_phone: MakePhone, answer: Any, status: int) -> None:
    """With dashboard_access the host's own login decides."""
    pickup = Pickup(clock=lambda: NOW)
    pickup.dashboard_access(lambda: answer)
    assert make_phone(pickup=pickup).client.get("/pickup/calls").status_code == status


def test_host_sends_to_its_login(make_phone: MakePhone) -> None:
    """What else the host's function returns is the response, such as the way to its login."""
    pickup = Pickup(clock=lambda: NOW)
    pickup.dashboard_access(lambda: redirect(f"/login?next={request.path}"))
    response = make_phone(pickup=pickup).client.get("/pickup/calls")
    assert (response.status_code, response.headers["Location"]) == (302, "/login?next=/pickup/calls")


@pytest.mark.parametrize("page", ["/", "/calls", "/plan", "/preview", "/experiments/unknown"])
def test_pages_keep_to_themselves(opened: Phone, page: str) -> None:
    """No page is cached, framed, or loads anything from elsewhere or inline; none tells others where it was."""
    headers = opened.client.get(f"/pickup{page}").headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://elsewhere.example"}, {}])
def test_forms_of_other_sites_are_refused(opened: Phone, headers: dict[str, str]) -> None:
    """A form that another site sends is not answered."""
    assert opened.client.post("/pickup/preview", data={"number": "+31612345678"}, headers=headers).status_code == 403


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://localhost"}])
def test_own_forms_are_answered(opened: Phone, headers: dict[str, str]) -> None:
    """The page's own form is answered, with the words that the caller would hear."""
    response = opened.client.post("/pickup/preview", data={"number": "+31612345678"}, headers=headers)
    assert response.status_code == 200
    assert "first_message" in response.text
