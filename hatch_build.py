"""Compiles the message catalogs into the wheel. A checkout needs no compiled ones: see ``flask_pickup.translation``."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompileCatalogs(BuildHookInterface):  # type: ignore[type-arg]
    """Adds a ``.mo`` file to the wheel for each ``.po`` file of the package."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile into a folder of its own, so that no stale file stays in the checkout."""
        self._compiled = TemporaryDirectory()
        if version == "editable":
            return
        packages = Path(self.root, "blueprint")
        for source in packages.rglob("*.po"):
            compiled = Path(self._compiled.name, f"{source.parents[1].name}.mo")
            with source.open("rb") as text, compiled.open("wb") as binary:
                write_mo(binary, read_po(text))
            build_data["force_include"][str(compiled)] = str(source.with_suffix(".mo").relative_to(packages))

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Delete the folder."""
        self._compiled.cleanup()
