"""`lineage backup`: a copy of a store that is in use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from lineage.cli.prune import stages
from lineage.cli.target import Json, Target, clean, print_json

Replace = Annotated[bool, typer.Option("--replace", help="Take the place of what is there.")]


def backup(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="Where to write the copy.")],
    replace: Replace = False,
    as_json: Json = False,
) -> None:
    """Copy a store while it is in use, raw OpenLineage events too. The copy is a store itself.

    Whatever was acknowledged before it began is in it. For MariaDB and PostgreSQL use
    mariadb-dump and pg_dump; docs/operations.md says how.

    Example: `lineage backup /backups/lineage-2026-11-24.db --store lineage.db`
    """
    from lineage.store.keeping.backup import backup as run

    target: Target = ctx.obj
    store = target.database()
    with stages() as stage:
        stage(f"Copying {clean(store)}", None)
        files = run(store, str(file), replace)
    told(files, as_json)


def told(files: list[str], as_json: bool) -> None:
    sizes = {file: os.path.getsize(file) for file in files}
    if as_json:
        print_json({"files": [{"file": file, "bytes": size} for file, size in sizes.items()]})
    for file, size in sizes.items() if not as_json else ():
        typer.echo(f"{clean(file)}: {size:,} bytes")
