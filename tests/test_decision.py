"""Which callers are in which experiment: layers, traffic, pins, status and winner, over many callers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from conftest import FLIREO, facts, write
from flask_pickup.assignment import draw_layer
from flask_pickup.caller import UNIDENTIFIED, Caller
from flask_pickup.catalog import Catalog, Line, load
from flask_pickup.customer import UNKNOWN, Customer
from flask_pickup.decision import Decision, decide
from flask_pickup.platforms import Answer

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
CHANCE = 10.83
"""Chi-square's value for one degree of freedom that chance exceeds once in a thousand. The callers are always the same."""
FEW = [f"{number:032x}" for number in range(600)]


def experiment(*arms: str, more: str = "", status: str = "running") -> str:
    weights = "\n".join(f"{arm} = 1" for arm in ("control", *arms))
    return f'status = "{status}"\nprimary = "score"\n{more}\n[arms]\n{weights}\n[metrics.score]\n'


def catalog_of(folder: Path, experiments: Mapping[str, str], **files: Any) -> Catalog:
    """Read experiments whose arms each open with their own name; pins are written as keys."""
    content: dict[str, Any] = {"greetings/first_message.j2": "base", **files}
    for name, toml in experiments.items():
        content[f"experiments/{name}/experiment.toml"] = toml
        content[f"experiments/{name}/warm/first_message.j2"] = (
            f"{name} over {{% include 'greetings/first_message.j2' %}}"
        )
    root = write(folder, content)
    catalog = load(root / "experiments", root / "greetings", pin_key=lambda text: text, region="NL", platforms=[FLIREO])
    assert not [str(complaint) for complaint in catalog.complaints if complaint.level == "error"]
    return catalog


def call(catalog: Catalog, key: str | None, *, customer: Customer = UNKNOWN, country: str = "NL") -> Decision:
    who = Caller(number="+31612345678", country=country, language="nl", key=key) if key else UNIDENTIFIED
    return decide(catalog, FLIREO, facts("call-1", who, at=NOW), customer)


def arms(catalog: Catalog, key: str) -> dict[str, str]:
    return {assigned.experiment: assigned.arm for assigned in call(catalog, key).assignments}


def test_layered_experiments_share_no_caller(tmp_path: Path) -> None:
    """Each of 10,000 callers is in exactly one experiment of a layer, half of them in either, and in those of no layer."""
    layered, free = experiment("warm", more='layer = "opening"'), experiment("warm")
    files: dict[str, Any] = {}
    for name, toml in {"layered-1": layered, "layered-2": layered, "free": free}.items():
        files[f"experiments/{name}/experiment.toml"] = toml
        files[f"experiments/{name}/warm/override.json"] = {name: 1}
    # Every call is rejected, which takes the least time.
    files["greetings/override.json"] = {"error": "No."}
    catalog = catalog_of(tmp_path, {}, **files)
    found = Counter(tuple(sorted(arms(catalog, f"{number:032x}"))) for number in range(10_000))
    assert found.keys() == {("free", "layered-1"), ("free", "layered-2")}
    assert (found["free", "layered-1"] - 5_000) ** 2 / 2_500 < CHANCE


def test_reasons_say_why_not(tmp_path: Path) -> None:
    """For each experiment that could have had a caller, the reasons say why it did or did not."""
    layered = ["enrolled", "traffic", "audience"]
    catalog = catalog_of(tmp_path, {
        "enrolled": experiment("warm", more='layer = "opening"'),
        "traffic": experiment("warm", more='layer = "opening"\ntraffic = 0.000001'),
        "audience": experiment("warm", more='layer = "opening"\naudience = "false"'),
        "paused": experiment("warm", status="paused"),
        "draft": experiment("warm", status="draft"),
    })  # fmt: skip
    for key in FEW[:50]:
        theirs = draw_layer("opening", layered, key)
        others = {name: "layer" for name in layered if name != theirs}
        assert call(catalog, key).reasons == {**others, theirs: theirs, "paused": "paused"}


NOBODY = 'layer = "opening"\ntraffic = 0.000001\naudience = "false"\n'


def test_pins_come_first(tmp_path: Path) -> None:
    """A pinned number hears its arm before layer, traffic and audience are asked, and is in nothing else of the layer."""
    catalog = catalog_of(tmp_path, {
        "pinned": experiment("warm", more=f"{NOBODY}[pins]\n" + "\n".join(f'"{key}" = "warm"' for key in FEW[:50])),
        "other": experiment("warm", more='layer = "opening"'),
    })  # fmt: skip
    for key in FEW[:50]:
        found = call(catalog, key)
        assert [(a.experiment, a.arm, a.source) for a in found.assignments] == [("pinned", "warm", "pin")]
        assert found.reasons == {"pinned": "pin", "other": "layer"}
    assert all("pinned" not in arms(catalog, key) for key in FEW[50:])


