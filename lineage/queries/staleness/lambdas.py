"""The two needsSync lambdas: must the trainer act, must the deployer? Functions over a Reader.

A controller acts on every `true`, again and again, so no answer may feed itself: what a
training or a deploy would not change never asks for one, and a name that nothing has, while
others are trained, is an error and not a yes (docs/lambdas.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from lineage.errors import NotFound
from lineage.graph import ArtifactNode, action_node, artifact_node
from lineage.merge import ActionState, ArtifactState
from lineage.needs_sync import NeedsSync
from lineage.queries.references import family_of
from lineage.queries.serving.brought import brought
from lineage.queries.serving.deploys import Tracks
from lineage.queries.serving.timeline import Period, Run, Timeline, moments, timelines
from lineage.queries.staleness.behind import Behind
from lineage.queries.staleness.family import Family, Sought, find
from lineage.queries.staleness.reasons import Reason, news, was_live
from lineage.queries.staleness.spans import words
from lineage.queries.staleness.trained import TRAIN, Made, complete, outputs, same, trainings
from lineage.store.ports import ActionFilter, Reader
from lineage.times import iso

Against = Literal["committed", "live"]
DOMAIN = "lineage-without-dag.github.io/"
RECENT = 100
DEPLOYS = 200
"""The deploys of a slot that are looked at for a rollback, the latest ones."""


def needs_train(reader: Reader, now: int, sought: Sought, max_age: int, give_up: int) -> NeedsSync:
    """True if the latest training is older than `max_age`, or newer data or code appeared since
    it began; false while one runs, unless for longer than `give_up`: its recorder is gone. µs.

    Raises:
        NotFound: nothing is called that, while other things were trained.
        BadRequest: too little is said.
    """
    family = find(reader, sought)
    runs = family.runs or _around(reader, sought, now - max(max_age, give_up))
    for run in runs:
        if run.get("state") == "running" and now - run.started <= give_up:
            return _say(False, f"{_act(run)} has been training since {iso(run.started)}")
    last = _last(family)
    if last is None:
        return _first(family, runs)
    age = now - (last.ended or last.started)
    behind = Behind(reader, [last])
    # What was there when the last training began, the next one would leave unread as well.
    newer = [reason for reason in news(last, behind, now) if reason.at > last.started]
    texts = [reason.text for reason in newer]
    if age > max_age:
        texts.insert(0, f"it is over the limit of {words(max_age)}")
    else:
        texts = texts or [f"the limit is {words(max_age)}, and no newer data or code is known"]
    made = [one for one in family.made if one.by.key == last.key]
    what = (
        f"the latest model, {_label(made[-1].model)},"
        if made
        else f"{_act(last)} left no model and"
    )
    reason = f"{what} was trained {words(age)} ago: {'; '.join(texts)}"
    return _say(age > max_age or bool(newer), reason, facts=_facts(made, age, last, newer))


def needs_sync(
    reader: Reader, sought: Sought, slot: str, against: Against, parameter: str,
    version_parameter: str | None,
) -> NeedsSync:  # fmt: skip
    """True if the latest model of the family is not the one in the slot: in its tree (where
    nothing was ever committed: live) or, with `against="live"`, really live. A model that was
    there and was replaced stays out: somebody rolled it back.

    Raises:
        NotFound: nothing was ever deployed there, and the model is in another slot; or nobody
            recorded which model is in it.
        BadRequest: too little is said.
    """
    latest = find(reader, sought).latest()
    uri = family_of("slot", slot, "Deployment")
    if latest is None:
        return _say(False, f"no training of {sought} has completed, so there is nothing to deploy")
    model = latest.model
    given = {parameter: model.uri}
    if version_parameter is not None:
        given[version_parameter] = model.version or ""
    past = _timeline(reader, uri, against)
    if not past.periods and (elsewhere := _slots_of(reader, model) - {uri}):
        raise NotFound(
            f"slot: nothing was ever deployed to {uri}, while {_label(model)} is in "
            f"{', '.join(sorted(elsewhere)[:3])}; check the name, or deploy there once by hand"
        )
    present = [period for period in past.periods if period.until is None]
    observed = ", ".join(_mention(m) for period in present for m in period.models)
    needs, reason = _compare(latest, past, present)
    return _say(
        needs, reason, given, {"slot": uri, "wanted": _mention(model), "observed": observed}
    )


def _compare(latest: Made, past: Timeline, present: Sequence[Period]) -> tuple[bool, str]:
    name = _label(latest.model)
    if not past.periods:
        return True, f"nothing is in the slot yet; the latest model is {name}"
    if any(same(model, latest.model) for period in present for model in period.models):
        return False, f"the latest model, {name}, is in the slot already"
    if not present:
        gone = iso(past.periods[-1].until or past.periods[-1].since)
        return False, f"the slot was removed at {gone}; to bring it back, deploy {name} by hand"
    held = ", ".join(m.label for period in present for m in period.models)
    if not held:
        # Nor would it be known after the next deploy, so a yes would never end.
        raise NotFound(
            f"slot: nothing is known of the models in it; {present[0].action.name} recorded none "
            "among its inputs"
        )
    since = iso(max(period.since for period in present))
    if was_live(past.periods, latest):
        return False, (
            f"the latest model, {name}, was in the slot and was replaced by {held} at {since}; "
            "a rollback is not undone: it stays until a newer model is trained"
        )
    return True, f"the latest model is {name}, in the slot is {held} since {since}"


def _around(reader: Reader, sought: Sought, since: int) -> Sequence[ActionState]:
    """What was trained lately by anybody: where nothing is called that, it may be what is meant."""
    wanted = ActionFilter(type=TRAIN, namespace=sought.namespace, since=since)
    anybody = replace(sought, controller=None)
    return [run for run in trainings(reader, wanted, RECENT)[0] if anybody.fits(run)]


def _last(family: Family) -> ActionState | None:
    """The latest complete training of the family. One that recorded no model may have been
    one of it, and must count, or its trainer would be sent again and again."""
    if family.others and not family.made:
        return None
    wrote = {one.by.key for one in family.others} - {one.by.key for one in family.made}
    found = {one.by.key: one.by for one in family.made}
    found |= {run.key: run for run in family.runs if complete(run) and run.key not in wrote}
    return max(found.values(), key=lambda run: (run.started, run.key), default=None)


def _first(family: Family, runs: Iterable[ActionState]) -> NeedsSync:
    """No training is known to have made one of these."""
    ended = [run for run in runs if complete(run)]
    if not ended:
        return _say(True, f"no training of {family.sought} has completed yet")
    made = sorted({_label(one.model) for one in family.others})
    what = f"it made {', '.join(made[:3])}" if made else f"{_act(ended[0])} trained meanwhile"
    raise NotFound(
        f"no training of {family.sought} is known, while {what}; check the name, or name the "
        "trainer by controller= and namespace=; what is new there, train once by hand"
    )


def _timeline(reader: Reader, uri: str, against: Against) -> Timeline:
    """What the tree held, where it ever held anything and that is asked for; else what was live."""
    if against == "committed":
        tree = Tracks(reader, [uri], ("committed",), DEPLOYS).of(uri, ("committed",))
        if tree.deploys:
            models = brought(reader, tree.deploys)
            return Run(moments(tree), models, tree.whole).timeline(not tree.whole)
    return timelines(reader, [uri], DEPLOYS)[uri]


def _slots_of(reader: Reader, model: ArtifactState) -> set[str]:
    """The slots that a model was deployed to."""
    mentions = [one for one in reader.families([model.uri])[model.uri] if same(one, model)]
    read = reader.touching(sorted(one.id for one in mentions), "in")
    states = [state for some in read.values() for state in some if state.get("state") == "complete"]
    found = reader.artifacts_by_id(sorted({id_ for state in states for id_ in outputs(state)}))
    return {one.uri for one in found.values() if one.type == "Deployment"}


def _facts(
    made: Sequence[Made], age: int, last: ActionState, newer: Iterable[Reason]
) -> dict[str, str]:
    facts = {"age": words(age), "training": last.key}
    if made:
        facts["model"] = _mention(made[-1].model)
    for reason in newer:
        name = {"data": "data", "code": "commit"}[reason.kind]
        node = reason.newest
        facts.setdefault(name, f"{node.uri}@{node.version}" if node.version else node.uri)
    return facts


def _say(
    needs: bool,
    reason: str,
    parameters: dict[str, str] | None = None,
    facts: dict[str, str] | None = None,
) -> NeedsSync:
    notes = {"reason": reason, **(facts or {})}
    return NeedsSync(
        needs, parameters or {}, {DOMAIN + name: text for name, text in notes.items() if text}
    )


def _label(model: ArtifactState) -> str:
    return artifact_node(model).label


def _mention(model: ArtifactState | ArtifactNode) -> str:
    return f"{model.uri}@{model.version}" if model.version else model.uri


def _act(action: ActionState) -> str:
    node = action_node(action)
    return f"{node.name} of {node.controller}"
