"""The preview: what a caller with a number would hear."""

from __future__ import annotations

import html

import pytest

from authors import HOURS, page, post
from conftest import CALLER, LINE, OpenApp, Phone

DESK = {"greetings/settings.toml": f'[lines."{LINE}"]\nname = "Desk"\n'}
NOT_A_NUMBER = "This is not a phone number, or several could be meant."


@pytest.mark.parametrize(
    ("number", "status", "says"),
    [
        (CALLER, 200, "Netherlands"),
        ("06 12345678", 200, "Netherlands"),
        ("", 200, "As heard by a caller who withholds the number."),
        ("Anonymous", 200, "This number identifies no caller"),
        (LINE, 200, "This number identifies no caller"),
        ("abc", 400, NOT_A_NUMBER),
        ("112", 400, NOT_A_NUMBER),
        ("+3161234567899999", 400, NOT_A_NUMBER),
    ],
)
def test_number_is_read_or_refused(open_app: OpenApp, number: str, status: int, says: str) -> None:
    """The page says who hears the greeting; of what is not a number it says so, beside the form with what was entered."""
    response = post(open_app(DESK), "/preview", number=number, line=LINE, at="2026-03-02T14:30")
    text = html.unescape(response.text)
    assert (response.status_code, says in text, "Good day." in text) == (status, True, status == 200)
    kept = [f'name="number" inputmode="tel" value="{number}"', f'value="{LINE}" selected', 'value="2026-03-02T14:30"']
    assert [each for each in kept if each not in text] == []


@pytest.mark.parametrize(
    "form",
    [{"at": "9999-12-31T00:00"}, {"at": "x"}, {"line": "+31850000000"}, {"platform": "vapi"}, {"number": "\0"}],
)
def test_form_out_of_range_has_a_sentence(author: Phone, form: dict[str, str]) -> None:
    """Another value that the page does not offer is refused as well."""
    response = post(author, "/preview", **{"number": CALLER, **form})
    assert (response.status_code, "Good day." in response.text) == (400, False)


def test_preview_is_of_the_chosen_platform(open_app: OpenApp) -> None:
    """Where several platforms are enabled, the preview shows the answer to one of them."""
    phone = open_app(PICKUP_RETELL_API_KEY="key_of-an-example")
    assert "<option>retell</option>" in page(phone, "/preview").text
    assert "call_inbound" in post(phone, "/preview", number=CALLER, platform="retell").text
    assert "call_inbound" not in post(phone, "/preview", number=CALLER).text


def test_opening_hours_are_told_where_there_are_any(open_app: OpenApp) -> None:
    """Without opening hours the preview does not say whether a call is within them."""
    with_hours, without = open_app(HOURS), open_app()
    says = ["Within opening hours" in post(each, "/preview", number=CALLER).text for each in (with_hours, without)]
    assert says == [True, False]


def test_preview_shows_faults(open_app: OpenApp) -> None:
    """A template that fails is named on the preview, and what is said in its place is shown."""
    author = open_app({"greetings/first_message.j2": "{{ 1 // 0 }}"})
    assert "<li>greetings/first_message.j2" in post(author, "/preview", number=CALLER).text
