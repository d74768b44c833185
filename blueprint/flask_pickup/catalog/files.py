"""Reading a folder of text files that a stranger may have arranged."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from flask_pickup.catalog.complaints import Complaint

LARGEST = 256 * 1024
"""Bytes. A prompt is a few thousand; what is larger is no greeting."""
MOST = 5_000
"""Files below one folder, of whatever kind."""
MOST_BYTES = 8 * 1024 * 1024
"""Bytes below one folder. Hundreds of experiments have a few."""
SUFFIXES = (".j2", ".json", ".toml")
NAMES = (
    "first_message.j2",
    "system_prompt.j2",
    "closed.j2",
    "override.json",
    "experiment.toml",
    "hours.toml",
    "settings.toml",
)
"""What the files are called that are read for themselves, not because a template takes them in."""


def read_tree(folder: Path, name: str) -> tuple[dict[str, str], list[Complaint]]:
    """Return the text of each content file below ``folder`` by its path, which begins with ``name``.

    Nothing but regular files inside the folder is opened: no pipe that would block, no link that leads out.
    """
    texts: dict[str, str] = {}
    complaints: list[Complaint] = []
    size = 0
    for number, (path, is_content) in enumerate(_walk(folder)):
        if number >= MOST:
            complaints.append(
                Complaint(name, 0, f"there are more than {MOST:,} files", "keep content in smaller folders")
            )
            break
        label = f"{name}/{path.relative_to(folder).as_posix()}"
        if not is_content:
            complaints += [stray(label, known)] if (known := meant(path.name)) else []
            continue
        try:
            texts[_checked(label)] = text = _read(path, folder)
        except _Unreadable as error:
            complaints.append(Complaint(_shown(label), 0, error.problem, error.remedy))
            continue
        size += len(text)
        if size > MOST_BYTES:
            problem = f"all files together have more than {MOST_BYTES:,} characters"
            complaints.append(Complaint(name, 0, problem, "keep content smaller"))
            break
    return texts, complaints


def meant(name: str) -> str | None:
    """Return which of :data:`NAMES` a file's name is, or is nearly; None if it is something else."""
    stems = {each.partition(".")[0]: each for each in NAMES}
    stem = name.partition(".")[0].lower().replace("-", "_").replace(" ", "_")
    close = get_close_matches(stem, stems, n=1, cutoff=0.85)
    return stems[close[0]] if close else None


def stray(label: str, name: str) -> Complaint:
    """Return the complaint about a file that nothing reads, and that was probably meant to be ``name``."""
    remedy = f"write '{name}'"
    if name.endswith(".j2"):
        remedy += f", or '{name.removesuffix('.j2')}.nl.j2' for one language"
    place = "in greetings/, in a line's folder or an arm's"
    place = {"experiment.toml": "in the experiment's own folder", "settings.toml": "in greetings/"}.get(name, place)
    return Complaint(_shown(label), 0, "nothing reads this file", f"{remedy}, {place}", "warning")


def _checked(label: str) -> str:
    if _shown(label) != label:
        raise _Unreadable("the file's name is no UTF-8", "rename it")
    return label


def _shown(label: str) -> str:
    return os.fsencode(label).decode("utf-8", "replace")


class _Unreadable(Exception):
    def __init__(self, problem: str, remedy: str) -> None:
        self.problem, self.remedy = problem, remedy


def _walk(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Yield each file, and whether it is content."""
    for directory, folders, files in os.walk(folder):
        folders.sort()
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in sorted(files):
            yield Path(directory, name), name.endswith(SUFFIXES)
        for name in folders:
            # os.walk does not follow links to folders; they are met here, to be refused.
            if Path(directory, name).is_symlink():
                yield Path(directory, name), True


def _read(path: Path, folder: Path) -> str:
    # Path.resolve raises on a link that goes round; realpath leaves that to the reading.
    if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(folder.resolve()):
        raise _Unreadable("this link leads out of the folder", "put the file itself here")
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise _Unreadable("this is no regular file", "put a text file here")
        if status.st_size > LARGEST:
            raise _Unreadable(f"the file has {status.st_size:,} bytes", f"at most {LARGEST:,} are read")
        # What Windows puts before a text is no part of it.
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _Unreadable(f"byte {error.start} is no UTF-8", "save the file as UTF-8") from error
    except OSError as error:
        problem = f"it cannot be read ({error.strerror})"
        raise _Unreadable(problem, "check that it exists and its permissions") from error
    if "\0" in text:
        raise _Unreadable("there is a NUL character in it", "save it as plain text")
    return text
