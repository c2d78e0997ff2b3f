"""Reading actions, artifacts and controllers: one by its key, or lists page by page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from lineage.api.examples import answered, problems
from lineage.api.formats import STORES, StoreFormat, whole_store
from lineage.api.requests import Cursor, Limit, Moment, ReaderAt, ReaderOf, Text, answer, moment
from lineage.errors import NotFound
from lineage.formats import tables
from lineage.graph import action_node
from lineage.identity import action_id
from lineage.merge import ActionState
from lineage.queries.asof import raise_later
from lineage.queries.references import family_of
from lineage.records import view, view_artifact
from lineage.store.ports import ActionFilter, ArtifactFilter, Reader

router = APIRouter(tags=["read"])

ArtifactId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="32 hexadecimal digits")]
Table = Annotated[Literal["json", "csv"], Query(description="csv = a table for spreadsheets")]
_NEAR = 100
"""Actions shown beside an artifact; /lineage shows all."""
_EXPORT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Every action, line by line",
        "content": {f.lines or f.media: {"schema": {"type": "string"}} for f in STORES.values()},
    },
    **problems(400, 503),
}


def _table(name: str) -> dict[int | str, dict[str, Any]]:
    out = answered(name, 400, also=["text/csv"])
    says = "as a table: the next page, as RFC 8288 writes it"
    out[200]["headers"] = {"Link": {"description": says, "schema": {"type": "string"}}}
    return out


@router.get("/actions", response_class=Response, responses=_table("Actions"))
def list_actions(
    request: Request,
    reader: ReaderAt,
    type: Text = None,
    state: Text = None,
    controller: Text = None,
    namespace: Text = None,
    q: Text = None,
    since: Moment = None,
    until: Moment = None,
    cursor: Cursor = None,
    limit: Limit = 50,
    format: Table = "json",
) -> Response:
    """Actions, the latest start first. `q` matches in name and key."""
    wanted = ActionFilter(
        type, state, controller, namespace, q, moment("since", since), moment("until", until)
    )
    page = reader.actions(wanted, cursor, limit)
    if format == "csv":
        artifacts = reader.artifacts_by_id(
            sorted({e.artifact for a in page.items for e in a.edges})
        )
        rows = [tables.action(state, artifacts) for state in page.items]
        return _csv(request, [tables.ACTIONS, *rows], page.cursor)
    return answer({"items": _views(reader, page.items), "cursor": page.cursor})


@router.get(
    "/actions/{key:any}", response_class=Response, responses=answered("RecordedAction", 400, 404)
)
def get_action(reader: ReaderAt, key: str) -> Response:
    """One action by its key or id, as all its reports together describe it."""
    state = reader.action(action_id(key)) or reader.action(key)
    if state is None:
        raise_later(reader, key, lambda _: [action_id(key), key])
        raise NotFound(f"no action has the key or id '{key}'; /api/v1/actions?q= searches")
    return answer(_views(reader, [state])[0])


@router.get("/artifacts", response_class=Response, responses=_table("Artifacts"))
def list_artifacts(
    request: Request,
    reader: ReaderAt,
    type: Text = None,
    uri: Text = None,
    q: Text = None,
    cursor: Cursor = None,
    limit: Limit = 50,
    format: Table = "json",
) -> Response:
    """Artifacts, the latest recorded first. `uri` = every version of that URI."""
    wanted = ArtifactFilter(type, family_of("uri", uri, type or "Artifact") if uri else None, q)
    page = reader.artifacts(wanted, cursor, limit)
    if format == "csv":
        rows = [tables.artifact(state) for state in page.items]
        return _csv(request, [tables.ARTIFACTS, *rows], page.cursor)
    return answer({"items": [view_artifact(a) for a in page.items], "cursor": page.cursor})


@router.get(
    "/artifacts/{id}", response_class=Response, responses=answered("ArtifactBeside", 400, 404)
)
def get_artifact(reader: ReaderAt, id: ArtifactId) -> Response:
    """One version of a thing, and the actions nearest to it."""
    artifact = _artifact(reader, id)
    wrote, read = reader.touching([id], "out")[id], reader.touching([id], "in")[id]
    near = {
        "produced_by": [action_node(state).json() for state in wrote[:_NEAR]],
        "read_by": [action_node(state).json() for state in read[:_NEAR]],
    }
    return answer({**view_artifact(artifact), **near})


@router.get(
    "/artifacts/{id}/versions", response_class=Response, responses=answered("Artifacts", 400, 404)
)
def list_versions(
    reader: ReaderAt, id: ArtifactId, cursor: Cursor = None, limit: Limit = 50
) -> Response:
    """Every version of the same URI, the latest recorded first."""
    artifact = _artifact(reader, id)
    page = reader.artifacts(ArtifactFilter(uri=artifact.uri), cursor, limit)
    return answer({"items": [view_artifact(a) for a in page.items], "cursor": page.cursor})


@router.get("/controllers", response_class=Response, responses=answered("Controllers", 400))
def list_controllers(reader: ReaderAt, cursor: Cursor = None, limit: Limit = 50) -> Response:
    """Every controller that recorded something, with the number of its actions."""
    page = reader.controllers(cursor, limit)
    return answer({"items": [c._asdict() for c in page.items], "cursor": page.cursor})


@router.get("/export", response_class=Response, responses=_EXPORT)
def get_export(request: Request, reader: ReaderOf, format: StoreFormat = "ndjson") -> Response:
    """The whole store; as NDJSON records, recorded elsewhere, they make the same store."""
    form, lines = whole_store(request, format, reader)
    return StreamingResponse(lines, media_type=form.lines or form.media)


def _artifact(reader: Reader, id: str) -> Any:
    artifact = reader.artifact(id)
    if artifact is None:
        raise_later(reader, id, lambda _: [id])
        raise NotFound(f"no artifact has the id {id}; /api/v1/artifacts?q= searches")
    return artifact


def _csv(request: Request, rows: Sequence[Sequence[Any]], cursor: str | None) -> Response:
    """A table has no place for the cursor, so it stands in a header (RFC 8288)."""
    after = "" if cursor is None else request.url.include_query_params(cursor=cursor).query
    headers = {"link": f'<?{after}>; rel="next"'} if after else {}
    return Response(tables.rows(rows), headers=headers, media_type=tables.MEDIA)


def _views(reader: Reader, states: list[ActionState]) -> list[dict[str, Any]]:
    ids = sorted({edge.artifact for state in states for edge in state.edges})
    artifacts = reader.artifacts_by_id(ids)
    return [{"id": state.id, **view(state, artifacts)} for state in states]