@pytest.mark.parametrize("status", ["draft", "paused"])
def test_draft_and_paused_change_nothing(tmp_path: Path, status: str) -> None:
    """An experiment that is not running changes no answer, not even for pinned callers."""
    pinned = f'[pins]\n"{FEW[0]}" = "warm"'
    without = catalog_of(tmp_path / "without", {})
    with_it = catalog_of(tmp_path / "with", {"opening": experiment("warm", more=pinned, status=status)})
    for key in [*FEW[:50], None]:
        assert call(with_it, key).answer == call(without, key).answer
        assert not call(with_it, key).assignments


def test_pausing_moves_no_caller(tmp_path: Path) -> None:
    """Pausing an experiment of a layer moves no caller into another."""
    layered = experiment("warm", more='layer = "opening"')
    running = catalog_of(tmp_path / "running", {"one": layered, "two": layered})
    paused = catalog_of(tmp_path / "paused", {"one": layered.replace("running", "paused"), "two": layered})
    for key in FEW:
        before = arms(running, key)
        assert arms(paused, key) == {name: arm for name, arm in before.items() if name == "two"}


def test_starting_takes_callers_evenly(tmp_path: Path) -> None:
    """A third experiment in a layer takes callers from both others, and moves none between them."""
    layered = experiment("warm", more='layer = "opening"')
    two = catalog_of(tmp_path / "two", {"one": layered, "two": layered, "new": layered.replace("running", "draft")})
    three = catalog_of(tmp_path / "three", {"one": layered, "two": layered, "new": layered})
    moves = Counter((next(iter(arms(two, key))), next(iter(arms(three, key)))) for key in FEW)
    assert moves.keys() == {("one", "one"), ("two", "two"), ("one", "new"), ("two", "new")}
    assert 70 < moves["one", "new"] < 130
    assert 70 < moves["two", "new"] < 130


CONCLUDED = 'winner = "warm"\naudience = "not caller.country == \'US\'"\n'


def test_winner_is_heard_by_its_audience(tmp_path: Path) -> None:
    """Once concluded, everyone in the audience hears the winner, also without a number, and no assignment is recorded."""
    catalog = catalog_of(tmp_path, {"won": experiment("warm", more=CONCLUDED, status="concluded")})
    for key in [*FEW[:50], None]:
        found = call(catalog, key)
        assert (found.kind, found.greeting, found.assignments) == ("base", "won over base", ())
        assert isinstance(found.answer, Answer)
        assert found.answer.metadata is None
    assert call(catalog, FEW[0], country="US").greeting == "base"


def test_winner_lies_below_running_arms(tmp_path: Path) -> None:
    """A running experiment lies over a winner: its control is the winner, unchanged."""
    catalog = catalog_of(tmp_path, {
        "aaa": experiment("warm", more='layer = "opening"'),
        "won": experiment("warm", more='winner = "warm"', status="concluded"),
    })  # fmt: skip
    found = {arm: call(catalog, key).greeting for key in FEW[:50] for arm in arms(catalog, key).values()}
    assert found["control"] == "won over base"
    assert found["warm"] == "aaa over won over base"


def test_winner_with_a_failed_customer(tmp_path: Path) -> None:
    """Where the audience cannot be asked because the customer is not known, the caller hears the base."""
    more = 'winner = "warm"\naudience = "not customer.vip"'
    catalog = catalog_of(tmp_path, {"won": experiment("warm", more=more, status="concluded")})
    assert call(catalog, FEW[0]).greeting == "won over base"
    assert call(catalog, FEW[0], customer=Customer(failed="time-out")).greeting == "base"


@pytest.mark.parametrize("policy", ["exclude", "control", "per-call"])
def test_callers_without_a_number(tmp_path: Path, policy: str) -> None:
    """Callers without a number are left out, hear the control, or are drawn by their call, as the author says."""
    catalog = catalog_of(tmp_path, {"opening": experiment("warm", more=f'unidentified = "{policy}"')})
    calls = [decide(catalog, FLIREO, facts(f"call-{number}", at=NOW), UNKNOWN) for number in range(100)]
    found = Counter((a.arm, a.source) for decision in calls for a in decision.assignments)
    if policy == "per-call":
        assert found.keys() == {("control", "unidentified"), ("warm", "unidentified")}
    else:
        assert found == ({("control", "unidentified"): 100} if policy == "control" else {})


