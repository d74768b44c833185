"""The dashboard in a real browser: what somebody who opens it sees, hears, and can reach."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.base import AXE_SCRIPT, AxeResults
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from sqlalchemy import insert, update

from dashboards import MUCH, SAID, TOKEN, app_of, served
from flask_pickup.models import Snapshot

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: on Debian and Ubuntu, apt install chromium"),
]

Views = tuple[tuple[int, Literal["light", "dark"]], ...]

LIGHT_PHONE: Views = ((390, "light"), (1280, "dark"))
DARK_PHONE: Views = ((390, "dark"), (1280, "light"))
WARM = "experiments/warm-opening"
PAGES = (
    "",
    "calls",
    "calls?arm=warm&outcome=early_hang_up&value=no&since=2026-01-01",
    WARM,
    "experiments/later",
    "plan",
    "plan?baseline=30&lift=5&callers_a_week=500",
    "preview",
    "experiments/nowhere",
)
MANY = dict.fromkeys(("control", "warm"), SAID["winner"]["control"])


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server; below it a path for each database."""
    folder = tmp_path_factory.mktemp("dashboards")
    apps = {name: app_of(folder / name, said) for name, said in SAID.items() if name != "same"}
    apps["much"] = app_of(folder / "much", MANY, MUCH)
    with served(apps) as url:
        yield url


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser."""
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        expect.set_options(timeout=30_000)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


class Visitor:
    """Somebody with a browser, to whom every dashboard is open.

    What the browser complains of, and whatever it asks of anybody else, is noted, but for answers of an expected status.
    """

    def __init__(self, browser: Browser, address: str, *, language: str = "en-GB", scripts: bool = True) -> None:
        self.context: BrowserContext = browser.new_context(
            locale=language, java_script_enabled=scripts, reduced_motion="reduce"
        )
        self.address = address
        self.noted: list[str] = []
        self.expected = {404}
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self._note(message.type, message.text))
        self.page.on("pageerror", lambda error: self._note("error", str(error)))
        self.page.on("request", self._asked)

    def _note(self, kind: str, text: str) -> None:
        # The browser's own line on a status comes when it likes, also after the test that asked for it.
        if not any(f" a status of {status} " in text for status in self.expected):
            self.noted.append(f"{kind}: {text}")

    def _asked(self, request: object) -> None:
        if not str(getattr(request, "url", "")).startswith((self.address, "data:")):
            self.noted.append(f"asked elsewhere: {request}")

    def open(self, database: str, path: str = "") -> Page:
        """Open a page, and load it again until it has results."""
        home = f"{self.address}/{database}/pickup/"
        if not any(cookie.get("path") == f"/{database}/pickup/" for cookie in self.context.cookies()):
            self.page.goto(f"{home}?token={TOKEN}")
        self.page.goto(home + path)
        end = time.monotonic() + 60
        while self.page.locator("main[data-computing]").count() and time.monotonic() < end:
            self.page.wait_for_timeout(50)
            self.page.reload()
        return self.page


@pytest.fixture(scope="module")
def everyone(chromium: Browser, address: str) -> Iterator[Visitor]:
    """A visitor for all tests of the module, who keeps the cookies."""
    visitor = Visitor(chromium, address)
    yield visitor
    visitor.context.close()


@pytest.fixture
def visitor(everyone: Visitor) -> Iterator[Visitor]:
    """A visitor with whose pages the browser finds nothing wrong."""
    everyone.noted.clear()
    yield everyone
    assert not everyone.noted


def test_no_arm_is_ahead_before_the_verdict(visitor: Visitor) -> None:
    """While it cannot be told, control comes first everywhere, and nothing is coloured as better or worse."""
    page = visitor.open("undecided", WARM)
    assert page.locator(".arm h3").all_inner_texts() == ["control", "warm"]
    assert page.locator(".verdict").get_attribute("class") == "verdict cannot-tell-yet"
    quiet = page.evaluate("getComputedStyle(document.querySelector('.verdict')).borderLeftColor")
    assert quiet == page.evaluate("getComputedStyle(document.querySelector('footer')).color")


@pytest.mark.parametrize(
    ("database", "path"),
    [
        *product(["little"], PAGES),
        *product(["empty", "much"], ["", "calls", WARM]),
        *product(["winner", "broken"], ["", WARM]),
    ],
)
def test_every_page_can_be_used_by_everybody(visitor: Visitor, database: str, path: str) -> None:
    """With no data, a little and much, in light and dark: axe-core finds nothing, and no page is broader than the screen."""
    page = visitor.open(database, path)
    page.evaluate("document.querySelectorAll('details').forEach(element => { element.open = true })")
    # Each width is seen in each scheme, of one state or the other.
    examined(page, LIGHT_PHONE if database == "little" else DARK_PHONE)


def test_pages_behind_links_can_be_used_by_everybody(visitor: Visitor) -> None:
    """So it is with a call, a definition, and what somebody would hear."""
    page = visitor.open("little", "calls")
    page.locator("tbody a").first.click()
    assert "Decision, step by step" in page.locator("main").inner_text()
    examined(page)
    page = visitor.open("little", WARM)
    page.locator("summary", has_text="Versions").click()
    page.locator("main a", has_text="since").first.click()
    assert "how lovely that you call!" in page.locator("main").inner_text()
    examined(page)
    page = visitor.open("little", "preview")
    page.get_by_label("Caller's number").fill("+31612345678")
    page.get_by_role("button", name="Show").click()
    page.locator("summary", has_text="Answer to the platform").click()
    assert "first_message" in page.locator("pre").inner_text() or "error" in page.locator("pre").inner_text()
    examined(page)


def examined(page: Page, views: Views = LIGHT_PHONE) -> None:
    """Look for what keeps somebody from using a page: axe-core's rules, and whether it is broader than a screen."""
    page.evaluate(AXE_SCRIPT)
    for width, scheme in views:
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)
        found = AxeResults(page.evaluate("axe.run({resultTypes: ['violations']})"))
        assert found.violations_count == 0, found.generate_report()
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_plots_are_drawn_without_a_script(chromium: Browser, address: str) -> None:
    """Intervals lie where their numbers are, and the difference over time has a name; none of it needs a script."""
    visitor = Visitor(chromium, address, scripts=False)
    page = visitor.open("winner", WARM)
    zero, low = (
        page.locator(f"#numbers tbody tr .interval .{part}").first.bounding_box() for part in ("zero", "range")
    )
    assert zero
    assert low
    assert 0 < zero["x"] < low["x"]
    plots = page.locator(".plot")
    assert plots.first.get_attribute("aria-label") == (
        "The difference of warm from control and its interval at each weekly look; the table has the same figures."
    )
    assert plots.first.locator(".scale text").all_inner_texts()[:2] != []
    visitor.context.close()
    assert not visitor.noted


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"language": "nl-NL"}, ("warm is beter (gevonden op", "+12,0 pp", "3.000 bellers")),
        (
            {"scripts": False},
            ("warm is better", "+12.0 pp", "how lovely that you call!", "Who is included", "Data table"),
        ),
    ],
)
def test_page_says_the_same_to_everybody(
    chromium: Browser, address: str, options: dict[str, Any], says: tuple[str, ...]
) -> None:
    """A browser that asks for Dutch gets the verdict, numbers and days in Dutch; one without scripts gets all figures."""
    other = Visitor(chromium, address, **options)
    page = other.open("winner", WARM)
    text = " ".join(page.locator("main").inner_text().split())
    assert [each for each in says if each not in text] == []
    assert page.locator("html").get_attribute("lang") == options.get("language", "en")[:2]
    if options.get("scripts") is False:
        assert page.get_by_role("button", name="Read aloud").count() == 0
    other.context.close()
    assert not other.noted


