"""The Live page's context: one row a slot, problems first, each with its way back.

A handful of batched reads for all rows together, whatever their number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from lineage.graph import ActionNode, ArtifactNode, action_node, artifact_node
from lineage.merge import ActionState, ArtifactState
from lineage.queries.serving.live import Claim, Slot
from lineage.queries.serving.timeline import Period, timelines
from lineage.queries.staleness.reasons import Reason
from lineage.queries.staleness.stale import staleness
from lineage.store.ports import Reader
from ui import kinds, links, names, words
from ui.timeline import MOST, Timeline, timeline

ORDER = {"disagree": 0, "unknown origin": 1, "agree": 2}
WORDS = {"disagree": "claims disagree", "unknown origin": "unknown origin", "agree": "agree"}
SHAPES = {"disagree": "bad", "unknown origin": "warn", "agree": "ok"}
ROWS = 50
"""Slots on a page: each is judged and opens in place."""
SORTS = ("problems", "name", "newest")
_HOLDS = {"committed": "the tree holds", "observed": "the cluster runs"}


@dataclass(frozen=True, slots=True)
class Mark:
    """One of the three kinds of evidence: yes | no | differs."""

    word: str
    state: str
    says: str


@dataclass(frozen=True, slots=True)
class Step:
    """A column of the way back: cards, or the action between them (None = no record of it)."""

    cards: tuple[ArtifactNode, ...] = ()
    more: int = 0
    action: ActionNode | None = None
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    what: str
    old: str
    new: str
    note: str = ""
    href: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    slot: Slot
    word: str
    shape: str
    trained: ActionNode | None
    data: tuple[ArtifactNode, ...]
    code: ArtifactNode | None
    marks: tuple[Mark, ...]
    line: Timeline
    claim: Claim | None
    """The newest claim, when it disagrees; `claimant` and `holds` word it."""
    claimant: str
    holds: str
    steps: tuple[Step, ...]
    previous: Period | None
    changes: tuple[Change, ...]
    behind: tuple[Reason, ...]
    """What is newer than what is live, and why that matters."""

    def newer(self, kind: str) -> Reason | None:
        return next((reason for reason in self.behind if reason.kind == kind), None)


@dataclass(frozen=True, slots=True)
class Board:
    rows: tuple[Row, ...]
    summary: str
    page: int
    pages: int


def board(
    reader: Reader, slots: Iterable[Slot], now: int, sort: str = "problems", page: int = 1
) -> Board:
    """The rows of one page of these slots, and a summary of all of them."""
    found = sorted(slots, key=_order(sort))
    pages = max(1, -(-len(found) // ROWS))
    page = min(page, pages)
    shown = found[ROWS * (page - 1) : ROWS * page]
    lines = timelines(reader, sorted({slot.uri for slot in shown}), MOST)
    past = {uri: line.periods for uri, line in lines.items()}
    facts = _Facts(reader, shown, past)
    behind = {one.slot: one.reasons for one in staleness(reader, shown, now)}
    rows = [_row(slot, past[slot.uri], facts, now, behind.get(slot.uri, ())) for slot in shown]
    if sort == "problems":
        rows.sort(key=lambda row: (ORDER[row.slot.status], not row.behind))
    return Board(tuple(rows), _summary(found, rows), page, pages)


def _order(sort: str) -> Callable[[Slot], tuple[object, ...]]:
    if sort == "newest":
        return lambda s: (-s.since, s.uri)
    first = ORDER if sort == "problems" else dict.fromkeys(ORDER, 0)
    return lambda s: (first[s.status], s.namespace, s.name, s.uri)


def _summary(found: Sequence[Slot], rows: Sequence[Row]) -> str:
    says = [words.count(len(found), "slot")]
    disagree = sum(s.status == "disagree" for s in found)
    unknown = sum(s.status == "unknown origin" for s in found)
    says += [f"{disagree} disagree{'s' if disagree == 1 else ''}"] if disagree else []
    says += [f"{unknown} of unknown origin"] if unknown else []
    says += ["all agree"] if found and not disagree and not unknown else []
    if behind := sum(bool(row.behind) for row in rows):
        of = f" of the {len(rows)} shown" if len(rows) < len(found) else ""
        says.append(f"{behind}{of} {'is' if behind == 1 else 'are'} behind")
    return " · ".join(says)


class _Facts:
    """What the rows need besides the slots, read once for all of them."""

    def __init__(
        self, reader: Reader, slots: list[Slot], past: Mapping[str, Sequence[Period]]
    ) -> None:
        wanted = {a.id for s in slots for a in (s.action, *s.trained_by)}
        wanted |= {c.action.id for s in slots for c in s.claims[:1]}
        wanted |= {p.action.id for periods in past.values() if (p := _previous(periods))}
        self.actions = dict(reader.actions_by_id(sorted(wanted)))
        touched = {e.artifact for a in self.actions.values() for e in a.edges}
        self.artifacts = dict(reader.artifacts_by_id(sorted(touched)))
        deployments = sorted({s.deployment.id for s in slots})
        self.writers = reader.touching(deployments, "out") if deployments else {}
        # A syncer applies what a deployer committed: one hop further back.
        passed = sorted(
            a.id for a in self.artifacts.values() if a.type in ("Config", "PullRequest")
        )
        self.committers = reader.touching(passed, "out") if passed else {}
        more = {a.id: a for states in self.committers.values() for a in states}
        self.actions = more | self.actions
        missing = {e.artifact for a in more.values() for e in a.edges} - self.artifacts.keys()
        self.artifacts |= reader.artifacts_by_id(sorted(missing)) if missing else {}

    def of(self, action: ActionNode | None, side: str) -> list[ArtifactState]:
        """The artifacts an action read (`in`) or wrote (`out`)."""
        state = self.actions.get(action.id) if action else None
        ids = sorted({e.artifact for e in state.edges if e.side == side}) if state else []
        return [self.artifacts[id_] for id_ in ids if id_ in self.artifacts]

    def nodes(self, action: ActionNode | None, side: str, *slugs: str) -> list[ArtifactNode]:
        found = [artifact_node(a) for a in self.of(action, side)]
        wanted = [n for n in found if kinds.kind(n.type).slug in slugs]
        return sorted(wanted, key=lambda n: (slugs.index(kinds.kind(n.type).slug), n.uri))


def _previous(periods: Sequence[Period]) -> Period | None:
    """What was live before what is."""
    return next((p for p in reversed(periods) if p.until is not None), None)


def _row(
    slot: Slot, past: Sequence[Period], facts: _Facts, now: int, behind: tuple[Reason, ...]
) -> Row:
    trained = max(slot.trained_by, key=lambda a: a.started, default=None)
    claim = slot.claims[0] if slot.claims and not slot.claims[0].agrees else None
    previous = _previous(past)
    # What the model was made by says more than what put it there.
    code = tuple(facts.nodes(trained, "in", "code", "notebook")) or slot.code
    code = code or tuple(facts.nodes(slot.action, "in", "code"))
    late = bool(behind) and slot.status == "agree"
    return Row(
        slot, _word(slot), "behind" if late else SHAPES[slot.status], trained,
        data=tuple(facts.nodes(trained, "in", "dataset")),
        code=code[0] if code else None,
        marks=_marks(slot, facts),
        line=timeline(past, now),
        claim=claim,
        claimant=_claimant(claim, facts) if claim else "",
        holds=_HOLDS.get(slot.evidence, "the record says"),
        steps=tuple(_steps(slot, trained, facts)),
        previous=previous,
        changes=tuple(_changes(slot, previous, facts)) if previous else (),
        behind=behind,
    )  # fmt: skip


def _word(slot: Slot) -> str:
    solid = any(not one.agrees for one in slot.agreement if one.evidence != "claimed")
    return "evidence disagrees" if solid else WORDS[slot.status]


def _marks(slot: Slot, facts: _Facts) -> tuple[Mark, ...]:
    said = {slot.evidence}
    for writer in facts.writers.get(slot.deployment.id, ()):
        said |= {e.evidence for e in writer.edges if e.artifact == slot.deployment.id}
    said |= {one.evidence for one in slot.agreement}
    differing = {one.evidence for one in slot.agreement if not one.agrees}
    marks = []
    for word, yes, no in (
        ("claimed", "a claim says the same", "nobody claimed it"),
        ("committed", "a git tree holds it", "no git tree was seen"),
        ("observed", "the cluster showed it", "the cluster was not observed"),
    ):
        if word in differing:
            marks.append(Mark(word, "differs", f"what is {word} says something else"))
        else:
            known = word in said
            marks.append(Mark(word, "yes" if known else "no", yes if known else no))
    return tuple(marks)


def _claimant(claim: Claim, facts: _Facts) -> str:
    requests = facts.nodes(claim.action, "out", "pullrequest")
    requests = requests or facts.nodes(claim.action, "in", "pullrequest")
    return names.mention(requests[0]) if requests else words.initial(names.act(claim.action))


def _steps(slot: Slot, trained: ActionNode | None, facts: _Facts) -> Iterable[Step]:
    """From the sources to the slot: cards and the actions between them."""
    if trained:
        yield _cards(facts.nodes(trained, "in", "dataset", "code", "notebook"))
        yield Step(action=trained)
    else:
        yield Step(missing="train · no record")
    configs = facts.nodes(slot.action, "in", "config", "pullrequest")
    reads_model = any(a.id in {m.id for m in slot.models} for a in facts.of(slot.action, "in"))
    committer = None if reads_model else _committer(configs, slot, facts)
    first = committer or slot.action
    yield _cards([*slot.models, *facts.nodes(first, "in", "code", "notebook")])
    yield Step(action=first)
    if committer:
        yield _cards(configs)
        yield Step(action=slot.action)
    elif made := facts.nodes(slot.action, "out", "config", "pullrequest"):
        yield _cards(made)
    yield Step(cards=(slot.deployment,))


def _committer(configs: list[ArtifactNode], slot: Slot, facts: _Facts) -> ActionNode | None:
    writers = [w for c in configs for w in facts.committers.get(c.id, ())]
    before = [w for w in writers if w.started <= slot.since and w.id != slot.action.id]
    newest: ActionState | None = max(before, key=lambda w: (w.started, w.key), default=None)
    return action_node(newest) if newest else None


def _cards(nodes: list[ArtifactNode], most: int = 3) -> Step:
    return Step(cards=tuple(nodes[:most]), more=max(0, len(nodes) - most))


def _changes(slot: Slot, previous: Period, facts: _Facts) -> Iterable[Change]:
    old, new = previous.models, slot.models
    if old or new:
        yield Change("Model", _shorts(old), _shorts(new), "" if old != new else "the same")
    for what, slugs in (("Code", ("code",)), ("Config", ("config",)), ("Image", ("image",))):
        was = facts.nodes(previous.action, "in", *slugs) or facts.nodes(
            previous.action, "out", *slugs
        )
        is_ = facts.nodes(slot.action, "in", *slugs) or facts.nodes(slot.action, "out", *slugs)
        if was and is_:
            same = {n.id for n in was} == {n.id for n in is_}
            href = None
            if what == "Code" and not same and was[0].uri == is_[0].uri:
                href = links.compare(is_[0].uri, was[0].version, is_[0].version)
            yield Change(what, _shorts(was), _shorts(is_), "the same" if same else "", href)


def _shorts(nodes: Iterable[ArtifactNode]) -> str:
    return ", ".join(names.short(n) for n in nodes) or "none"
