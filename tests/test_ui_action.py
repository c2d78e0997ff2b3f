"""The page of an action: why it acted first, then what became of it, and what it is part of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lineage.identity import action_id
from lineage.model import Action
from lineage.store.ports import ActionFilter

from .conftest import Server
from .memory import MemoryReader
from .test_store import Store, store  # noqa: F401
from .viewing import EVIL, act, page, record

WHO = {"namespace": "acting", "name": "runner"}


def whole(**more: Any) -> dict[str, Any]:
    return act(
        "acting/run", 0, name="the-run", type="train", controller=WHO,
        trigger={"reason": "two days old", "wanted": "a new model", "observed": "m-1"},
        params={"attempts": 3, "epochs": 5}, links={"notebook": "https://host/run.ipynb"},
        code={"repo": "https://github.com/owner/name", "commit": "a" * 40, "path": "train.ipynb"},
        **more,
    )  # fmt: skip


def test_the_reason_comes_first_and_everything_follows(server: Server) -> None:
    """Trigger, attempts, code with its forge, notebook, and the parts with a way back."""
    parts = [act(f"acting/run/{n}", n / 10, name=f"part-{n}", parent="acting/run", controller=WHO)
             for n in range(3)]  # fmt: skip
    record(server, whole(), *parts)
    found = page(server, "/actions/acting/run")
    text = found.text
    assert text.index("Why it acted") < text.index("Inputs")
    for said in ("two days old", "a new model", "3 attempts", "train.ipynb", "Parts 3 actions"):
        assert said in text
    assert "https://host/run.ipynb" in found.links
    assert "https://github.com/owner/name/commit/" + "a" * 40 in found.links
    assert "/actions/acting/run/2" in found.links
    assert "part of" in page(server, "/actions/acting/run/1").text
    assert "/actions/acting/run" in page(server, "/actions/acting/run/1").links


def test_an_unfinished_action_of_the_past_is_running(server: Server) -> None:
    """In the middle of it there is no end, no output and no part that came later."""
    key = "acting/past"
    out = [{"type": "Model", "uri": "gs://acting/m", "version": "1"}]
    record(server, act(key, 0, outputs=out), act(key + "/1", 0.4, parent=key))
    text = page(server, f"/actions/{key}", as_of="2021-03-01T00:10:00Z").text
    assert "running" in text and "It has written nothing so far." in text and "Parts" not in text
    assert "appears at" in page(server, f"/actions/{key}", 404, as_of="2021-02-01").text


def test_the_parts_are_those_that_name_it_last(store: Store, tmp_path: Path) -> None:  # noqa: F811
    """A part that was told to belong to another one since belongs to that one alone."""

    def told(key: str, start: int, parent: str, clock: int = 50) -> Action:
        return Action.model_validate({
            "key": key, "type": "t", "controller": {"name": "c"}, "parent": parent,
            "started_at": f"2021-01-01T00:00:{start:02}Z",
            "reported_at": f"2021-01-01T00:01:{clock:02}Z",
        }, strict=False)  # fmt: skip

    reports = [told("p1", 1, "a"), told("p2", 2, "a"), told("p3", 3, "b"), told("p2", 2, "b", 55)]
    store.record(*reports)
    oracle = MemoryReader.of(reports)
    for parent, expected in (("a", ["p1"]), ("b", ["p3", "p2"]), ("nobody", [])):
        for reader in (store.reader, oracle):
            found = reader.actions(ActionFilter(parent=parent), None, 10)
            assert [state.key for state in found.items] == expected
    page_ = store.reader.actions(ActionFilter(parent="b"), None, 1)
    rest = store.reader.actions(ActionFilter(parent="b"), page_.cursor, 1)
    assert [s.key for s in (*page_.items, *rest.items)] == ["p3", "p2"]


def test_an_action_cannot_speak_html(server: Server) -> None:
    """Every text of it is text; only http and https are links."""
    key = "evil-act/" + EVIL
    record(server, act(key, 0, name=EVIL, state="failed", error=EVIL * 20, parent=EVIL, by=EVIL,
                       controller={"name": EVIL}, params={EVIL: EVIL}, trigger={"reason": EVIL},
                       links={EVIL: "javascript:alert(1)"},
                       code={"repo": "https://host/" + EVIL, "path": EVIL}))  # fmt: skip
    found = page(server, f"/actions/{action_id(key)}")
    assert "javascript:alert(1)" in found.text
    assert "No action has the key" in page(server, "/actions/no/such/key", 404).text
