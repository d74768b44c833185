"""The files of a new experiment, and of the content that a new app begins with."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from flask_pickup.catalog.layers import WHOLE, Range
from flask_pickup.outcome_names import HUNG_UP

_HERE = Path(__file__).parent

STARTER_TEXTS: Mapping[str, Mapping[str, str]] = tomllib.loads((_HERE / "starter_texts.toml").read_text("utf-8"))
"""What callers of a new app hear, by language: ``greeting``, ``prompt``, and ``warm``, another greeting."""


def new_experiment(  # noqa: PLR0913 (all that is asked of an author)
    description: str,
    *,
    arms: Collection[str],
    layer: str,
    layer_range: Range,
    greetings: Mapping[str, str],
    untold: Collection[str],
) -> dict[str, str]:
    """Return the files of a draft with a folder for each arm, by their path in it.

    :param greetings: the names and texts of ``first_message*.j2``, with which each arm begins.
    :param untold: outcomes that no report brings; no metric is made of them.
    """
    texts = greetings or {"first_message.j2": "Hello! How can I help you?\n"}
    parts = ["new_experiment.toml", *(["new_guardrail.toml"] if HUNG_UP not in untold else [])]
    weights = "\n".join(f"{arm} = 1" for arm in arms)
    toml = "\n".join(map(_template, parts)).format(
        description=description, arms=weights, layer=layer, layer_range=layer_range
    )
    files = {"experiment.toml": toml, "control/.gitkeep": ""}
    return files | {f"{arm}/{file}": text for arm in arms for file, text in texts.items()}


def starter_experiment(languages: Sequence[str], *, untold: Collection[str]) -> dict[str, str]:
    """Return the files of a new app's draft, as :func:`new_experiment` does."""
    return new_experiment(
        "Does a warm greeting book more appointments?",
        arms=["warm"],
        layer="opening",
        layer_range=WHOLE,
        greetings=_in_each("first_message.j2", "warm", languages),
        untold=untold,
    )


def starter_greetings(languages: Sequence[str], *, region: str) -> dict[str, str]:
    """Return the files of a new app's greetings: in each language a greeting and a prompt, settings, and hours in comments.

    :param languages: of :data:`STARTER_TEXTS`; the first is that of the plain files.
    :param region: the country whose holidays are in the hours.
    """
    return {
        **_in_each("first_message.j2", "greeting", languages),
        **_in_each("system_prompt.j2", "prompt", languages),
        "settings.toml": _template("starter_settings.toml").format(language=languages[0]),
        "hours.toml": _template("starter_hours.toml").format(region=region),
    }


def write_files(folder: Path, files: Mapping[str, str]) -> list[Path]:
    """Write files into a folder, which is made, and return their paths."""
    for file, text in files.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return [folder / file for file in files]


def _in_each(file: str, text: str, languages: Sequence[str]) -> dict[str, str]:
    """Return a text as template files: the plain one in the first language, and one for each other."""
    plain, *others = languages
    files = {file: plain, **{file.replace(".j2", f".{language}.j2"): language for language in others}}
    return {file: f"{STARTER_TEXTS[language][text].strip()}\n" for file, language in files.items()}


def _template(name: str) -> str:
    return (_HERE / name).read_text("utf-8")
