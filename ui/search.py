"""The Search page: one ranked list of what has a name, commit, digest or parameter like this."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup

from lineage.api.requests import get_searcher
from lineage.errors import BadRequest
from lineage.graph import ActionNode, ArtifactNode, action_node, artifact_node
from lineage.merge import ActionState
from lineage.queries.matching import Match
from lineage.queries.search import Hit, search
from lineage.store.ports import Kind
from ui import links, params, words
from ui.asked import asked

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

FEW, MANY, MOST = 25, 100, 500
LONGEST = 5000
EXAMPLES = (
    ("label bot", "both words, anywhere in a name, URI, key or value"),
    ('"label bot"', "these words beside each other"),
    ("faeb657", "the beginning of a commit or digest"),
    ("max_age_days=30", "a parameter or property"),
    ("type:Model triage", "only models; also kind: state: controller: namespace:"),
    ("state:failed controller:label-bot/*", "what failed in a namespace; * stands for anything"),
)


@router.get("/search")
def search_page(
    request: Request, q: str = "", kind: str = "", type: str = "", limit: str = "", as_of: str = ""
) -> Response:
    """Everything that matches, best first, and where it matches."""
    at = asked(request, as_of)
    text = q.strip()
    most = params.number(limit, "limit", 1, MOST) or FEW
    of = params.choice(kind, "kind", ("", *get_args(Kind)))
    found, trouble = None, ""
    if text:
        if len(text) > LONGEST:
            raise BadRequest(f"q: at most {LONGEST:,} characters; this has {len(text):,}")
        searcher = get_searcher(request)
        try:
            found = search(
                at.reader, searcher, text, of or None, type or None, most, at.as_of  # type: ignore[arg-type]
            )  # fmt: skip
        except BadRequest as error:
            trouble = error.detail
    chosen: dict[str, Any] = {"q": text, "kind": kind, "type": type}
    return at.page(
        "search.html",
        "Search",
        q=text,
        chosen=chosen,
        hits=[(hit, _node(hit)) for hit in found.hits] if found else [],
        found=found,
        trouble=trouble,
        examples=EXAMPLES,
        marked=marked,
        more=_more(most, chosen) if found and found.truncated else None,
        narrowed=lambda **other: links.page("/search", **chosen | other),
        types=sorted({_node(hit).type for hit in found.hits}) if found else [],
    )


def marked(match: Match) -> Markup:
    """The text with its matching parts in <mark>; everything in it is escaped."""
    return Markup("").join(
        Markup("<mark>{}</mark>").format(piece) if hit else Markup("{}").format(piece)
        for piece, hit in _pieces(match)
    ) + ("…" if match.cut else "")


def _pieces(match: Match) -> Iterator[tuple[str, bool]]:
    at = 0
    for start, end in match.spans:
        yield _plain(match.text[at:start]), False
        yield _plain(match.text[start:end]), True
        at = end
    yield _plain(match.text[at:]), False


def _plain(text: str) -> str:
    """Cleaned as everywhere, but with the blanks that part it from what follows."""
    left = " " if text[:1].isspace() else ""
    right = " " if text[-1:].isspace() and text.strip() else ""
    return left + words.clean(text) + right


def _node(hit: Hit) -> ActionNode | ArtifactNode:
    state = hit.state
    return action_node(state) if isinstance(state, ActionState) else artifact_node(state)


def _more(most: int, chosen: dict[str, Any]) -> str | None:
    larger = next((n for n in (MANY, MOST) if n > most), None)
    return links.page("/search", **chosen, limit=larger) if larger else None
