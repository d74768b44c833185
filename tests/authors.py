"""How an author's browser loads and posts pages."""

from __future__ import annotations

import html
import re
import time

from werkzeug.test import TestResponse

from conftest import Phone

WARM = "/experiments/warm-opening"
TOML = "experiments/warm-opening/experiment.toml"
HOURS = {
    "greetings/hours.toml": 'timezone = "Asia/Tokyo"\n[week]\nmonday = "09:00-17:00"\n',
    "greetings/closed.j2": "Closed.",
}


def page(phone: Phone, path: str) -> TestResponse:
    """Load a page as a browser does: again, as long as it says that there are no results yet."""
    end = time.monotonic() + 60
    while True:
        response = phone.client.get(f"/pickup{path}")
        if "data-computing" not in response.text or time.monotonic() > end:
            return response
        time.sleep(0.05)


def words(text: str) -> str:
    """Return what a reader sees of HTML."""
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", text.replace("<wbr>", ""))).split())


def post(phone: Phone, path: str, **form: str) -> TestResponse:
    """Send a form as a page of this site does."""
    return phone.client.post(f"/pickup{path}", data=form, headers={"Sec-Fetch-Site": "same-origin"})
