"""A family of models, found by what a person or a URL calls it. Functions over a Reader."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from lineage.errors import BadRequest
from lineage.identity import canonical_uri
from lineage.merge import ActionState, ArtifactState
from lineage.queries.references import family_of
from lineage.queries.staleness.trained import (
    TRAIN,
    Made,
    alike,
    complete,
    trained,
    trainer,
    trainings,
    written,
)
from lineage.store.ports import ActionFilter, ArtifactFilter, Reader

RUNS = 200
"""The trainings of one controller that are looked at, the latest first."""
TRAINERS = 10
_NAMED = 200


@dataclass(frozen=True, slots=True)
class Sought:
    """What names a family: a model of it (URI, last part of one, or name), its trainer, or both."""

    model: str | None = None
    controller: str | None = None
    namespace: str | None = None
    cluster: str | None = None

    def __str__(self) -> str:
        parts = (f"{field.name} '{value}'" for field in fields(self)
                 if (value := getattr(self, field.name)))  # fmt: skip
        return ", ".join(parts)

    def calls(self, model: ArtifactState) -> bool:
        name = self.model
        return name is not None and (
            name in (model.name, model.uri)
            or model.uri == canonical_uri(name, "Model")
            or model.uri.endswith("/" + name)
        )

    def fits(self, action: ActionState) -> bool:
        named = self.cluster, self.namespace, self.controller
        return all(n in (None, found) for n, found in zip(named, trainer(action), strict=True))


@dataclass(frozen=True, slots=True)
class Family:
    """`runs`: the trainings of its trainers in any state, latest first. `made`: its models, and
    `others`: what those trainers made besides; latest last."""

    sought: Sought
    runs: tuple[ActionState, ...]
    made: tuple[Made, ...]
    others: tuple[Made, ...]

    def latest(self) -> Made | None:
        """The model trained last.

        Raises:
            BadRequest: that training made several, and nothing says which is meant.
        """
        if not self.made:
            return None
        last = [made for made in self.made if made.by.key == self.made[-1].by.key]
        if len({made.model.id for made in last}) > 1:
            last = [made for made in last if self.sought.calls(made.model)]
        if len({made.model.id for made in last}) != 1:
            names = ", ".join(sorted({made.model.uri for made in self.made[-3:]}))
            raise BadRequest(f"model: {self.sought} makes several at once; name one of {names}")
        return last[-1]


def find(reader: Reader, sought: Sought) -> Family:
    """The family that is meant; empty where nothing is called that.

    Raises:
        BadRequest: too little is said, or the models of several trainers fit.
    """
    if not (sought.model or sought.controller):
        raise BadRequest("model: say which family: model= (a URI or a name), controller=, or both")
    made = [one for one in trained(reader, _seeds(reader, sought)) if sought.fits(one.by)]
    trainers = sorted({trainer(one.by) for one in made})
    if sought.controller:
        runs = _runs(reader, sought, sought.controller, sought.namespace)
    else:
        runs = [
            run
            for who in trainers[:TRAINERS]
            for run in _runs(reader, sought, who[2], who[1])
            if trainer(run) == who
        ]
    runs.sort(key=lambda run: (-run.started, run.key))
    return _family(sought, runs, [*written(reader, filter(complete, runs)), *made])


def _runs(
    reader: Reader, sought: Sought, controller: str, namespace: str | None
) -> list[ActionState]:
    wanted = ActionFilter(type=TRAIN, controller=controller, namespace=namespace)
    return [run for run in trainings(reader, wanted, RUNS)[0] if sought.fits(run)]


def _family(sought: Sought, runs: Sequence[ActionState], made: Iterable[Made]) -> Family:
    everything = {(one.by.id, one.model.id): one for one in made}
    ordered = sorted(everything.values(), key=lambda one: one.order)
    named = [one for one in ordered if sought.calls(one.model)]
    own = [o for o in ordered if not sought.model or any(alike(o, one) for one in named)]
    trainers = sorted({trainer(one.by) for one in own})
    if len(trainers) > 1 and len({one.model.uri for one in own}) > 1:
        # A model of the cluster where things are tried out must not reach production.
        names = ", ".join("/".join(filter(None, one)) for one in trainers[:TRAINERS])
        raise BadRequest(
            f"controller: {sought} fits several trainers, {names}; "
            "say which by controller=, namespace= and cluster="
        )
    chosen = {one.order for one in own}
    others = [one for one in ordered if one.order not in chosen]
    return Family(sought, tuple(runs), tuple(own), tuple(others))


def _seeds(reader: Reader, sought: Sought) -> list[ArtifactState]:
    """The models with that URI, else with that name; those of a named trainer are found there."""
    if not sought.model:
        return []
    uri = family_of("model", sought.model, "Model")
    family = [one for one in reader.families([uri])[uri] if one.type == "Model"]
    if family or sought.controller:
        return family
    near = reader.artifacts(ArtifactFilter(type="Model", q=sought.model), None, _NAMED).items
    return [one for one in near if sought.calls(one)]
