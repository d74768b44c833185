"""The documentation says what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flask_pickup.options import OPTION_NAMES

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_every_option_is_explained() -> None:
    """docs/config.md has a heading for each option, and for nothing else."""
    headings = re.findall(r"^### (.+)$", (ROOT / "docs/config.md").read_text("utf-8"), re.MULTILINE)
    explained = [name.removeprefix("PICKUP_").lower() for heading in headings for name in heading.split(", ")]
    assert sorted(explained) == sorted(OPTION_NAMES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Each link to a file of ours, and to a heading in it, leads there."""
    for target in re.findall(r"\]\((?!https?://)([^)\s]+)\)", page.read_text("utf-8")):
        path, _, heading = target.partition("#")
        file = (page.parent / path) if path else page
        assert file.exists(), f"{page.name}: {target}"
        if heading:
            titles = re.findall(r"^#+ (.+)$", file.read_text("utf-8"), re.MULTILINE)
            slugs = [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]
            assert heading in slugs, f"{page.name}: {target}"