def test_keyboard_reaches_everything_in_order(visitor: Visitor) -> None:
    """The first tab stop leads past the navigation; each stop can be seen; their order is that of the page."""
    page = visitor.open("little", WARM)
    page.set_viewport_size({"width": 1280, "height": 800})
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_in_viewport()
    places = []
    for _ in range(12):
        outline, top = page.evaluate(
            "[getComputedStyle(document.activeElement).outlineStyle,"
            " document.activeElement.compareDocumentPosition(document.querySelector('footer'))]"
        )
        assert outline != "none"
        assert top == 4, "before the footer"
        places.append(page.evaluate("[...document.querySelectorAll('*')].indexOf(document.activeElement)"))
        page.keyboard.press("Tab")
    assert places == sorted(places)
    page.keyboard.press("Home")
    page.locator(".skip").focus()
    page.keyboard.press("Enter")
    assert page.url.endswith("#main")


def test_opening_is_read_aloud(visitor: Visitor) -> None:
    """The button hands the arm's words to the browser's voice, in the language that the caller would hear."""
    page = visitor.open("little", WARM)
    page.evaluate("() => { SpeechSynthesis.prototype.speak = (words) => { window.spoken = [words.text, words.lang] } }")
    page.locator(".arm", has=page.locator("#arm-warm")).get_by_role("button", name="Read aloud").click()
    assert page.evaluate("window.spoken") == ["Hello, how lovely that you call! How can I help you?", "en"]


