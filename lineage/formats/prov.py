"""A graph as W3C PROV, serialised as PROV-JSON. Pure.

Artifacts are entities, actions activities; controllers and whoever acted through them are
agents. An inferred edge is a `used` that says `lineage:inferred`, the same content under two
names is `alternateOf`. https://www.w3.org/TR/prov-dm/, https://www.w3.org/submissions/prov-json/
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from lineage.formats import Detail, Format, to_json
from lineage.times import iso

if TYPE_CHECKING:
    from lineage.graph import Edge, Graph
    from lineage.merge import ActionState, ArtifactState

_NAMES = ("action", "artifact", "account", "controller", "link", "param", "property")
_PREFIXES = {"lineage": "urn:x-lineage:", **{n: f"urn:x-lineage:{n}:" for n in _NAMES}}
_FOUND = {"started_at": "prov:startTime", "ended_at": "prov:endTime"}
_SAID = ("key", "state", "parent", "error")

Values = dict[str, Any]
Document = defaultdict[str, Values]


def prov(graph: Graph, detail: Detail) -> bytes:
    """The document; relations are numbered in the order of the graph's edges."""
    document: Document = defaultdict(dict)
    document["prefix"] = dict(_PREFIXES)
    for id_ in graph.nodes:
        if id_ in detail.actions:
            _activity(document, detail.actions[id_])
        elif id_ in detail.artifacts:
            document["entity"][f"artifact:{id_}"] = _entity(detail.artifacts[id_])
    for edge in graph.edges:
        _relation(document, edge, detail)
    if graph.truncated:
        # Nothing is cut silently, and PROV has no word for it.
        note = "there is more than the limit let through"
        document["entity"]["lineage:answer"] = {"prov:label": note, "lineage:truncated": _is(True)}
    return to_json(document, indent=2)


def _entity(state: ArtifactState) -> Values:
    said = {"uri": state.uri, "version": state.version, "name": state.name}
    return {
        "prov:label": f"{state.uri}@{state.version}" if state.version else state.uri,
        "prov:type": _name(f"lineage:{_local(state.type)}"),
        **{f"lineage:{name}": value for name, value in said.items() if value},
        **{f"property:{_local(n)}": _is(v) for n, v in sorted(state.properties.items())},
        **({"lineage:alias": sorted(state.aliases)} if state.aliases else {}),
    }


def _activity(document: Document, state: ActionState) -> None:
    me = f"action:{state.id}"
    said: Values = {"prov:label": state.get("name") or state.key}
    said["prov:type"] = _name(f"lineage:{_local(state.get('type') or 'process')}")
    for field, name in _FOUND.items():
        if (moment := state.get(field)) is not None:
            said[name] = iso(moment)
    said |= {f"lineage:{n}": v for n in _SAID if (v := state.key if n == "key" else state.get(n))}
    for field, (_, value) in sorted(state.fields.items()):
        group, _, name = field.partition(".")
        if group in ("params", "links") and name:
            said[f"{group[:-1]}:{_local(name)}"] = _is(value)
    document["activity"][me] = said
    controller = "/".join(state.get("controller") or ("", "", "unknown"))
    agents = {f"controller:{_local(controller)}": (controller, "prov:SoftwareAgent")}
    if by := state.get("by"):
        agents[f"account:{_local(by)}"] = (by, "prov:Agent")
    for agent, (label, type_) in agents.items():
        document["agent"][agent] = {"prov:label": label, "prov:type": _name(type_)}
        relation = {"prov:activity": me, "prov:agent": agent, "prov:role": agent.partition(":")[0]}
        _add(document["wasAssociatedWith"], relation)


def _relation(document: Document, edge: Edge, detail: Detail) -> None:
    ends = [
        f"{'action' if id_ in detail.actions else 'artifact'}:{id_}"
        for id_ in (edge.source, edge.target)
    ]
    said: Values = {"prov:role": edge.role} if edge.role else {}
    if edge.evidence:
        said["lineage:evidence"] = list(edge.evidence)
    if edge.kind == "inferred":
        said["lineage:inferred"] = _is(True)
    if edge.target in detail.actions:
        _add(document["used"], {"prov:activity": ends[1], "prov:entity": ends[0], **said})
    elif edge.source in detail.actions:
        if (moment := detail.actions[edge.source].get("ended_at")) is not None:
            said["prov:time"] = iso(moment)
        made = {"prov:entity": ends[1], "prov:activity": ends[0], **said}
        _add(document["wasGeneratedBy"], made)
    else:
        same = {"prov:alternate1": ends[0], "prov:alternate2": ends[1]}
        _add(document["alternateOf"], same)


def _add(relations: Values, relation: Values) -> None:
    kind = next(iter(relation)).removeprefix("prov:")
    relations[f"_:{kind}{len(relations) + 1}"] = relation


def _name(qualified: str) -> Values:
    return {"$": qualified, "type": "prov:QUALIFIED_NAME"}


def _is(value: Any) -> Any:
    """A literal with its type; numbers and truth values would lose theirs as JSON."""
    if isinstance(value, bool):
        return {"$": "true" if value else "false", "type": "xsd:boolean"}
    if isinstance(value, int):
        return {"$": str(value), "type": "xsd:long"}
    if isinstance(value, float):
        return {"$": repr(value), "type": "xsd:double"}
    return value


def _local(text: str) -> str:
    """Any text as the local part of a qualified name (PROV-N, 3.7.1)."""
    quoted = quote(text, safe="")
    first, last = quoted[:1], quoted[1:][-1:]
    inner = quoted[1:-1] if last else ""
    return "".join(
        f"%{ord(part):02X}" if part in ("-", ".") else part for part in (first, inner, last)
    )


FORMAT = Format(
    name="prov",
    media="application/json",
    suffixes=(".prov.json",),
    says="W3C PROV as PROV-JSON: entities, activities, agents",
    graph=prov,
)
