"""Groups of commands whose usual case needs no word of its own: `lineage import FILE`."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


class FilesFirst(TyperGroup):
    """What does not begin with the name of a command is given to the `usual` one."""

    usual = ""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or not (args[0] in self.commands or args[0] in ctx.help_option_names):
            args = [self.usual, *self.expanded(args)]
        return super().parse_args(ctx, args)

    def expanded(self, args: list[str]) -> list[str]:
        return args

    @classmethod
    def of(cls, usual: str) -> type[FilesFirst]:
        return type(cls.__name__, (cls,), {"usual": usual})
