"""Which callers are in which experiment: layers, traffic, pins, status and winner, over many callers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import FLIREO, facts, write
from flask_pickup.assignment import place_in_layer
from flask_pickup.caller import UNIDENTIFIED, Caller
from flask_pickup.catalog import Catalog, Line, load
from flask_pickup.catalog.definition import Status
from flask_pickup.catalog.layers import Range
from flask_pickup.customer import UNKNOWN, Customer
from flask_pickup.decision import Decision, decide
from flask_pickup.platforms import Answer

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
FEW = [f"{number:032x}" for number in range(600)]


def experiment(*arms: str, more: str = "", status: str = "running") -> str:
    weights = "\n".join(f"{arm} = 1" for arm in ("control", *arms))
    return f'status = "{status}"\nprimary = "score"\n{more}\n[arms]\n{weights}\n[metrics.score]\n'


def in_layer(start: float, end: float, more: str = "", status: str = "running") -> str:
    return experiment("warm", more=f'layer = "opening"\nlayer_range = [{start}, {end}]\n{more}', status=status)


def catalog_of(folder: Path, experiments: Mapping[str, str], **files: Any) -> Catalog:
    """Read experiments without errors whose arms each open with their own name; pins are written as keys."""
    catalog = read(folder, experiments, **files)
    assert not [str(complaint) for complaint in catalog.complaints if complaint.level == "error"]
    return catalog


def read(folder: Path, experiments: Mapping[str, str], **files: Any) -> Catalog:
    content: dict[str, Any] = {"greetings/first_message.j2": "base", **files}
    for name, toml in experiments.items():
        content[f"experiments/{name}/experiment.toml"] = toml
        content[f"experiments/{name}/warm/first_message.j2"] = (
            f"{name} over {{% include 'greetings/first_message.j2' %}}"
        )
    root = write(folder, content)
    return load(root / "experiments", root / "greetings", pin_key=lambda text: text, region="NL", platforms=[FLIREO])


def call(catalog: Catalog, key: str | None, *, customer: Customer = UNKNOWN, country: str = "NL") -> Decision:
    who = Caller(number="+31612345678", country=country, language="nl", key=key) if key else UNIDENTIFIED
    return decide(catalog, FLIREO, facts("call-1", who, at=NOW), customer)


def arms(catalog: Catalog, key: str) -> dict[str, str]:
    return {assigned.experiment: assigned.arm for assigned in call(catalog, key).assignments}


def test_reasons_say_why_not(tmp_path: Path) -> None:
    """For each experiment that could have had a caller, the reasons say why it did or did not."""
    layered = ["enrolled", "traffic", "audience", ""]
    catalog = catalog_of(tmp_path, {
        "enrolled": in_layer(0, 0.25),
        "traffic": in_layer(0.25, 0.5, "traffic = 0.000001"),
        "audience": in_layer(0.5, 0.75, 'audience = "false"'),
        "paused": experiment("warm", status="paused"),
        "draft": experiment("warm", status="draft"),
    })  # fmt: skip
    for key in FEW[:50]:
        theirs = layered[int(4 * place_in_layer("opening", key))]
        reasons = {name: name if name == theirs else "layer" for name in layered if name}
        assert call(catalog, key).reasons == {**reasons, "paused": "paused"}


NOBODY = 'traffic = 0.000001\naudience = "false"\n'


def test_pins_come_first(tmp_path: Path) -> None:
    """A pinned number hears its arm before layer, traffic and audience are asked, and is in nothing else of the layer."""
    catalog = catalog_of(tmp_path, {
        "pinned": in_layer(0, 0.1, f"{NOBODY}[pins]\n" + "\n".join(f'"{key}" = "warm"' for key in FEW[:50])),
        "other": in_layer(0.1, 1),
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


@pytest.fixture(scope="module")
def layered(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Five experiments of one layer, with an arm that nobody has to render."""
    toml = experiment("warm", more='layer = "opening"', status="draft")
    files = {f"experiments/{name}/experiment.toml": toml for name in "abcde"}
    arms = {f"experiments/{name}/warm/override.json": {name: 1} for name in "abcde"}
    return catalog_of(
        tmp_path_factory.mktemp("layered"), {}, **{"greetings/override.json": {"error": "No."}}, **files, **arms
    )


STATUSES: list[Status] = ["draft", "running", "paused", "concluded"]


@given(
    st.sets(st.integers(0, 100), min_size=10, max_size=10),
    st.permutations(range(5)),
    st.lists(st.sampled_from(STATUSES), min_size=5, max_size=5),
    st.integers(0, 4),
    st.sampled_from(STATUSES),
)
def test_no_experiment_moves_callers_of_another(  # noqa: PLR0913, PLR0917 (all that a layer is made of)
    layered: Catalog,
    cuts: set[int],
    order: list[int],
    statuses: list[Status],
    changed: int,
    status: Status,
) -> None:
    """Whatever the ranges of a layer, starting, pausing or ending one experiment leaves the others' callers alone."""
    ranges = [Range(start / 100, end / 100) for start, end in list(pairwise(sorted(cuts)))[::2]]

    def serving(statuses: list[Status]) -> Catalog:
        experiments = zip(layered.experiments, order, statuses, strict=True)
        return replace(layered, experiments=tuple(
            replace(each, layer_range=ranges[place], status=status) for each, place, status in experiments
        ))  # fmt: skip

    name = layered.experiments[changed].name
    before, after = serving(statuses), serving([*statuses[:changed], status, *statuses[changed + 1 :]])
    for key in FEW[:30]:
        one, other = arms(before, key), arms(after, key)
        one.pop(name, None), other.pop(name, None)
        assert one == other


def test_first_by_name_keeps_an_overlap(tmp_path: Path) -> None:
    """Where two ranges overlap, which ``check`` refuses, both experiments run and no caller is in both."""
    catalog = read(tmp_path, {"one": in_layer(0.2, 0.6), "two": in_layer(0, 0.4), "end": in_layer(0.9, 1)})
    assert [complaint.file for complaint in catalog.complaints if complaint.level == "error"] == [
        "experiments/two/experiment.toml"
    ]
    for key in FEW:
        place = place_in_layer("opening", key)
        expected = "two" if place < 0.2 else "one" if place < 0.6 else "end" if place >= 0.9 else None
        assert next(iter(arms(catalog, key)), None) == expected


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
        "aaa": experiment("warm"),
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
