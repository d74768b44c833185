"""A new experiment to edit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from flask_pickup.catalog.layers import Range

_TEMPLATE = Path(__file__).with_name("new_experiment.toml")


def write_experiment(  # noqa: PLR0913 (all that is asked of an author)
    folder: Path, name: str, *, arms: Iterable[str], layer: str, layer_range: Range, greetings: Sequence[Path]
) -> list[Path]:
    """Write a draft with a folder for each arm, which begins with the base's greetings.

    :param greetings: the base's ``first_message*.j2``.
    :returns: the files written.
    :raises FileExistsError: if the experiment exists.
    """
    texts = {path.name: path.read_text("utf-8") for path in greetings}
    texts = texts or {"first_message.j2": "Hello! How can I help you?\n"}
    weights = "\n".join(f"{arm} = 1" for arm in arms)
    toml = _TEMPLATE.read_text("utf-8").format(name=name, arms=weights, layer=layer, layer_range=layer_range)
    files = {"experiment.toml": toml, "control/.gitkeep": ""}
    files |= {f"{arm}/{file}": text for arm in arms for file, text in texts.items()}
    (folder / name).mkdir(parents=True)
    for file, text in files.items():
        path = folder / name / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    return [folder / name / file for file in files]
