"""What the routes answer, as JSON schemas: the part of the OpenAPI document that says what comes back.

Answers are plain dicts on their way to the wire, so nothing derives these; the fuzz test
(tests/test_fuzz_api.py) holds every answer against them. Each leaf has an example, and the
example of an answer is put together from those of its parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _text(example: str, *values: str) -> Schema:
    return {"type": "string", **({"enum": list(values)} if values else {}), "examples": [example]}


def _maybe(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _map(values: Schema) -> Schema:
    return {"type": "object", "additionalProperties": values}


def _object(always: Mapping[str, Schema], **sometimes: Schema) -> Schema:
    """An object with these members and no other."""
    return {
        "type": "object",
        "required": list(always),
        "properties": {**always, **sometimes},
        "additionalProperties": False,
    }


def _page(items: Schema) -> Schema:
    return _object({"items": _list(items), "cursor": CURSOR})


ID: Schema = {"type": "string", "pattern": "^[0-9a-f]{32}$",
              "examples": ["48e5840457a342c029bed93ba834bfdd"]}  # fmt: skip
NAME = _text("labelbot-train-1a2b3")
WORD = _text("")
URI = _text("projects/p/locations/us-central1/models/TCN1")
SLOT = _text("k8s://prod/label-bot/Deployment/worker")
KEY = _text("tekton.dev/PipelineRun/8416892d-5897-45a0-8dd9-f877f3b0db2b")
TIME: Schema = {"type": "string", "format": "date-time", "examples": ["2020-07-23T17:45:27Z"]}
CURSOR = _maybe({"type": "string", "description": "leads to the next page; null on the last"})
COUNT: Schema = {"type": "integer", "minimum": 0, "examples": [1]}
NUMBER: Schema = {"type": "number", "examples": [0.9]}
YES: Schema = {"type": "boolean", "examples": [True]}
NO: Schema = {"type": "boolean", "examples": [False]}
SCALAR: Schema = {"type": ["string", "number", "boolean"], "examples": [0.9]}
STATE = _text("complete", "running", "complete", "failed", "canceled", "unknown")
EVIDENCE = _text("observed", "claimed", "committed", "observed", "reported")
KIND = _text("Model")
ACT = _text("train")

ARTIFACT = {"kind": _text("artifact", "artifact"), "id": ID, "type": KIND, "name": WORD,
            "uri": URI, "version": _maybe(_text("3"))}  # fmt: skip
ACTION = {"kind": _text("action", "action"), "id": ID, "key": KEY, "type": ACT, "name": NAME,
          "controller": ref("Who"), "state": STATE, "started_at": TIME,
          "ended_at": _maybe(TIME)}  # fmt: skip
THING, DEED = ref("ArtifactNode"), ref("ActionNode")
MAYBE_DEED = _maybe(DEED)
NODE = {"anyOf": [THING, DEED]}
PLACE = {"slot": SLOT, "cluster": WORD, "namespace": WORD, "kind": WORD, "name": WORD}
AS_OF = {"as_of": _maybe(TIME)}
WHAT_ELSE: Schema = {"description": "a text, a number, true or false, a node, or null"}
FAILURE = _object({"at": WORD, "message": WORD})
OUTCOME = _text("created", "created", "merged", "unchanged")
SOME = {"count": COUNT, "items": _list({"anyOf": [_object({**ARTIFACT, "claimed": NO}),
                                                 _object({**ACTION, "claimed": NO})]})}  # fmt: skip
TYPED = _list(_object({"type": WORD, **SOME}))
HEAD = _object({"ref": WORD, "kind": _text("slot", "artifact", "action", "slot"),
                "at": _maybe(TIME), "node": NODE, "since": _maybe(TIME), "until": _maybe(TIME),
                "action": MAYBE_DEED, "models": _list(THING)})  # fmt: skip
PASSES = ("taken", "running", "failed", "waiting", "skipped")
PASSED = _text("taken", *PASSES)
REACHED = _text("made", *PASSES, "made", "nothing")

EVENT = _object({"event": _text("recorded", "recorded", "lost"), "data": {
    "type": "string", "contentMediaType": "application/json",
    "description": "of `recorded` an ActionNode, of `lost` words for a person",
}}, id=_text("1764000000123-42"))  # fmt: skip
SCHEMAS: dict[str, Schema] = {
    "Who": _object({"cluster": WORD, "namespace": WORD, "name": NAME}),
    "ArtifactNode": _object(ARTIFACT),
    "ActionNode": _object(ACTION),
    "Recorded": _object({"id": ID, "key": KEY, "outcome": OUTCOME}),
    "Verdicts": _object({
        "received": COUNT, "created": COUNT, "merged": COUNT, "unchanged": COUNT, "failed": COUNT,
        "results": _list(_object(
            {"index": COUNT, "key": _maybe(KEY), "id": _maybe(ID),
             "status": {"type": "integer", "examples": [201]}, "outcome": _maybe(OUTCOME)},
            error=_object({"detail": WORD, "errors": _list(FAILURE)}),
        )),
    }),
    "EventVerdicts": _object({
        "status": _text("success", "success", "partial_success", "failure"),
        "summary": _object({"received": COUNT, "successful": COUNT, "failed": COUNT,
                            "retriable": COUNT, "non_retriable": COUNT}),
        "failed_events": _list(_object({"index": COUNT, "reason": WORD, "retriable": NO})),
    }),
    "RawEvents": _object({"items": _list({"type": "object"}), "after": _maybe(COUNT),
                          "removed": COUNT}),
    "Mention": _object({"id": ID, "type": KIND, "uri": URI}, version=WORD, role=WORD, name=WORD,
                       evidence=EVIDENCE, properties=_map(SCALAR), aliases=_list(WORD)),
    "RecordedAction": _object(
        {"id": ID, "key": KEY, "type": ACT, "controller": ref("Who"), "reported_at": TIME,
         "inputs": _list(ref("Mention")), "outputs": _list(ref("Mention"))},
        name=WORD, state=STATE, parent=WORD, by=WORD, error=WORD, started_at=TIME, ended_at=TIME,
        code=_object({}, repo=WORD, commit=WORD, path=WORD, image=WORD, dirty=NO),
        trigger=_object({}, wanted=WORD, observed=WORD, reason=WORD),
        params=_map(SCALAR), links=_map(WORD),
    ),
    "Artifact": _object({"id": ID, "type": KIND, "uri": URI, "version": _maybe(WORD),
                         "name": _maybe(WORD), "properties": _map(SCALAR),
                         "aliases": _list(WORD)}),
    "Actions": _page(ref("RecordedAction")),
    "Artifacts": _page(ref("Artifact")),
    "Controllers": _page(_object({"cluster": WORD, "namespace": WORD, "name": NAME,
                                  "actions": COUNT})),
    "Formats": _object({"items": _list(_object(
        {"name": _text("ndjson"), "media": _text("application/x-ndjson"),
         "suffixes": _list(_text(".ndjson")), "says": WORD, "graph": YES, "store": YES,
         "import": YES}))}),
    "Graph": _object({
        "of": _list(ID), "direction": _text("both", "upstream", "downstream", "both"),
        "depth": _maybe(COUNT), "truncated": NO, "nodes": _list(NODE),
        "edges": _list(_object({
            "source": ID, "target": ID, "role": WORD, "evidence": _list(EVIDENCE),
            "kind": _text("recorded", "recorded", "inferred", "same content")})),
    }),
    "Slot": _object({
        **PLACE, "status": _text("agree", "agree", "disagree", "unknown origin"), "since": TIME,
        "evidence": EVIDENCE, "traffic": _maybe(NUMBER), "deployment": THING, "action": DEED,
        "models": _list(THING), "code": _list(THING), "trained_by": _list(DEED),
        "claims": _list(_object({"at": TIME, "agrees": YES, "action": DEED,
                                 "models": _list(THING)})),
        "agreement": _list(_object({"evidence": EVIDENCE, "agrees": YES, "since": TIME,
                                    "models": _list(THING), "deployment": _maybe(THING),
                                    "action": DEED})),
    }),
    "Live": _object({**AS_OF, "slots": _list(ref("Slot")), "truncated": NO, "cursor": CURSOR}),
    "History": _object({
        **AS_OF, "slot": SLOT, "truncated": NO, "cursor": CURSOR,
        "periods": _list(_object({
            "since": TIME, "until": _maybe(TIME), "deployment": _maybe(THING),
            "models": _list(THING), "action": DEED, "evidence": _maybe(WORD),
            "traffic": _maybe(NUMBER), "rollback": NO,
            "back_to": _maybe(_object({"since": TIME, "until": TIME}))})),
    }),
    "Impact": _object({
        **AS_OF, "ref": WORD, "of": _object(SOME), "truncated": NO, "models": _object(SOME),
        "artifacts": TYPED, "actions": TYPED,
        "slots": _list(_object({
            **PLACE, "serving": YES, "claimed": NO,
            "periods": _list(_object({"since": TIME, "until": _maybe(TIME), "claimed": NO,
                                      "deployment": THING, "action": DEED,
                                      "models": _list(THING)})),
            "path": _list(_object({"kind": WORD, "id": ID, "type": WORD, "name": WORD,
                                   "edge": _maybe(WORD), "claimed": NO}))})),
    }),
    "Difference": _object(
        {"name": WORD, "a": WHAT_ELSE, "b": WHAT_ELSE},
        delta=NUMBER, relative=NUMBER, of=WORD, link=WORD,
        properties=_list(ref("Difference")),
        refs=_object({"a": _maybe(ID), "b": _maybe(ID)}),
    ),
    "Diff": _object({
        **AS_OF, "a": HEAD, "b": HEAD, "same": NO, "truncated": NO,
        "sections": _list(_object({"section": _text("params"), "same": COUNT,
                                   "items": _list(ref("Difference"))})),
    }),
    "Stale": _object({
        "as_of": TIME, "truncated": NO, "cursor": CURSOR,
        "slots": _list(_object({
            "slot": SLOT, "status": _text("stale", "fresh", "stale", "unknown"),
            "since": _maybe(TIME), "live_since": TIME, "truncated": NO,
            "models": _list(THING), "trained_by": _list(DEED),
            "reasons": _list(_object({
                "kind": _text("data", "model", "data", "code", "age"), "reason": WORD,
                "versions": COUNT, "since": TIME, "at": TIME, "used": THING, "newest": THING,
                "by": DEED, "rolled_back": NO}))})),
    }),
    "Flow": _object({
        **AS_OF, "window": COUNT, "truncated": NO,
        "controllers": _list(_object({
            "controller": ref("Who"), "actions": COUNT, "parts": COUNT, "types": _map(COUNT),
            "states": _map(COUNT), "per_day": _maybe(NUMBER), "since": _maybe(TIME),
            "truncated": NO, "last": MAYBE_DEED, "last_success": MAYBE_DEED,
            "last_failure": MAYBE_DEED})),
        "edges": _list(_object({
            "source": ref("Who"), "target": ref("Who"), "type": WORD, "role": WORD,
            "counts": _map(COUNT), "last_taken": MAYBE_DEED, "waiting_since": _maybe(TIME),
            "lag_seconds": _maybe(NUMBER), "truncated": NO,
            "passes": _list(_object({"index": COUNT, "state": PASSED, "artifacts": _list(THING),
                                     "at": TIME, "from": DEED, "by": MAYBE_DEED}))})),
        "chains": _list(_object({
            "controllers": _list(ref("Who")), "passes": COUNT, "arrived": COUNT, "truncated": NO,
            "rows": _list(_object({"index": COUNT, "cells": _list(_object({
                "state": REACHED, "since": TIME, "action": MAYBE_DEED,
                "artifacts": _list(THING)}))}))})),
    }),
    "Found": _object({
        "truncated": NO, "behind": COUNT,
        "items": _list(_object(
            {"kind": _text("action", "action", "artifact"), "id": ID, "type": WORD, "name": WORD,
             "version": _maybe(WORD), "state": _maybe(STATE), "when": _maybe(TIME),
             "matches": _list(_object({"field": WORD, "text": WORD, "cut": NO,
                                       "spans": _list(_list(COUNT))}))},
            key=KEY, uri=URI)),
    }),
    "Stats": _object({
        "actions": _object({"total": COUNT, "types": _map(_map(COUNT))}),
        "artifacts": _object({"total": COUNT, "types": _map(COUNT)}),
        "controllers": COUNT, "slots": COUNT, "first": _maybe(TIME), "last": _maybe(TIME),
        "store_bytes": _maybe(COUNT),
        "index": _object({"status": _text("ready", "ready", "building", "absent"),
                          "behind": COUNT, "bytes": _maybe(COUNT), "trouble": _maybe(WORD)}),
    }),
    "Reindexing": _object({"behind": COUNT}),
    "Status": _object({"status": _text("ok", "ok", "ready")}),
}  # fmt: skip
SCHEMAS["GraphAsJson"] = {"anyOf": [ref("Graph"), {
    "type": ["object", "array"], "description": "with `format`: as prov, openlineage or slsa have it",
}]}  # fmt: skip
SCHEMAS["ArtifactBeside"] = _object({
    **SCHEMAS["Artifact"]["properties"], "produced_by": _list(DEED), "read_by": _list(DEED)
})  # fmt: skip


def example(schema: Schema) -> Any:
    """The example of an answer, from those of its parts; what may be left out is."""
    if "$ref" in schema:
        return example(SCHEMAS[schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        return example(schema["anyOf"][0])
    if schema.get("type") == "array":
        return [example(schema["items"])]
    if schema.get("type") == "object" and "examples" not in schema:
        return {name: example(schema["properties"][name]) for name in schema.get("required", ())}
    return schema.get("examples", [None])[0]
