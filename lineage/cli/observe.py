"""`lineage observe`: observers record controllers that nobody can change."""

from __future__ import annotations

import typer

from lineage.cli.observe_git import git

observe = typer.Typer(
    no_args_is_help=True, help="Record what others do: watch a git branch or a cluster."
)
observe.command("git")(git)
