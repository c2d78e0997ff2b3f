"""`lineage formats`: what can be written, and what can be read."""

from __future__ import annotations

from lineage.cli.target import Json, console, print_json


def formats(as_json: Json = False) -> None:
    """List the formats of `lineage export`, `graph -o` and `import`.

    Example: `lineage formats`
    """
    from rich.table import Table

    from lineage.formats.drawn import every

    known = [one.json() for _, one in sorted(every().items())]
    if as_json:
        print_json({"items": known})
        return
    table = Table("name", "graph", "store", "import", "files", "what it is", box=None)
    for one in known:
        marks = ("yes" if one[way] else "" for way in ("graph", "store", "import"))
        table.add_row(one["name"], *marks, " ".join(one["suffixes"]), one["says"])
    console().print(table)
