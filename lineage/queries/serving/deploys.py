"""Who says what was put where, and how well each is known.

The facts that `lineage.queries.serving.live` judges. Functions over a Reader, no I/O of their own;
every question to it is asked once for all slots.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lineage.identity import artifact_id
from lineage.merge import TRAFFIC, ActionState, ArtifactState
from lineage.store.ports import Reader

SEEN = ("observed", "reported")
"""What the cluster's status or the action itself says: it outranks what a git tree holds."""
KINDS = (*SEEN, "committed", "claimed")
MOST = 10_000
"""Deploys of one slot that are looked at, the latest first."""
_ENDED = ("deleted-", "uninstalled-")
_NOTHING: tuple[list[ActionState], int] = ([], -1)


@dataclass(frozen=True, slots=True)
class Deploy:
    """A complete action that says it put `deployment` into a slot. `ended` in µs; `traffic`
    in percent of the requests, None = nobody said, so all of them."""

    action: ActionState
    deployment: ArtifactState
    said: frozenset[str]
    ended: int
    traffic: float | None

    @property
    def claimed_only(self) -> bool:
        return self.said == {"claimed"}

    @property
    def seen(self) -> bool:
        """Whether the cluster's status or the action itself says so, not just a git tree."""
        return not self.said.isdisjoint(SEEN)

    @property
    def evidence(self) -> str:
        """The best there is."""
        return next(kind for kind in KINDS if kind in self.said)

    @property
    def removes(self) -> bool:
        return self.traffic is not None and self.traffic <= 0

    @property
    def decides(self) -> bool:
        """Whether nothing of what was there before stays."""
        if self.removes:
            return (self.deployment.version or "").startswith(_ENDED)
        return self.traffic is None or self.traffic >= 100

    @property
    def order(self) -> tuple[int, str, bool, str]:
        """Of one rollout that names the old and the new revision, the new one comes last."""
        return self.ended, self.action.key, not self.removes, self.deployment.id


class Track(NamedTuple):
    """What some kinds of evidence say of a slot, the latest first; `whole` = that is all."""

    deploys: list[Deploy]
    whole: bool


class Tracks:
    """The latest deploys of slots by evidence, at most `most` of each."""

    def __init__(self, reader: Reader, slots: Sequence[str], kinds: Sequence[str], most: int):
        self._most = most
        self._actions = {
            kind: {
                uri: _apart(found, most) for uri, found in reader.deploys(slots, kind, most).items()
            }
            for kind in kinds
        }
        self._ids = {uri: artifact_id(uri, None) for uri in slots}
        ids = {
            id_
            for found in self._actions.values()
            for uri, (actions, _) in found.items()
            for action in actions
            for id_, slot in action.slots
            if slot == self._ids[uri]
        }
        self._deployments = reader.artifacts_by_id(sorted(ids)) if ids else {}

    def kinds(self, slot: str) -> list[str]:
        """The kinds of evidence that say anything of it."""
        return [kind for kind, found in self._actions.items() if found[slot] != _NOTHING]

    def of(self, slot: str, kinds: Collection[str]) -> Track:
        floor, actions = -1, dict[str, ActionState]()
        for kind in kinds:
            found, older = self._actions[kind][slot]
            floor = max(floor, older)
            actions |= {action.id: action for action in found}
        wanted = frozenset(kinds)
        deploys = [
            deploy
            for action in actions.values()
            if (action.ended or 0) > floor
            for deploy in self._of(action, slot)
            if deploy.said & wanted
        ]
        return Track(sorted(deploys, key=lambda d: d.order, reverse=True), floor < 0)

    def _of(self, action: ActionState, slot: str) -> Iterable[Deploy]:
        for id_, place in action.slots:
            if place == self._ids[slot] and id_ in self._deployments:
                said = frozenset(
                    edge.evidence or "reported"
                    for edge in action.edges
                    if edge.side == "out" and edge.artifact == id_
                )
                deployment = self._deployments[id_]
                yield Deploy(
                    action, deployment, said, action.ended or 0, _traffic(action, deployment)
                )


def _apart(found: list[ActionState], most: int) -> tuple[list[ActionState], int]:
    """Those of which every other of their moment is known too, and the moment before them,
    in which there are others (-1 = there are none)."""
    if len(found) < most:
        return found, -1
    floor = found[-1].ended or 0
    return [action for action in found if (action.ended or 0) > floor], floor


def _traffic(action: ActionState, deployment: ArtifactState) -> float | None:
    said = action.fields.get(TRAFFIC + deployment.id)
    _, traffic = said or deployment.fields.get("properties.traffic", (0, None))
    split = isinstance(traffic, int | float) and not isinstance(traffic, bool)
    return traffic if split else None


class Held(NamedTuple):
    """What has a share of a slot: percent of the requests, None = all of them."""

    deploy: Deploy
    traffic: float | None


def standing(track: Track, start: int = 0) -> tuple[list[Held], bool]:
    """What is live after `track.deploys[start:]`, and whether nothing older could change that.

    A deploy that is given all the traffic, or of which nobody says how much, replaces what
    was there; one that is given a share leaves the rest to the others, the latest first. A
    version whose traffic is taken leaves; taken from a version that was not there, it ends
    what was never given a share.
    """
    deploys = track.deploys
    last = next((n for n in range(start, len(deploys)) if deploys[n].decides), None)
    given: dict[str, Deploy] = {}
    for n in reversed(range(start, len(deploys) if last is None else last + 1)):
        deploy = deploys[n]
        known = given.pop(deploy.deployment.id, None)
        if deploy.decides:
            given = {}
        elif deploy.removes and known is None:
            given = {id_: one for id_, one in given.items() if one.traffic is not None}
        if not deploy.removes:
            given[deploy.deployment.id] = deploy
    return list(_shares(given.values())), last is not None or track.whole


def _shares(given: Collection[Deploy]) -> Iterator[Held]:
    rest: float = 100
    for deploy in reversed(list(given)):
        traffic = deploy.traffic
        share = rest if traffic is None else min(traffic, rest)
        yield Held(deploy, None if traffic is None and rest == 100 else share)
        rest -= share
        if rest <= 0:
            break
