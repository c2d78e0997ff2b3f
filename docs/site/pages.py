"""What the documentation's site holds beyond docs/: a hook of MkDocs.

The README is its front page; every option of every command is written down by the command
line itself, the REST API by the server; files of the repository that a page links to are
part of the site. So there is no link that only works beside the source.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath

import typer.main
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from typer.cli import get_docs_for_click

from lineage.app import create_app
from lineage.cli import app
from lineage.config import Settings

ROOT = Path(__file__).parents[2]
TOP = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
_LINK = re.compile(r"(?<=\]\()(?!https?:|mailto:|#)([^)\s#]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for source, place in TOP.items():
        text = (ROOT / source).read_text()
        files.append(File.generated(config, place, content=_moved(text, "", place)))
    for place, text in (
        ("reference/commands.md", _commands()),
        ("decisions.md", _decisions()),
        ("openapi.json", json.dumps(create_app(Settings()).openapi(), indent=1)),
    ):
        files.append(File.generated(config, place, content=text))
    for path in sorted(_linked()):
        files.append(File.generated(config, _published(path), content=_shown(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    place = page.file.src_uri
    generated = place in TOP.values() or place.startswith(("reference/", "source/"))
    return markdown if generated else _moved(markdown, f"docs/{PurePosixPath(place).parent}", place)


def _moved(text: str, folder: str, place: str) -> str:
    """The text with its links, which start at `folder` of the repository, starting at `place`
    of the site."""
    start = str(PurePosixPath(place).parent)
    return _LINK.sub(lambda m: relpath(_published(_from(folder, m[1])), start), text)


def _from(folder: str, link: str) -> str:
    return normpath(f"{folder}/{link}" if folder else link)


def _published(path: str) -> str:
    """Where the site has a file of the repository."""
    if path in TOP:
        return TOP[path]
    if path.startswith("docs/"):
        inside = path.removeprefix("docs/")
        return "decisions.md" if inside == "decisions" else inside
    return f"source/{path}" if path.endswith(".md") else f"source/{path}.md"


def _linked() -> Iterator[str]:
    """The files and folders outside docs/ that its pages, or the top ones, link to."""
    found = set()
    for page in [*(ROOT / "docs").rglob("*.md"), *(ROOT / name for name in TOP)]:
        folder = page.parent.relative_to(ROOT).as_posix()
        for link in _LINK.findall(page.read_text()):
            path = _from(folder, link)
            if not path.startswith("docs/") and path not in TOP:
                found.add(path)
    yield from found


def _shown(path: str) -> str:
    """A file of the repository as a page; of a folder, what is in it."""
    where = ROOT / path
    if where.is_dir():
        items = "\n".join(f"- `{p.name}`" for p in sorted(where.iterdir()) if p.name[0] not in "._")
        return f"# `{path}`\n\n{items}\n"
    if where.suffix == ".md":
        # Only pages of docs/ are followed further.
        return re.sub(r"\[([^\]]+)\]\((?!https?:)[^)]*\)", r"\1", where.read_text())
    language = where.suffix.removeprefix(".") or "text"
    return f"# `{path}`\n\n````{language}\n{where.read_text()}\n````\n"


def _commands() -> str:
    command = typer.main.get_command(app)
    context = typer.Context(command, info_name="lineage")
    return get_docs_for_click(obj=command, ctx=context, name="lineage", title="Every option")


def _decisions() -> str:
    lines = [
        f"- [{path.read_text().partition(chr(10))[0].lstrip('# ')}](decisions/{path.name})"
        for path in sorted((ROOT / "docs/decisions").glob("*.md"))
    ]
    return "# Decisions\n\nWhy things are as they are.\n\n" + "\n".join(lines) + "\n"
