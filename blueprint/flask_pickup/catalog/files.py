"""Reading a folder of text files that a stranger may have arranged."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from flask_pickup.catalog.complaints import Complaint

LARGEST = 256 * 1024
"""Bytes. A prompt is a few thousand; what is larger is no greeting."""
MOST = 5_000
"""Files below one folder."""
SUFFIXES = (".j2", ".json", ".toml")


def read_tree(folder: Path, name: str) -> tuple[dict[str, str], list[Complaint]]:
    """Return the text of each content file below ``folder`` by its path, which begins with ``name``.

    Nothing but regular files inside the folder is opened: no pipe that would block, no link that leads out.
    """
    texts: dict[str, str] = {}
    complaints: list[Complaint] = []
    for path in _walk(folder):
        label = f"{name}/{path.relative_to(folder).as_posix()}"
        if len(texts) >= MOST:
            complaints.append(
                Complaint(name, 0, f"there are more than {MOST} files", "keep content in smaller folders")
            )
            break
        try:
            texts[label] = _read(path, folder)
        except _Unreadable as error:
            complaints.append(Complaint(label, 0, error.problem, error.remedy))
    return texts, complaints


class _Unreadable(Exception):
    def __init__(self, problem: str, remedy: str) -> None:
        self.problem, self.remedy = problem, remedy


def _walk(folder: Path) -> Iterator[Path]:
    for directory, folders, files in os.walk(folder):
        folders.sort()
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in sorted(files):
            if name.endswith(SUFFIXES):
                yield Path(directory, name)
        for name in folders:
            # os.walk does not follow links to folders; they are met here, to be refused.
            if Path(directory, name).is_symlink():
                yield Path(directory, name)


def _read(path: Path, folder: Path) -> str:
    if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
        raise _Unreadable("this link leads out of the folder", "put the file itself here")
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise _Unreadable("this is no regular file", "put a text file here")
        if status.st_size > LARGEST:
            raise _Unreadable(f"the file has {status.st_size:,} bytes", f"at most {LARGEST:,} are read")
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise _Unreadable(f"byte {error.start} is no UTF-8", "save the file as UTF-8") from error
    except OSError as error:
        problem = f"it cannot be read ({error.strerror})"
        raise _Unreadable(problem, "check that it exists and its permissions") from error
    if "\0" in text:
        raise _Unreadable("there is a NUL character in it", "save it as plain text")
    return text
