"""`lineage restore`: puts a backup in the place of a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lineage.cli.backup import Replace, told
from lineage.cli.prune import stages
from lineage.cli.target import Json, Target, clean


def restore(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="What lineage backup wrote.")],
    replace: Replace = False,
    as_json: Json = False,
) -> None:
    """Put a backup in the place of a store that no server uses.

    Interrupted, it leaves what was there before, or all of the backup.

    Example: `lineage restore /backups/lineage-2026-11-24.db --store lineage.db`
    """
    from lineage.store.keeping.backup import restore as run

    target: Target = ctx.obj
    store = target.database()
    with stages() as stage:
        stage(f"Restoring {clean(store)}", None)
        files = run(str(file), store, replace)
    told(files, as_json)