def test_chosen_caller_is_heard(visitor: Visitor) -> None:
    """The folded form above the arms changes their preview, and stays open once it was used."""
    page = visitor.open("little", WARM)
    page.locator("summary", has_text="Preview as another caller").click()
    page.get_by_label("Customer: first name").fill("Ada")
    page.get_by_label("Hours").select_option("open")
    page.get_by_role("button", name="Show").click()
    assert "Good day Ada. How can I help you?" in page.locator(".arms").inner_text()
    page.get_by_label("Hours").select_option("closed")
    page.get_by_role("button", name="Show").click()
    assert "We are closed." in page.locator(".arms").inner_text()


@pytest.mark.parametrize(
    ("database", "path", "says"),
    [
        ("little", "calls", "Front desk"),
        ("winner", WARM, "status: draft → running; share of the audience that is enrolled: 50 % → 100 %"),
    ],
)
def test_page_names_what_it_shows(visitor: Visitor, database: str, path: str, says: str) -> None:
    """A line goes by the name that the business gave it, and a definition by what changed with it; no number is shown."""
    text = visitor.open(database, path).locator("main").text_content()
    assert text
    assert says in text
    assert "+31" not in text


@pytest.fixture
def updated(chromium: Browser, tmp_path: Path) -> Iterator[tuple[Visitor, Callable[..., None]]]:
    """A visitor on an experiment's page, and what changes the row of its results."""
    app = app_of(tmp_path / "updated", SAID["little"])

    def change(**values: object) -> None:
        with app.extensions["pickup"].engine.begin() as connection:
            if not connection.execute(update(Snapshot).values(values)).rowcount:
                connection.execute(insert(Snapshot).values({"experiment": "warm-opening", **values}))

    with served({"updated": app}) as url:
        visitor = Visitor(chromium, url)
        visitor.page.clock.install()
        yield visitor, change
        visitor.context.close()
        assert not visitor.noted


Updated = tuple[Visitor, Callable[..., None]]


def test_results_appear_by_themselves(updated: Updated) -> None:
    """A page whose results another process computes says so, and shows them without anybody's doing."""
    visitor, change = updated
    change(computing_until=datetime.now(UTC) + timedelta(minutes=2))
    visitor.page.goto(f"{visitor.address}/updated/pickup/{WARM}?token={TOKEN}")
    assert "appear here by themselves" in visitor.page.get_by_role("status").inner_text()
    change(computing_until=None)
    visitor.page.clock.fast_forward(1_000)
    expect(visitor.page.get_by_role("status")).to_contain_text("As of", timeout=30_000)
    expect(visitor.page.locator("main[data-computing]")).to_have_count(0)


def test_update_leaves_the_visitor_alone(updated: Updated) -> None:
    """Newer results leave alone what is typed, open, focused and scrolled to; buttons in them work."""
    visitor, change = updated
    page = visitor.open("updated", WARM)
    change(computed_at=datetime.now(UTC) - timedelta(days=2), computing_until=datetime.now(UTC) + timedelta(minutes=2))
    page.reload()
    page.evaluate("() => { navigator.clipboard.writeText = async (text) => { window.copied = text } }")
    expect(page.get_by_role("status")).to_contain_text("updating")
    page.locator("summary", has_text="Preview as another caller").click()
    page.get_by_label("Customer: first name").fill("Ada")
    page.locator("summary", has_text="The SQL").click()
    page.get_by_role("button", name="Copy").focus()
    scrolled = page.evaluate("scrollY")
    assert scrolled > 0
    change(computing_until=None, computed_at=datetime.now(UTC))
    # A look that was under way saw nothing new yet: the next one does.
    while "updating" in page.get_by_role("status").inner_text():
        page.clock.fast_forward(30_000)
        page.wait_for_timeout(100)
    assert page.get_by_label("Customer: first name").input_value() == "Ada"
    expect(page.get_by_role("button", name="Copy")).to_be_focused()
    assert page.evaluate("scrollY") == scrolled
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("window.copied") == page.locator("details[open] pre").inner_text()


