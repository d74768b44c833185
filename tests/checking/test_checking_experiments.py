"""``check`` finds faults in the keys, arms, seeds, layers and metrics of experiments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from complaints import BASE, DRAFT, Fault, all_complaints, complaints_about, not_found, toml

METRIC = '[metrics.duration_seconds]\ngoal = "decrease"\nsmallest = 5\n'
RUNNING = f'status = "running"\nprimary = "duration_seconds"\n{DRAFT}{METRIC}'

FAULTS = {
    "unknown-key": toml(f"trafic = 0.5\n{DRAFT}", "unknown key 'trafic'; did you mean 'traffic'?", 1),
    "range-without-layer": toml(f"layer_range = [0.0, 0.5]\n{DRAFT}", '"layer_range" needs a layer; write layer = "opening" above it', 1),
    "unknown-status": toml(f'status = "runing"\n{DRAFT}', 'must be one of "draft", "running"', 1),
    "no-toml": toml("status = \n", "invalid TOML", 1),
    "negative-weight": toml("[arms]\ncontrol = 1\nwarm = -1\n", 'weight of "warm" must be a positive number, not -1; write keys that', 3),
    "text-weight": toml('[arms]\ncontrol = 1\nwarm = "1"\n', "must be a positive number", 3),
    "nan-weight": toml("[arms]\ncontrol = 1\nwarm = nan\n", "must be a positive number", 3),
    "huge-weight": toml(f"[arms]\ncontrol = 1\nwarm = {10**400}\n", "must be a positive number", 3),
    "no-arms": toml('status = "draft"\n', "[arms] is missing", 1, **{"warm/first_message.j2": "Hi."}),
    "no-control": toml("[arms]\nwarm = 1\n", '[arms] has no "control"; add control = 1', 1),
    "no-folder": Fault({}, "experiment.toml", 3, 'arm "warm" has no files; create experiments/no-folder/warm/first_message.j2 or remove it from [arms]'),
    "empty": toml("", "[arms] is missing; write [arms]", 1),
    "status-among-arms": toml(f'{DRAFT}status = "draft"\n', "write keys that are not arms above [arms]", 4),
    "no-arm": toml(DRAFT, 'folder "cold/" is not an arm; add cold = 1 to [arms]', 1, **{"cold/first_message.j2": "Hi."}),
    "no-words": Fault({"warm/note.j2": "x"}, "experiment.toml", 3, "arm 'warm' changes nothing", "warning"),
    "hours": Fault({"warm/hours.toml": 'timezone = "UTC"\n'}, "warm/hours.toml", 0, "an arm cannot change hours.toml"),
    "closed": Fault({"warm/closed.j2": "Bye."}, "warm/closed.j2", 0, "an arm cannot change closed.j2"),
    "no-primary": toml(f'primary = "booked"\n{DRAFT}{METRIC}', "unknown metric 'booked'", 1),
    "no-winner": toml(f'status = "concluded"\n{DRAFT}', 'write winner = "control", or an arm', 1, "warning"),
    "unknown-winner": toml(f'status = "concluded"\nwinner = "warmer"\n{DRAFT}', "did you mean 'warm'?", 2),
    "no-number": toml(f'{DRAFT}[pins]\n"12" = "warm"\n', "pin 1 is not a phone number", 5),
    "pinned-nowhere": toml(f'{DRAFT}[pins]\n"+31612345678" = "wram"\n', "did you mean 'warm'?", 5),
    "running-blindly": toml(f'status = "running"\nlayer = "a"\n{DRAFT}', "running without a metric", 1, "warning"),
    "no-variant": Fault({"warm/bye.j2": "Bye."}, "warm/bye.j2", 0, "the arm has no 'bye.nl.j2', which greetings/ has"),
    "no-language": Fault({"warm/first_message.j2": "A", "warm/first_message.fr.j2": "B"}, "warm/first_message.fr.j2", 0,
                         "unused variant: no call is in 'fr'", "warning"),
    "no-variant-of-line": Fault({"warm/desk.j2": "A"}, "warm/desk.j2", 0, "the arm has no 'desk.fr.j2', which greetings/lines/desk/ has"),
}  # fmt: skip
CONTENT: dict[str, Any] = {
    **BASE,
    "greetings/bye.j2": "Bye.",
    "greetings/bye.nl.j2": "Dag.",
    "greetings/lines/desk/desk.fr.j2": "Au revoir.",
    "greetings/settings.toml": '[lines."+31850123456"]\ngreetings = "lines/desk"\n',
}


def test_each_fault_is_found(tmp_path: Path) -> None:
    """Each fault has a complaint at its file and line, with the remedy."""
    assert not_found(all_complaints(tmp_path, FAULTS, CONTENT), FAULTS) == []


@pytest.mark.parametrize(
    "written",
    ["[0.5, 0.1]", "[0.5, 0.5]", "[0, 1.1]", "[-0.1, 0.5]", "[0.5]", "[0, 0.1, 0.2]", "0.5", '"0-0.5"', '["0", "1"]',
     "[false, true]", "[nan, 1]", "[0, inf]", "[]", "{a = 0, b = 1}"],
)  # fmt: skip
def test_invalid_range_is_refused(tmp_path: Path, written: str) -> None:
    """A range is two numbers from 0 to 1, the smaller one first."""
    [found] = all_complaints(tmp_path, {"e": toml(f'layer = "a"\nlayer_range = {written}\n{DRAFT}', "", 2)})
    assert (found["line"], found["level"], found["remedy"]) == (2, "error", "fix the value")
    assert found["problem"].startswith('"layer_range" must be two numbers from 0 to 1, the smaller one first, such as')


def test_invalid_weight_is_one_complaint(tmp_path: Path) -> None:
    """An arm whose weight is invalid is an arm all the same: nothing else is said of it."""
    files = toml('[arms]\ncontrol = 1\nwarm = "50%"\n[pins]\n"+31612345678" = "warm"\n', "", 0).written("a")
    [found] = complaints_about(tmp_path, {**BASE, **files})
    assert found["problem"] == 'weight of "warm" must be a positive number, not "50%"'


def test_experiments_that_conflict(tmp_path: Path) -> None:
    """Two experiments with one seed conflict, and two running ones that write one field without a shared layer."""
    faults = {
        "one": toml(RUNNING, "", 0),
        "other-field": Fault(
            {"experiment.toml": RUNNING, "warm/override.json": {"max_duration_seconds": 9}}, "", 0, ""
        ),
        "same-field": toml(
            RUNNING,
            "'one' is running too and can write the same field on flireo, assistant.first_message; give both one layer, and each a layer_range",
            1,
        ),
        "same-seed": toml(
            f'description = "x"\nseed = "one"\n{DRAFT}',
            "the seed is the same as that of 'one'; give each experiment its own",
            2,
        ),
    }
    found = all_complaints(tmp_path, faults)
    wrong = {name: faults[name] for name in ("same-field", "same-seed")}
    assert not_found(found, wrong) == []
    assert sorted(each["file"].split("/")[1] for each in found) == list(wrong)


def in_layer(written: str, status: str = "running", layer: str = "opening") -> Fault:
    return toml(f'layer = "{layer}"\n{written}\n{RUNNING.replace("running", status)}', "", 0)


def test_shared_layer_is_enough(tmp_path: Path) -> None:
    """Experiments of one layer may write the same field while their ranges have no caller in common."""
    faults = {
        "one": in_layer("layer_range = [0, 0.5]"),
        "two": in_layer("layer_range = [0.5, 1]", "paused"),
        "draft": in_layer("layer_range = [0.25, 0.75]", "draft"),
        "other-layer": in_layer("", "paused", "voices"),
    }
    assert all_complaints(tmp_path, faults) == []


@pytest.mark.parametrize(
    ("ranges", "overlap", "remedy"),
    [
        (["[0, 0.5]", "[0, 1]"], "b: [0.0, 1.0] of layer 'opening' overlaps [0.0, 0.5] of 'a'",
         "give 'b' a free range: [0.5, 1.0]"),
        (["[0, 0.6]", "[0.4, 1]"], "b: [0.4, 1.0] of layer 'opening' overlaps [0.0, 0.6] of 'a'",
         "give 'b' a free range: [0.6, 1.0]"),
        (["[0, 1]", "[0, 0.5]"], "a: [0.0, 1.0] of layer 'opening' overlaps [0.0, 0.5] of 'b'",
         "give 'a' a free range: [0.5, 1.0]"),
        (["[0, 0.2]", "[0.4, 0.6]", "[0.5, 0.9]"], "c: [0.5, 0.9] of layer 'opening' overlaps [0.4, 0.6] of 'b'",
         "give 'c' a free range: [0.2, 0.4] or [0.6, 1.0]"),
        (["[0, 1]", "[0, 1]"], "b: [0.0, 1.0] of layer 'opening' overlaps [0.0, 1.0] of 'a'",
         "no range is free: narrow or conclude one of them"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("status", ["running", "paused"])
def test_overlapping_ranges_are_refused(
    tmp_path: Path, ranges: list[str], status: str, overlap: str, remedy: str
) -> None:
    """Two ranges of a layer with callers in common are an error that says what is free."""
    faults = {name: in_layer(f"layer_range = {written}", status) for name, written in zip("abc", ranges, strict=False)}
    [found] = all_complaints(tmp_path, faults)
    assert (found["level"], f"{found['file'].split('/')[1]}: {found['problem']}") == ("error", overlap)
    assert found["remedy"] == remedy


@pytest.mark.parametrize(("line", "at"), [("layer_range = [0.2, 0.3]", 2), ("", 1)])
def test_overlap_is_complained_about_where_the_range_is(tmp_path: Path, line: str, at: int) -> None:
    """The complaint is at the range, or at the layer where the range is not written."""
    [found] = all_complaints(tmp_path, {"a": in_layer("layer_range = [0, 0.5]"), "b": in_layer(line)})
    assert found["line"] == at


BASE_FAULTS = [
    (
        {
            "greetings/settings.toml": "langauge = 'nl'\nspeaks = 'custmer.language'\n",
            "greetings/hours.toml": 'timezone = "Europe/Amsterdm"\n',
            "greetings/system_prompt.j2": "A\n{{ custmer }}",
        },
        [
            ("greetings/settings.toml", 1, "did you mean 'language'?"),
            ("greetings/settings.toml", 2, "did you mean 'customer'?"),
            ("greetings/hours.toml", 1, "Europe/Amsterdm"),
            ("greetings/system_prompt.j2", 2, "did you mean 'customer'?"),
        ],
    ),
    (
        {
            "greetings/settings.toml": "speaks = '1 / 0'\n",
            "greetings/hours.toml": 'timezone = "UTC"\n',
            "greetings/closed.j2": "A\n{{ 1 / 0 }}",
        },
        [("greetings/settings.toml", 1, "speaks fails"), ("greetings/closed.j2", 2, "ZeroDivisionError")],
    ),
]


@pytest.mark.parametrize(("files", "faults"), BASE_FAULTS)
def test_fault_of_the_base_is_found(tmp_path: Path, files: dict[str, str], faults: list[tuple[str, int, str]]) -> None:
    """A fault in greetings/ has a complaint at its file and line, with the remedy."""
    found = complaints_about(tmp_path, {**BASE, **files})
    for file, line, says in faults:
        assert any((c["file"], c["line"]) == (file, line) and says in f"{c['problem']}; {c['remedy']}" for c in found)
