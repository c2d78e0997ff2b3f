"""The Impact page: the slots a thing serves first, with when and by which way."""

from __future__ import annotations

from typing import Any

from .conftest import Server
from .viewing import EVIL, act, page, record


def world(of: str, evidence: str | None = None) -> list[dict[str, Any]]:
    """One dataset, two models of it, one after the other in one slot."""
    who = {"namespace": of, "name": "all"}
    rows = [{"type": "Dataset", "uri": f"gs://{of}/rows", "version": "v1"}]
    out = []
    for n in (1, 2):
        made = [{"type": "Model", "uri": f"gs://{of}/model", "version": f"m{n}"}]
        slot = {
            "type": "Deployment",
            "uri": f"k8s://prod/{of}/Deployment/worker",
            "version": f"r{n}",
        }
        slot |= {"evidence": evidence} if evidence else {}
        out.append(act(f"{of}/train/{n}", 24 * n, type="train", controller=who, inputs=rows,
                       outputs=made))  # fmt: skip
        out.append(act(f"{of}/deploy/{n}", 24 * n + 1, type="deploy", controller=who, inputs=made,
                       outputs=[slot]))  # fmt: skip
    return out


def test_slots_come_first_with_their_periods_and_the_way(server: Server) -> None:
    """Where it serves now and for how long, by which path, then the models that came of it."""
    record(server, *world("reaching"))
    found = page(server, "/impact", of="gs://reaching/rows")
    text = found.text
    assert text.index("Slots 1") < text.index("Models 2")
    for said in ("serves it now", "in 2 periods", "worker", "m1", "m2", "deploy 2 actions"):
        assert said in text
    assert found.html.count("<li") >= 5
    first = page(server, "/impact", of="gs://reaching/model@m1").text
    assert "served it for 1 day in 1 period" in first


def test_only_claimed_is_said(server: Server) -> None:
    """A slot known from a claim alone is never shown as serving."""
    record(server, *world("claiming", evidence="claimed"))
    text = page(server, "/impact", of="gs://claiming/rows").text
    assert "only claimed" in text
    assert "serves it now" not in text


def test_nothing_came_of_it(server: Server) -> None:
    """An end of the line says so, and so does what is not known."""
    out = [{"type": "Dataset", "uri": "gs://unused/rows", "version": "v1"}]
    record(server, act("unused/1", 0, outputs=out))
    text = page(server, "/impact", of="gs://unused/rows").text
    assert "was ever live" in text and "No model came of it." in text
    assert "othing is called" in page(server, "/impact", 404, of="nothing-like-it").text
    assert "What came of a thing" in page(server, "/impact").text


def test_the_past_and_hostile_names(server: Server) -> None:
    """As of a moment only what had come of it; names are text."""
    record(server, *world("before"))
    text = page(server, "/impact", of="gs://before/rows", as_of="2021-03-02T12:00:00Z").text
    assert "Models 1" in text and "in 1 period" in text
    things = [{"type": "Model", "uri": "evil-impact/" + EVIL, "version": EVIL, "name": EVIL}]
    record(server, act("evil-impact/1", 0, name=EVIL, controller={"name": EVIL},
                       inputs=[{"uri": "evil-impact/source", "version": "1"}], outputs=things))  # fmt: skip
    assert "alert(1)" in page(server, "/impact", of="evil-impact/source@1").text
    page(server, "/impact", 404, of=EVIL + "-unknown")
