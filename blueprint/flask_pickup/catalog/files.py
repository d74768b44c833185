"""Reading a folder of text files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from flask_pickup.catalog.complaints import Complaint, did_you_mean
from flask_pickup.catalog.overrides import override_name
from flask_pickup.platforms import DEFAULT, REGISTRY
from flask_pickup.rendering import split_variant

_LARGEST = 256 * 1024
"""Bytes. A prompt has a few thousand."""
SUFFIXES = (".j2", ".json", ".toml")
FILE_NAMES = (
    "first_message.j2",
    "system_prompt.j2",
    "closed.j2",
    "override.json",
    "experiment.toml",
    "hours.toml",
    "settings.toml",
)
"""The names of files that are read for themselves, not because a template includes them."""


def read_tree(folder: Path, name: str) -> tuple[dict[str, str], list[Complaint]]:
    """Return the text of each content file below ``folder`` by its path, which begins with ``name``."""
    texts: dict[str, str] = {}
    complaints: list[Complaint] = []
    if not folder.is_dir():
        complaints.append(
            Complaint(name, 0, f"folder '{folder.name}' is missing", "create it, or set where it is", "warning")
        )
    for path in _walk(folder):
        original = f"{name}/{path.relative_to(folder).as_posix()}"
        label = original.encode(errors="replace").decode()
        if path.name.endswith(SUFFIXES):
            text = _read(path)
            if isinstance(text, str):
                texts[original] = text
            else:
                complaints.append(Complaint(label, 0, *text))
        elif unused := unused_file(label):
            complaints.append(unused)
    return texts, complaints


def unused_file(label: str) -> Complaint | None:
    """Return the complaint about an unused file if its name is one of :data:`FILE_NAMES`, or nearly."""
    stems = {each.partition(".")[0]: each for each in FILE_NAMES}
    stem, *suffixes = label.rpartition("/")[2].lower().replace("-", "_").replace(" ", "_").split(".")
    close = get_close_matches(stem, stems, n=1, cutoff=0.85)
    if not close:
        return None
    name = stems[close[0]]
    variant = suffixes[0] if suffixes else ""
    platform = next(iter(get_close_matches(variant, REGISTRY, n=1)), "")
    return Complaint(label, 0, "nothing reads this file", _remedy(name, variant, platform), "warning")


def is_read(name: str) -> bool:
    """Return whether a file of this name is read for itself: it is one of :data:`FILE_NAMES`, or a variant of one."""
    return split_variant(name)[0] in FILE_NAMES or name in map(override_name, REGISTRY)


def _remedy(name: str, variant: str, platform: str) -> str:
    """Return what to do with an unused file.

    :param name: the file that was probably meant.
    :param variant: what stands between its name and its suffix.
    :param platform: the platform that this probably means; empty if none.
    """
    stem, _, suffix = name.partition(".")
    place = "in greetings/, in a line's folder or an arm's"
    place = {"experiment.toml": "in the experiment's own folder", "settings.toml": "in greetings/"}.get(name, place)
    if suffix == "j2" and platform:
        return f"write {{% if platform == '{platform}' %}} in '{name}': only overrides have a platform's variant"
    if suffix == "j2":
        return f"write '{name}', or '{stem}.nl.j2' for one language, {place}"
    if name != override_name():
        return f"write '{name}', {place}"
    if platform:
        right = override_name(platform)
        return f"write '{right}', {place}" if platform == variant else did_you_mean(right, "")
    return f"write '{name}', or '{override_name(DEFAULT)}' for one platform, {place}"


def _walk(folder: Path) -> Iterator[Path]:
    for directory, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(directory, name) for name in sorted(files))


def _read(path: Path) -> str | tuple[str, str]:
    """Return a file's text, or a complaint's problem and remedy."""
    if not path.name.isprintable():
        return "the file's name is not UTF-8", "rename it"
    try:
        size = path.stat().st_size
        if size > _LARGEST:
            return f"the file has {size:,} bytes", f"keep it below {_LARGEST:,}"
        # Windows puts a byte order mark before a text.
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        return f"byte {error.start} is not UTF-8", "save the file as UTF-8"
    except OSError as error:
        return f"the file cannot be read ({error.strerror})", "check that it exists and its permissions"
    return ("the file has a NUL character", "save it as plain text") if "\0" in text else text