def test_page_stops_asking_once_access_ends(updated: Updated) -> None:
    """A page that may no longer be read is asked for once, and stays as it is."""
    visitor, _ = updated
    page = visitor.open("updated", WARM)
    visitor.expected.add(401)
    visitor.context.clear_cookies()
    asked: list[int] = []
    page.on("response", lambda response: asked.append(response.status))
    for _ in range(3):
        page.clock.fast_forward(30_000)
        page.wait_for_timeout(300)
    assert asked == [401]
    assert "No callers" not in page.locator("main").inner_text()


def test_download_begins_by_itself(updated: Updated) -> None:
    """The export of results that are being computed begins once they are there."""
    visitor, change = updated
    change(computing_until=datetime.now(UTC) + timedelta(minutes=2))
    page = visitor.open("updated", "plan")
    visitor.expected.add(503)
    page.goto(f"{visitor.address}/updated/pickup/{WARM}/numbers.csv")
    expect(page.locator("main")).to_contain_text("begins by itself")
    change(computing_until=None)
    with page.expect_download() as download:
        page.clock.fast_forward(10_000)
    assert download.value.suggested_filename == "warm-opening.csv"


def test_counted_numbers_fill_the_form(updated: Updated) -> None:
    """Once calls are counted a plan's form has the numbers, but for what was typed meanwhile."""
    visitor, change = updated
    page = visitor.page
    change(experiment="plan:warm-opening", computing_until=datetime.now(UTC) + timedelta(minutes=2))
    page.goto(f"{visitor.address}/updated/pickup/plan?experiment=warm-opening&token={TOKEN}")
    assert "Counting the callers" in page.get_by_role("status").inner_text()
    page.get_by_label("Rate now").fill("20")
    change(computing_until=None)
    page.clock.fast_forward(1_000)
    expect(page.get_by_label("New callers a week")).to_have_value("0.4", timeout=30_000)
    expect(page.get_by_label("Rate now")).to_have_value("20")


def test_closed_page_can_be_used_by_everybody(chromium: Browser, address: str) -> None:
    """So it is with the page that somebody without access gets."""
    stranger = Visitor(chromium, address)
    stranger.page.goto(f"{address}/little/pickup/calls")
    examined(stranger.page)
    stranger.context.close()


@pytest.mark.parametrize("language", ["en-GB", "nl-NL"])
def test_phone_has_room_for_everything(chromium: Browser, address: str, language: str) -> None:
    """At 390 px the navigation takes one line, and no table of an experiment is cut, folded ones included."""
    visitor = Visitor(chromium, address, language=language)
    page = visitor.open("winner", WARM)
    page.set_viewport_size({"width": 390, "height": 900})
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    lines = page.locator(".top nav a").evaluate_all("(links) => new Set(links.map((each) => each.offsetTop)).size")
    cut = page.locator(".wide").evaluate_all(
        "(all) => all.filter((each) => each.scrollWidth > each.clientWidth).map((each) => each.ariaLabel)"
    )
    assert (lines, cut) == (1, [])
    visitor.context.close()


def test_experiment_can_be_printed(chromium: Browser, address: str) -> None:
    """On paper what is folded is open, the ink is dark, and there are no buttons, forms and queries."""
    visitor = Visitor(chromium, address)
    page = visitor.open("winner", WARM)
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(28, 36, 34)"
    assert page.get_by_text("Standard error").first.bounding_box()
    for gone in ("button", "form", "nav", "details:has(> .copy)"):
        expect(page.locator(gone).first).to_be_hidden()
    visitor.context.close()
