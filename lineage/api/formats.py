"""The formats of this server: their list, and a graph or a store written in one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from lineage.api.examples import answered
from lineage.api.requests import answer
from lineage.formats import Detail, Format, find
from lineage.formats.drawn import every
from lineage.graph import Graph
from lineage.queries.detail import detail
from lineage.queries.export import export
from lineage.store.ports import Reader

router = APIRouter(tags=["read"])

GRAPHS = {name: form for name, form in every().items() if form.graph}
STORES = {name: form for name, form in every().items() if form.each}
"""What there is without anybody who draws; a server knows the same names."""


def _one_of(known: Mapping[str, Format]) -> Any:
    return Query(max_length=64, description="one of those of /api/v1/formats",
                 json_schema_extra={"enum": list(known)})  # fmt: skip


GraphFormat = Annotated[str, _one_of(GRAPHS)]
StoreFormat = Annotated[str, _one_of(STORES)]
_NOTHING = Detail({}, {})


@router.get("/formats", response_class=Response, responses=answered("Formats"))
def list_formats(request: Request) -> Response:
    """What a graph or the whole store can be written as, and what can be imported."""
    return answer({"items": [one.json() for one in _known(request).values()]})


def graph_format(request: Request, name: str) -> tuple[Format, Callable[[Reader, Graph], bytes]]:
    """The format, and what writes a graph in it.

    Raises:
        BadRequest: there is no such format, or it does not write graphs.
    """
    form = find(name, [one for one in _known(request).values() if one.graph])
    write = form.graph
    assert write is not None

    def written(reader: Reader, graph: Graph) -> bytes:
        return write(graph, _NOTHING if form.plain else detail(reader, graph))

    return form, written


def whole_store(request: Request, name: str, reader: Reader) -> tuple[Format, Iterator[bytes]]:
    """The format, and every action of the store in it.

    Raises:
        BadRequest: there is no such format, or it cannot hold a whole store.
    """
    form = find(name, [one for one in _known(request).values() if one.each])
    return form, export(reader) if form.name == "ndjson" else _stream(form, reader)


def _stream(form: Format, reader: Reader) -> Iterator[bytes]:
    each = form.each
    assert each is not None
    yield form.head
    for states, artifacts in reader.walk():
        yield b"".join(each(state, artifacts) for state in states)


def _known(request: Request) -> Mapping[str, Format]:
    known: Mapping[str, Format] = request.app.state.formats
    return known
