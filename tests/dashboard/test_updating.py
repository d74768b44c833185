"""How old the results of a page are, and what a page says while newer ones are being computed."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert, update

from conftest import CONTENT, NOW, MakePhone, Phone
from conftest import DASHBOARD_TOKEN as TOKEN
from faulty import eventually
from flask_pickup import Pickup
from flask_pickup.models import Snapshot

WARM = "/pickup/experiments/warm-opening"
RELOADS = '<noscript><meta http-equiv="refresh" content="5"></noscript>'


class Author:
    """Somebody who reads the pages of an app with one running experiment, on a clock of the test's."""

    def __init__(self, make_phone: MakePhone) -> None:
        self.now: float = NOW
        self.phone: Phone = make_phone(CONTENT, pickup=Pickup(clock=lambda: self.now), PICKUP_DASHBOARD_TOKEN=TOKEN)
        self.phone.client.get(f"/pickup/?token={TOKEN}")

    def read(self, path: str, language: str = "en") -> str:
        """Return a page."""
        return self.phone.client.get(path, headers={"Accept-Language": language}).text

    def results(self, path: str) -> str:
        """Return a page once it has results."""
        return str(eventually(lambda: (text := self.read(path)) and "data-computing" not in text and text))

    def let_another_process_compute(self) -> None:
        """Write its lease, of a minute."""
        lease = {"computing_until": datetime.fromtimestamp(self.now + 60, UTC)}
        with self.phone.app.extensions["pickup"].engine.begin() as connection:
            if not connection.execute(update(Snapshot).values(lease)).rowcount:
                connection.execute(insert(Snapshot).values(experiment="warm-opening", **lease))


@pytest.fixture
def author(make_phone: MakePhone) -> Author:
    return Author(make_phone)


def freshness(text: str) -> str:
    """Return the line that says how old the results are."""
    [line] = re.findall(r'<p id="freshness"[^>]* role="status"[^>]*>([^<]*)</p>', text)
    return html.unescape(line)


@pytest.mark.parametrize("path", ["/pickup/", WARM])
def test_page_says_that_results_are_being_computed(author: Author, path: str) -> None:
    """Without results a page says so, and is loaded anew by browsers without scripts alone, until it has them."""
    author.let_another_process_compute()
    text = author.read(path)
    assert freshness(text) == "The results are being computed. They appear here by themselves."
    assert ('<main id="main" data-computing data-updating>' in text, RELOADS in text) == (True, True)
    assert "http-equiv" not in text.replace(RELOADS, "")
    assert "No callers yet" not in text
    author.now += 61
    text = author.results(path)
    assert ("No callers yet" in text, RELOADS in text) == (True, False)


@pytest.mark.parametrize("path", ["/pickup/", WARM])
def test_old_results_are_shown_with_their_time(author: Author, path: str) -> None:
    """Results are shown however old they are, with the time that they are of, also while newer ones are computed."""
    assert freshness(author.results(path)) == "As of 12:00"
    author.now += 2 * 3600
    author.let_another_process_compute()
    assert freshness(author.read(path)) == "As of 12:00, updating"
    assert freshness(author.read(path, "nl")) == "Stand van 12:00, wordt bijgewerkt"
    author.now += 24 * 3600
    author.let_another_process_compute()
    text = author.read(path)
    assert freshness(text) == "As of 13 Dec 12:00, updating"
    assert ('<main id="main" data-updating>' in text, RELOADS in text, "No callers yet" in text) == (True, False, True)


def test_download_begins_once_there_are_results(author: Author) -> None:
    """The export of results that are being computed is a page that waits for them."""
    author.let_another_process_compute()
    response = author.phone.client.get(f"{WARM}/numbers.csv")
    assert (response.status_code, "data-updating" in response.text, RELOADS in response.text) == (503, True, True)
    assert "The download begins by itself." in response.text
    assert author.phone.client.get(f"{WARM}/numbers.x").status_code == 404


def test_drafts_have_no_results_to_wait_for(make_phone: MakePhone) -> None:
    """A page without results to come has no line about them."""
    phone = make_phone(
        {**CONTENT, "experiments/warm-opening/experiment.toml": 'status = "draft"\n[arms]\ncontrol = 1\nwarm = 1\n'},
        PICKUP_DASHBOARD_TOKEN=TOKEN,
    )
    phone.client.get(f"/pickup/?token={TOKEN}")
    for path in ("/pickup/", WARM):
        text = phone.client.get(path).text
        assert (freshness(text), '<main id="main">' in text) == ("", True)
