"""Examples and schemas for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lineage.api import answers
from lineage.model import Action

TRAIN: dict[str, Any] = {
    "key": "tekton.dev/PipelineRun/8416892d-5897-45a0-8dd9-f877f3b0db2b",
    "type": "train",
    "name": "labelbot-train-1a2b3",
    "controller": {"cluster": "prod", "namespace": "label-bot", "name": "modelsync/labelbot-train"},
    "state": "complete",
    "started_at": "2020-07-23T17:45:27Z",
    "ended_at": "2020-07-23T19:02:11Z",
    "reported_at": "2020-07-23T19:02:12.5Z",
    "code": {
        "repo": "https://github.com/kubeflow/code-intelligence",
        "commit": "faeb65757214ac93259f417b81e9e2fedafaebda",
        "path": "Label_Microservice/notebooks/automl.ipynb",
    },
    "inputs": [
        {"type": "Dataset", "uri": "gs://issues/dataset.csv", "version": "sha256:" + "c5" * 32,
         "role": "issues"}
    ],
    "outputs": [
        {"type": "Model", "uri": "projects/p/locations/us-central1/models/TCN1", "role": "model"}
    ],
    "params": {"max_age_days": "30"},
    "trigger": {"reason": "latest model is 25h old, limit 24h"},
}  # fmt: skip
BODY = {k: v for k, v in TRAIN.items() if k != "key"}

ACTION_REF = "#/components/schemas/Action"
REPORT_REF = "#/components/schemas/Report"
"""An action whose key stands in the URL."""
PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "errors"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["at", "message"],
                "properties": {"at": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that can answer with these problems."""
    words = {400: "The request is not valid", 401: "A token is needed",
             403: "Not allowed here", 404: "Nothing has that name",
             413: "The body is too large", 422: "The record is not valid",
             429: "Asked too often; try again later",
             500: "Internal error", 503: "The store is not available; try again",
             507: "The disk of the store is full"}  # fmt: skip
    return {status: {"description": words[status], "content": {"application/problem+json": {
        "schema": answers.ref("Problem"),
        "example": {"type": "about:blank", "title": words[status], "status": status,
                    "detail": "what is wrong, where, and what to do", "errors": []},
    }}} for status in statuses}  # fmt: skip


def answered(
    name: str, *statuses: int, status: int = 200, also: Sequence[str] = (), says: str = "The answer"
) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route: one of `answers.SCHEMAS`, or as one of the media types of
    `also`; otherwise one of these problems, or that the store does not answer."""
    schema = answers.ref(name)
    content: dict[str, Any] = {
        "application/json": {"schema": schema, "example": answers.example(schema)}
    }
    content |= {
        media: {"schema": {} if "json" in media else {"type": "string"}}
        for media in also
        if media not in content
    }
    return {status: {"description": says, "content": content}, **problems(*statuses, 503)}


def json_body(*content: tuple[str, dict[str, Any], Any]) -> dict[str, Any]:
    """An `openapi_extra` with a request body: (media type, schema, example)…"""
    kinds = {media: {"schema": schema, "example": example} for media, schema, example in content}
    return {"requestBody": {"required": True, "content": kinds}}


def components() -> dict[str, Any]:
    """Schemas that no route declares by itself, since records are parsed in one pass by hand."""
    schema = Action.model_json_schema(ref_template="#/components/schemas/{model}")
    out: dict[str, Any] = schema.pop("$defs", {})
    named = [name for name in schema["required"] if name != "key"]
    report = {**schema, "title": "Report", "required": named}
    return {**out, **answers.SCHEMAS, "Action": schema, "Report": report, "Problem": PROBLEM}
