"""The documentation says what there is."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import click
import pytest

from commands import pipe
from conftest import CALLER, write
from flask_pickup.cli import pickup
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_exist(page: Path) -> None:
    """Each ``flask pickup …`` in code names a command, options and choices that there are; in a block, all it needs."""
    prose, *blocks = re.split(r"^```", page.read_text("utf-8").replace("\\\n", " "), flags=re.MULTILINE)
    inline = re.findall(r"`([^`]+)`", "".join([prose, *blocks[1::2]]))
    for text in (*inline, *"".join(blocks[::2]).splitlines()):
        for written in re.split(r"\bflask pickup (?=[\w-])", text)[1:]:
            lexer = shlex.shlex(written, posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            words = list(takewhile(lambda word: not re.fullmatch("[();<>|&]+|…", word), lexer))
            command: click.Command = pickup
            while isinstance(command, click.Group) and words:
                assert words[0] in command.commands, f"{page.name}: flask pickup {written}"
                command = command.commands[words.pop(0)]
            context = click.Context(command)
            given, _, _ = command.make_parser(context).parse_args(words)
            for parameter in command.params:
                value = given.get(parameter.name)
                assert text in inline or value or not parameter.required, f"{page.name}: flask pickup {written}"
                if isinstance(parameter.type, click.Choice) and value:
                    parameter.type_cast_value(context, value)


def build(docs: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Build the site as scripts/docs does, from a folder of pages."""
    config = site.parent / "mkdocs.yml"
    config.write_text(f"INHERIT: {ROOT / 'mkdocs.yml'}\ndocs_dir: {docs}\nsite_dir: {site}\n")
    [arguments] = re.findall(r'^.venv/bin/mkdocs (.+) "\$@"$', (ROOT / "scripts/docs").read_text("utf-8"), re.MULTILINE)
    command = [sys.executable, "-m", "mkdocs", *arguments.split(), "--config-file", str(config)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_site_builds(tmp_path: Path) -> None:
    """The site has every page, and nothing in it leads nowhere. It knows no block of code inside a list."""
    built = build(ROOT / "docs", tmp_path / "site")
    assert built.returncode == 0, built.stderr
    pages = {path.relative_to(ROOT / "docs").with_suffix("") for path in (ROOT / "docs").rglob("*.md")}
    assert {path.relative_to(tmp_path / "site").with_suffix("") for path in (tmp_path / "site").rglob("*.html")} > pages
    assert [page.name for page in PAGES if re.search("^ +```", page.read_text("utf-8"), re.MULTILINE)] == []


def test_site_refuses_what_leads_nowhere(tmp_path: Path) -> None:
    """A broken link, heading or picture, a link out of the folder, and a page without a place each stop the build."""
    docs = shutil.copytree(ROOT / "docs", tmp_path / "docs")
    (docs / "lost.md").write_text("# Lost\n")
    targets = ["nowhere.md", "start.md#nowhere", "pictures/nowhere.svg", "../README.md"]
    (docs / "index.md").write_text("".join(f"# Title\n\n![a]({target})\n" for target in targets))
    built = build(docs, tmp_path / "site")
    assert built.returncode == 1
    assert [target for target in ["lost.md", *targets] if target not in built.stderr] == []


def test_start_page_names_what_init_writes(tmp_path: Path) -> None:
    """The page to start with has the README's commands, names each file that init writes, and its program serves them."""
    page, readme = ((ROOT / name).read_text("utf-8") for name in ("docs/start.md", "README.md"))
    commands = re.findall(r"^(?:pip|flask) [^#\n]+?(?= *(?:#|$))", page, re.MULTILINE)
    assert len(commands) == 6
    assert [command for command in commands if command not in readme] == []
    assert pipe("init", "--platform", "vapi", folder=tmp_path).returncode == 0
    written = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(re.findall(r"^\| `([\w./-]+)` \|", page, re.MULTILINE)) == sorted(written)
    [program] = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    write(tmp_path, {"app.py": program})
    assert pipe("db", "upgrade", folder=tmp_path).returncode == 0
    assert (tmp_path / "instance/pickup.db").exists()
    assert "this is the assistant of" in pipe("preview", "--from", CALLER, folder=tmp_path).stdout