LOOKS = [
    "customer", "not customer", "customer.vip", "not customer.vip", "customer['vip']", "customer.a.b", "customer == 1",
    "customer is defined", "customer is not defined", "customer is mapping", "customer is none", "customer in [1]",
    "'vip' in customer", "customer | length", "customer | default('x')", "customer ~ ''", "[customer] | first",
    "customer and true", "true and not customer_raw", "customer_raw.vip", "1 if customer else 2",
]  # fmt: skip


@pytest.mark.parametrize("audience", LOOKS)
def test_failed_customer_is_in_no_audience(tmp_path: Path, audience: str) -> None:
    """After the hook failed, an audience that looks at the customer in whatever way does not have the caller."""
    catalog = catalog_of(tmp_path, {"opening": experiment("warm", more=f'audience = "{audience}"')})
    found = call(catalog, FEW[0], customer=Customer(failed="time-out"))
    assert found.assignments == ()
    assert found.reasons["opening"] == "customer_failed"
    assert found.greeting == "base"


@pytest.mark.parametrize(
    "audience", ["caller.country == 'NL'", "caller.country == 'NL' or customer.vip", "line.number or true"]
)
def test_failed_customer_matters_only_where_it_is_looked_at(tmp_path: Path, audience: str) -> None:
    """An audience that is decided without the customer has the caller, whether the hook failed or not."""
    catalog = catalog_of(tmp_path, {"opening": experiment("warm", more=f'audience = "{audience}"')})
    assert arms(catalog, FEW[0])
    assert call(catalog, FEW[0], customer=Customer(failed="time-out")).reasons["opening"] == "enrolled"


@pytest.mark.parametrize(
    "audience", ["1 / 0", "caller.number.no_such()", "now + 1", "('a' | int) / 0", "caller.country()"]
)
def test_broken_audience_has_no_callers(tmp_path: Path, audience: str) -> None:
    """An audience that fails excludes the caller, who hears the base, and the reasons say so."""
    catalog = catalog_of(tmp_path, {"opening": experiment("warm", more=f'audience = "{audience}"')})
    found = call(catalog, FEW[0])
    assert (found.kind, found.greeting, found.assignments) == ("base", "base", ())
    assert found.reasons["opening"] == "audience"


# --- greetings of one's own -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "heard"),
    [
        ("{{ caller.country }}", ["NL", "DE", "NL"]),
        ("{% macro hello(who) %}{{ who.country }}{% endmacro %}{{ hello(caller) }}", ["NL", "DE", "NL"]),
        ("{% include 'greetings/country.j2' %}", ["NL", "DE", "NL"]),
        ("{{ customer.name or 'you' }}", ["you", "Ada", "you"]),
        ("{{ customer_raw.name or 'you' }}", ["you", "Ada", "you"]),
    ],
)
def test_each_caller_hears_their_own_greeting(tmp_path: Path, template: str, heard: list[str]) -> None:
    """However a template reads caller and customer, a caller never hears the greeting of the one before."""
    catalog = catalog_of(
        tmp_path, {}, **{"greetings/first_message.j2": template, "greetings/country.j2": "{{ caller.country }}"}
    )
    ada = Customer({"name": "Ada"}, {"name": "Ada"})
    calls = [("NL", UNKNOWN), ("DE", ada), ("NL", UNKNOWN)]
    assert [call(catalog, FEW[0], country=country, customer=who).greeting for country, who in calls] == heard


def test_words_follow_line_and_hours(tmp_path: Path) -> None:
    """The words of those of whom nothing is known still follow the line they called, and whether it is open."""
    hours = 'timezone = "Europe/Amsterdam"\n[week]\nmonday = ["09:00-17:00"]\n'
    template = "{{ line.name }} is {{ 'open' if open else 'closed' }}"
    files = {"greetings/first_message.j2": template, "greetings/hours.toml": hours}
    catalog = catalog_of(tmp_path, {}, **files)

    def hear(name: str, now: datetime) -> str | None:
        return decide(catalog, FLIREO, facts(line=Line("+31850835037", name), at=now), UNKNOWN).greeting

    night = NOW.replace(hour=23)
    heard = [hear(name, now) for now in (NOW, night, NOW) for name in ("Desk", "Lab")]
    assert heard == [f"{name} is {state}" for state in ("open", "closed", "open") for name in ("Desk", "Lab")]
