"""The overrides of all folders, and which of them a platform's calls get."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, MutableMapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from marshmallow import Schema

from flask_pickup.override import KeyPath, merge
from flask_pickup.platforms import JsonObject, Platform


def override_name(platform: str = "") -> str:
    """Return the name of the override for one platform, or of the one for every platform."""
    return f"override.{platform}.json" if platform else "override.json"


@dataclass(frozen=True)
class Overrides:
    """The patches of all folders.

    :param platforms: those for which files are read.
    :param files: every file there is, readable or not.
    :param patches: file to its patch, of those that can be read.
    """

    platforms: tuple[Platform, ...]
    files: Collection[str]
    patches: MutableMapping[str, JsonObject] = field(default_factory=dict)

    def file(self, folder: str, platform: Platform) -> str:
        """Return the override of a folder that a platform's calls get: its own, else the one for every platform."""
        own = f"{folder}/{override_name(platform.name)}"
        return own if own in self.files else f"{folder}/{override_name()}"

    def patch(self, folder: str, platform: Platform) -> JsonObject:
        """Return the patch of a folder that a platform's calls get; empty if there is none."""
        return self.patches.get(self.file(folder, platform), {})

    def merged(self, folders: Iterable[str], platform: Platform) -> JsonObject:
        """Return the patches of folders laid over one another, lowest first."""
        patches = (self.patch(folder, platform) for folder in folders)
        return reduce(merge, patches, dict[str, Any]())

    def getting(self, path: str) -> tuple[Platform, ...]:
        """Return the platforms whose calls get a file."""
        folder = path.rpartition("/")[0]
        return tuple(each for each in self.platforms if self.file(folder, each) == path)

    def of(self, platform: Platform) -> Iterator[JsonObject]:
        """Yield each patch that a platform's calls get."""
        return (patch for path, patch in self.patches.items() if platform in self.getting(path))


def as_written(keys: KeyPath, schema: Schema) -> KeyPath:
    """Return the keys under which authors write what is at ``keys`` in an answer."""
    first: Any = schema.fields.get(str(keys[0])) if keys else None
    other = (first.metadata.get("write_instead") or first.metadata.get("same_as")) if first else None
    return (other, *keys[1:]) if other else keys
