"""Where commands write to, and the format a file's name asks for."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lineage.errors import LineageError

if TYPE_CHECKING:
    from lineage.formats import Format


def of_output(output: Path) -> Format:
    """The format a graph is to be written in."""
    from lineage.formats import of_file
    from lineage.formats.drawn import every

    known = [one for one in every().values() if one.graph]
    found = of_file(output.name, known)
    if found is None:
        suffixes = ", ".join(suffix for one in known for suffix in one.suffixes)
        raise typer.BadParameter(f"'{output.name}' must end in one of {suffixes}.")
    return found


def save(output: Path | None, chunks: Iterable[bytes]) -> None:
    """To a file, which is there whole or not at all; None = standard output."""
    if output is None:
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
        return
    # A name of its own until it is whole, so that a broken export never looks like one.
    part = output.with_name(output.name + ".part")
    try:
        with part.open("wb") as file:
            file.writelines(chunks)
        part.replace(output)
    except OSError as error:
        raise LineageError(f"cannot write {output}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
