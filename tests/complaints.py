"""Run ``flask pickup check --format json`` on folders, and find the complaints that it should make."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from conftest import FLIREO, write
from flask_pickup.catalog import Complaint
from flask_pickup.checking.runner import check_here
from flask_pickup.cli import pickup

BASE: Mapping[str, Any] = {
    "greetings/first_message.j2": "Good day.",
    "greetings/system_prompt.j2": "You are a receptionist.\n{% block tone %}Be kind.{% endblock %}",
    "greetings/override.json": {"assistant": {"llm_config": {"provider": "openai", "model": "gpt-4o"}}},
}
DRAFT = "[arms]\ncontrol = 1\nwarm = 1\n"


@dataclass(frozen=True)
class Fault:
    """Something wrong in an experiment, and its complaint.

    :param files: by their path in the experiment's folder; the default toml is a draft with an arm "warm".
    :param file: the file of the complaint.
    :param says: a part of the complaint, problem and remedy together.
    """

    files: Mapping[str, Any]
    file: str
    line: int
    says: str
    level: str = "error"

    def written(self, name: str) -> dict[str, Any]:
        """Return the files by their whole path."""
        files = {"experiment.toml": DRAFT, **self.files}
        return {f"experiments/{name}/{path}": content for path, content in files.items()}


def greeting(text: str, says: str, line: int = 1, level: str = "error") -> Fault:
    """Return the fault of an arm's greeting."""
    return Fault({"warm/first_message.j2": text}, "warm/first_message.j2", line, says, level)


def override(patch: Any, says: str, line: int = 1, level: str = "error") -> Fault:
    """Return the fault of an arm's override; a patch is written with two spaces and a line for each key."""
    text = patch if isinstance(patch, str) else json.dumps(patch, indent=2)
    return Fault({"warm/override.json": text}, "warm/override.json", line, says, level)


def toml(text: str, says: str, line: int, level: str = "error", **files: Any) -> Fault:
    """Return the fault of an ``experiment.toml`` whose arm "warm" has a greeting."""
    return Fault(
        {"experiment.toml": text, "warm/first_message.j2": "Hi.", **files}, "experiment.toml", line, says, level
    )


def complaints_about(root: Path, files: Mapping[str, Any], **options: Any) -> list[dict[str, Any]]:
    """Write files beneath ``root``, check them in this process, and return the complaints."""
    write(root, files)
    found: set[Complaint] = set()
    options = {"platforms": [FLIREO], **options}
    check_here(root / "experiments", root / "greetings", region="NL", found=found.add, **options)
    return [asdict(each) for each in sorted(found) if each.problem != "folder 'experiments' is missing"]


def command_complains(root: Path, files: Mapping[str, Any], **variables: str) -> list[dict[str, Any]]:
    """Return what the command says of them, which checks in a child process and asks the database."""
    write(root, files)
    runner = CliRunner(env={"FLASK_INSTANCE_PATH": str(root / "instance"), **variables})
    result = runner.invoke(pickup, ["check", str(root), "--format", "json"])
    assert result.stdout, result
    found: list[dict[str, Any]] = json.loads(result.stdout)
    assert result.exit_code == any(each["level"] == "error" for each in found)
    named = [{**each, "file": str(Path(each["file"]).relative_to(root))} for each in found]
    return [each for each in named if each["problem"] != "folder 'experiments' is missing"]


def all_complaints(root: Path, faults: Mapping[str, Fault], base: Mapping[str, Any] = BASE) -> list[dict[str, Any]]:
    """Check many faults at once, each in an experiment of its name."""
    return complaints_about(
        root, {**base, **{path: c for name, f in faults.items() for path, c in f.written(name).items()}}
    )


def not_found(complaints: Iterable[Mapping[str, Any]], faults: Mapping[str, Fault]) -> list[str]:
    """Return the names of the faults that have no complaint at their file, line and level."""
    said: dict[tuple[str, int, str], str] = {}
    for each in complaints:
        place = (each["file"], each["line"], each["level"])
        said[place] = f"{said.get(place, '')}\n{each['problem']}; {each['remedy']}"
    return [
        name
        for name, fault in faults.items()
        if fault.says not in said.get((f"experiments/{name}/{fault.file}", fault.line, fault.level), "")
    ]
