"""The bill of materials of a model as CycloneDX 1.6 JSON (ML-BOM). Pure.

The subject is what was asked about; the components are all it was made from: data, code,
images, models. Metrics are told in the model's card. How it was made stands under
`formulation`, an action a workflow. https://cyclonedx.org/docs/1.6/json/
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from lineage import __version__
from lineage.errors import BadRequest
from lineage.formats import Detail, Format, to_json
from lineage.identity import is_digest
from lineage.times import iso

if TYPE_CHECKING:
    from lineage.graph import Graph
    from lineage.merge import ActionState

_TYPES = {"Model": "machine-learning-model", "Image": "container", "Deployment": "application",
          "Notebook": "file"}  # fmt: skip
_DATA = {"Dataset": "dataset", "Code": "source-code", "Config": "configuration"}
_ADDRESS = {"Code": "vcs", "Image": "distribution", "PullRequest": "issue-tracker"}
_HASHES = {"md5": "MD5", "sha1": "SHA-1", "sha256": "SHA-256", "sha384": "SHA-384",
           "sha512": "SHA-512"}  # fmt: skip
_TASKS = {"train": "build", "transform": "build", "evaluate": "test", "deploy": "deploy"}

Values = dict[str, Any]


def bill(graph: Graph, detail: Detail) -> bytes:
    """The whole document. Its serial number is a hash of the rest: the same bill, the same."""
    parts = _Parts(graph, detail)
    subject = parts.subject()
    below = parts.upstream(subject)
    components = [parts.component(id_) for id_ in below if id_ in detail.artifacts]
    document: Values = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": parts.component(subject),
            "tools": {"components": [
                {"type": "application", "name": "lineage-without-dag", "version": __version__}
            ]},
        },
        "components": components,
        "dependencies": [
            {"ref": id_, "dependsOn": parts.made_from(id_)}
            for id_ in (subject, *below) if id_ in detail.artifacts
        ],
    }  # fmt: skip
    if workflows := [parts.workflow(id_) for id_ in below if id_ in detail.actions]:
        document["formulation"] = [{"workflows": workflows}]
    if graph.truncated:
        document["compositions"] = [{"aggregate": "incomplete", "dependencies": [subject]}]
    serial = uuid.uuid5(uuid.NAMESPACE_OID, to_json(document).decode())
    return to_json({**document, "serialNumber": f"urn:uuid:{serial}"}, indent=2)


class _Parts:
    """A graph read for its parts: what each thing was made from, and by which action."""

    def __init__(self, graph: Graph, detail: Detail) -> None:
        self._graph = graph
        self._actions = {i: a for i, a in detail.actions.items() if i in graph.nodes}
        self._artifacts = {i: a for i, a in detail.artifacts.items() if i in graph.nodes}
        self._known, self._measured = detail.artifacts, detail.measured
        self._before: dict[str, set[str]] = defaultdict(set)
        self._made_by: dict[str, dict[str, ActionState]] = defaultdict(dict)
        for state in self._actions.values():
            for out in state.edges:
                if out.side == "out":
                    self._made_by[out.artifact][state.id] = state
        for edge in graph.edges:
            self._before[edge.target].add(edge.source)
            if edge.kind == "same content":
                self._before[edge.source].add(edge.target)

    def subject(self) -> str:
        """The one artifact the bill is about. Of several versions it is the one made last and
        not merely claimed; of an action's outputs a model or a deployment comes first."""
        asked = [id_ for id_ in self._graph.of if id_ in self._artifacts]
        actions = [self._actions[id_] for id_ in self._graph.of if id_ in self._actions]
        asked += [e.artifact for a in actions for e in a.edges if e.side == "out"]
        asked = [id_ for id_ in asked if id_ in self._artifacts]
        if not asked:
            raise BadRequest("cyclonedx: a bill is about an artifact; name a model or a deployment")
        return max(asked, key=self._rank)

    def upstream(self, subject: str) -> list[str]:
        """The ids of all it was made from and by, itself left out, in an order of their own."""
        found, frontier = {subject}, [subject]
        while frontier:
            new = self._before[frontier.pop()] - found
            found |= new
            frontier += new
        return sorted(found - {subject}, key=self._order)

    def made_from(self, id_: str) -> list[str]:
        producers = [before for before in self._before[id_] if before in self._actions]
        copies = {before for before in self._before[id_] if before in self._artifacts}
        inputs = {source for producer in producers for source in self._before[producer]}
        return sorted((inputs | copies) - {id_})

    def component(self, id_: str) -> Values:
        state = self._artifacts[id_]
        out: Values = {
            "bom-ref": id_,
            "type": _TYPES.get(state.type, "data"),
            "name": self._graph.nodes[id_].json()["name"],
            "properties": _properties(
                {"uri": state.uri, "type": state.type}, {"property": state.properties}
            ),
        }
        if state.version:
            out["version"] = state.version
        algorithm, _, digits = (state.version or "").partition(":")
        if is_digest(state.version) and algorithm in _HASHES:
            out["hashes"] = [{"alg": _HASHES[algorithm], "content": digits}]
        if out["type"] == "data":
            contents = {"contents": {"url": _url(state.uri)}} if "://" in state.uri else {}
            out["data"] = [{"type": _DATA.get(state.type, "other"), **contents}]
        if state.type in _ADDRESS and "://" in state.uri:
            out["externalReferences"] = [{"type": _ADDRESS[state.type], "url": _url(state.uri)}]
        if state.type == "Model":
            out["modelCard"] = self._card(id_)
        return out

    def workflow(self, id_: str) -> Values:
        state = self._actions[id_]
        outputs = sorted({e.artifact for e in state.edges if e.side == "out"} & self._listed)
        resources = [{"resource": {"ref": one}} for one in sorted(self._before[id_])]
        params = [{"name": n, "value": _text(v)} for n, v in _group(state, "params")]
        said = {name: state.get(name) for name in ("key", "type", "state", "by", "error")}
        said["controller"] = "/".join(state.get("controller") or ())
        out: Values = {
            "bom-ref": id_,
            "uid": state.key,
            "name": state.get("name") or state.key,
            "taskTypes": [_TASKS.get(state.get("type") or "", "other")],
            "inputs": [*resources, *([{"parameters": params}] if params else [])],
            "outputs": [{"type": "artifact", "resource": {"ref": one}} for one in outputs],
            "properties": _properties({**said, "key": state.key}, {}),
        }
        for name, field in (("timeStart", "started_at"), ("timeEnd", "ended_at")):
            if (moment := state.get(field)) is not None:
                out[name] = iso(moment)
        return out

    def _card(self, id_: str) -> Values:
        """What is known of a model: the data it was trained on, its metrics, its parameters."""
        makers = self._made_by[id_].values()
        inputs = {source for maker in makers for source in self._before[maker.id]}
        data = sorted(i for i in inputs if self._artifacts[i].type == "Dataset")
        card: Values = {}
        if data:
            card["modelParameters"] = {"datasets": [{"ref": one} for one in data]}
        if metrics := self._metrics([*makers, *self._measured.get(id_, ())]):
            card["quantitativeAnalysis"] = {"performanceMetrics": metrics}
        params = {n: v for maker in makers for n, v in _group(maker, "params")}
        if params:
            card["properties"] = _properties({}, {"param": params})
        return card

    def _metrics(self, actions: Iterable[ActionState]) -> list[Values]:
        """Numbers in the metrics that these actions wrote; `area.precision` is the precision of
        the slice `area`."""
        written = {
            e.artifact for a in actions for e in a.edges
            if e.side == "out" and e.artifact in self._known
            and self._known[e.artifact].type.endswith("Metrics")
        }  # fmt: skip
        found = []
        for id_ in sorted(written, key=lambda one: self._known[one].uri):
            for name, value in sorted(self._known[id_].properties.items()):
                if isinstance(value, (int, float)) and not isinstance(value, bool):
                    slice_, _, type_ = name.rpartition(".")
                    metric = {"type": type_, "value": _text(value)}
                    found.append({**metric, "slice": slice_} if slice_ else metric)
        return found

    @cached_property
    def _listed(self) -> set[str]:
        """What the bill holds: a workflow may name nothing else."""
        subject = self.subject()
        return {subject, *self.upstream(subject)} & self._artifacts.keys()

    def _rank(self, id_: str) -> tuple[bool, bool, int, str]:
        known = [
            (edge.evidence != "claimed", state.ended or state.started)
            for state in self._made_by[id_].values() if state.get("state") in (None, "complete")
            for edge in state.edges if edge.side == "out" and edge.artifact == id_
        ]  # fmt: skip
        told, made = max(known, default=(False, -1))
        return self._artifacts[id_].type in ("Model", "Deployment"), told, made, id_

    def _order(self, id_: str) -> tuple[str, ...]:
        if id_ in self._artifacts:
            state = self._artifacts[id_]
            return ("", state.type, state.uri, state.version or "", id_)
        return ("~", self._actions[id_].key)


def _group(state: ActionState, group: str) -> list[tuple[str, Any]]:
    prefix = group + "."
    fields = sorted(state.fields.items())
    return [(n[len(prefix) :], v) for n, (_, v) in fields if n.startswith(prefix)]


def _properties(said: Mapping[str, Any], groups: Mapping[str, Mapping[str, Any]]) -> list[Values]:
    """CycloneDX's own way for what it has no field for: names in a namespace, values as text."""
    pairs = [(f"lineage:{name}", value) for name, value in said.items() if value]
    for group, values in groups.items():
        pairs += [(f"lineage:{group}:{name}", value) for name, value in sorted(values.items())]
    return [{"name": name, "value": _text(value)} for name, value in pairs]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _url(uri: str) -> str:
    """As RFC 3987 wants it: what may not stand in a URI is encoded, what is, stays."""
    return quote(uri, safe=":/?#[]@!$&'()*+,;=%~")


FORMAT = Format(
    name="cyclonedx",
    media="application/vnd.cyclonedx+json; version=1.6",
    suffixes=(".cdx.json", ".bom.json"),
    says="the bill of materials of a model (ML-BOM): data, code, images, metrics",
    graph=bill,
)
