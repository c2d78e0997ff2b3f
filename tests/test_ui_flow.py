"""The Flow page: who feeds whom, and every a[i] that b or c did not take up, unmistakably."""

from __future__ import annotations

from typing import Any

import orjson

from lineage.model import Action
from lineage.queries.flowing.flow import flow
from lineage.times import microseconds
from ui import words
from ui.flowing import flowing, key, letters

from .conftest import Server
from .memory import MemoryReader
from .viewing import EVIL, MOMENT, act, page, record

NOW = microseconds(MOMENT) + 100 * words.HOUR


def step(who: str, n: int, start: float, reads: Any, writes: Any, **more: Any) -> dict[str, Any]:
    namespace = more.pop("namespace", "flowing")
    return act(
        f"{namespace}/{who}/{n}", start, name=f"{who}-{n}", inputs=reads, outputs=writes,
        controller={"cluster": "c", "namespace": namespace, "name": who}, **more,
    )  # fmt: skip


def data(n: int, namespace: str = "flowing") -> list[dict[str, Any]]:
    return [{"type": "Dataset", "uri": f"gs://{namespace}/rows", "version": f"v{n}"}]


def model(n: int, namespace: str = "flowing") -> list[dict[str, Any]]:
    return [{"type": "Model", "uri": f"gs://{namespace}/model", "version": f"m{n}"}]


def chain(namespace: str = "flowing") -> list[dict[str, Any]]:
    """Four datasets; the second training failed, the fourth has not begun; one was deployed."""
    at = {"namespace": namespace}
    out = [step("collect", n, 24 * n, [], data(n, namespace), **at) for n in range(4)]
    out += [
        step("train", 0, 1, data(0, namespace), model(0, namespace), **at),
        step("train", 1, 25, data(1, namespace), [], state="failed", error="no room", **at),
        step("train", 2, 49, data(2, namespace), model(2, namespace), **at),
        step("deploy", 0, 2, model(0, namespace), [], **at),
    ]
    return out


def shown() -> Any:
    reader = MemoryReader.of([Action.model_validate_json(orjson.dumps(one)) for one in chain()])
    return flowing(flow(reader), NOW)


def test_what_is_missing_says_since_when() -> None:
    """Each row of a chain says in words what its shape shows; what is skipped is not missing."""
    (law,) = shown().laws
    assert [name for _, name in law.heads] == ["collect", "train", "deploy"]
    assert [[s.state for s in row.squares] for row in law.rows] == [
        ["made", "waiting", "waiting"],
        ["made", "taken", "waiting"],
        ["made", "failed", "skipped"],
        ["made", "taken", "taken"],
    ]
    late, deploy, skipped = law.rows[0].squares[1], law.rows[1].squares[2], law.rows[2].squares
    assert (late.words, deploy.words) == ("missing for 1 day", "missing for 2 days")
    assert [square.words for square in skipped] == ["made", "failed", "skipped"]
    assert (law.arrived, law.missing) == (1, 2)


def test_a_card_counts_what_its_controller_did() -> None:
    """States, rate, the last success and the last failure of the window."""
    card = next(card for card in shown().cards if card.name == "train")
    assert card.states == (("complete", 2), ("failed", 1))
    assert card.every == "every 24 h"
    assert (card.success and card.success.name) == "train-2"
    assert (card.failure and card.failure.name) == "train-1"


def test_a_link_says_what_passed_over_it() -> None:
    """Counts by what became of it, and since when the oldest waits."""
    wires = {(wire.source, wire.target): wire for wire in shown().wires}
    taken = wires["collect", "train"]
    assert taken.counts == (("taken", 2), ("failed", 1), ("waiting", 1))
    assert (taken.newest, taken.usually) == ("waiting", "30 min")
    assert len({wire.key for wire in shown().wires}) == len(wires)
    assert taken.key == key(taken.link)


def test_there_is_a_letter_for_every_controller() -> None:
    """After z it goes on, so that no two have the same."""
    found = [letter for letter, _ in zip(letters(), range(60), strict=False)]
    assert len(set(found)) == 60


def test_the_page_draws_what_the_tables_say(server: Server) -> None:
    """The picture, the shapes, the chain and the tables name the same controllers."""
    record(server, *chain())
    found = page(server, "/flow", namespace="flowing")
    for text in ("collect", "train", "deploy", "missing for", "skipped", "1 of 4 arrived"):
        assert text in found.text
    assert found.html.count('class="f-card"') == 3
    assert "f-wire f-waiting" in found.html
    assert "Who feeds whom" in found.text


def test_an_edge_leads_to_what_passed(server: Server) -> None:
    """Choosing a link lists its passes with their maker, state and taker."""
    record(server, *chain("passing"))
    whole = page(server, "/flow", namespace="passing")
    address = next(link for link in whole.links if "edge=" in link and link.endswith("#passes"))
    found = page(server, address.partition("#")[0])
    assert 'id="passes"' in found.html
    assert "f-chosen" in found.html
    assert "collect-3" in found.text
    gone = page(server, "/flow", namespace="passing", edge="0" * 12)
    assert "is not here any more" in gone.text


def test_the_past_has_its_own_flow(server: Server) -> None:
    """As of a moment only what had happened counts, and every link stays there."""
    record(server, *chain("yesterday"))
    found = page(server, "/flow", namespace="yesterday", as_of="2021-03-01T12:00:00Z")
    assert "1 of 1 arrived" in found.text
    assert all("as_of=" in link for link in found.links if link.startswith("/actions/"))


def test_names_cannot_speak_html(server: Server) -> None:
    """Whatever a controller is called, it is text."""
    evil = {"cluster": EVIL, "namespace": "evil-flow" + EVIL, "name": EVIL}
    thing = {
        "type": "Odd.kind/of-thing",
        "uri": "x://evil/" + "a" * 3000,
        "version": EVIL,
        "role": EVIL[:60],
    }
    record(
        server,
        act("evil-flow/" + EVIL, 0, name=EVIL, controller=evil, outputs=[thing]),
        act(
            "evil-flow/2", 1, name="n" * 200, controller={**evil, "name": "r" * 200}, inputs=[thing]
        ),
    )
    found = page(server, "/flow", namespace="evil-flow" + EVIL)
    assert "alert(1)" in found.text
    assert "\u202e" not in found.text  # it would turn the words beside it
    assert "49" not in found.text.partition("Who feeds whom")[0]


def test_nothing_to_show_says_what_would_be(server: Server) -> None:
    """No such namespace, and controllers that feed nobody, are states with words of their own."""
    assert "No controller of the namespace" in page(server, "/flow", namespace="no-such").text
    record(server, act("alone/1", 0, controller={"namespace": "alone", "name": "alone"}))
    assert "None has read what another wrote." in page(server, "/flow", namespace="alone").text
    assert "whole number from 1 to 1000" in page(server, "/flow", 400, window="5000").text
