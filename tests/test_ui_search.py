"""The Search page: one ranked list, what matched is marked, and nothing of it is markup."""

from __future__ import annotations

import html
import re

from hypothesis import given
from hypothesis import strategies as st

from lineage.queries.matching import Match
from ui import words
from ui.search import EXAMPLES, marked

from .conftest import Server
from .viewing import EVIL, act, page, record


@given(st.text(max_size=80), st.lists(st.tuples(st.integers(0, 80), st.integers(1, 9)), max_size=5))
def test_marks_change_no_word(text: str, places: list[tuple[int, int]]) -> None:
    """Without its marks it reads as the text does everywhere; nothing in it is markup."""
    spans, end = [], 0
    for start, length in sorted(places):
        if start >= end and start + length <= len(text):
            spans.append((start, end := start + length))
    drawn = marked(Match("name", text, tuple(spans), cut=False))
    assert drawn.count("<mark>") == len(spans)
    plain = html.unescape(re.sub("</?mark>", "", drawn))
    assert re.sub(r"\s", "", plain) == re.sub(r"\s", "", words.clean(text))


def test_hits_are_one_list_with_what_matched(server: Server) -> None:
    """An artifact and an action side by side; what matched is marked, filters narrow."""
    out = [{"type": "Model", "uri": "gs://finder/wombat-model", "version": "w1"}]
    record(server, act("finder/wombat-run", 0, name="wombat-run", type="train", outputs=out))
    found = page(server, "/search", q="wombat")
    assert "<mark>wombat</mark>-model" in found.html
    assert "2 hits" in found.text
    assert "1 hit " in page(server, "/search", q="wombat", kind="artifact").text
    assert "wombat-run" not in page(server, "/search", q="wombat", type="Model").text
    assert "Nothing is called" in page(server, "/search", q="wombat", as_of="2020-01-01").text


def test_more_hits_than_are_shown_are_said(server: Server) -> None:
    """The best few, and a way to more."""
    record(server, *[act(f"finder/quokka/{n}", n, name=f"quokka-{n}") for n in range(30)])
    found = page(server, "/search", q="quokka")
    assert "There may be more." in found.text
    more = next(link for link in found.links if "limit=100" in link)
    assert "30 hits" in page(server, more).text


def test_the_empty_page_teaches_the_language(server: Server) -> None:
    """Examples that can be clicked; each is a query that is understood."""
    found = page(server, "/search")
    for text, says in EXAMPLES:
        assert text in found.text and says in found.text
        assert "nothing to look for" not in page(server, "/search", q=text).text
    assert len([link for link in found.links if link.startswith("/search?q=")]) == len(EXAMPLES)


def test_a_query_that_means_nothing_says_so(server: Server) -> None:
    """The reason and the examples, not a page of an error."""
    assert "nothing to look for" in page(server, "/search", q="...").text
    assert "kind is action or artifact" in page(server, "/search", q="kind:thing").text
    assert "at most 5,000" in page(server, "/search", 400, q="x" * 5001).text
    assert "Nothing is called" in page(server, "/search", q="zzzzunheardof").text


def test_neither_query_nor_hit_speaks_html(server: Server) -> None:
    """Markup in a name is found, marked and shown as text."""
    record(server, act("finder/evil", 0, name="kakapo " + EVIL, error=EVIL))
    found = page(server, "/search", q="kakapo")
    assert "<script>alert(1)</script>" in found.text
    page(server, "/search", q=EVIL)
    assert "<mark>script</mark>" in page(server, "/search", q="kakapo script").html
