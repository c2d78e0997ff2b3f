"""From the lambda's parameters to those of the run. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controllers_hooks.modelsync.spec import ModelSync, Problem
from controllers_hooks.observers.objects import items, text


@dataclass(frozen=True, slots=True)
class Mapped:
    """`values` of the pipeline's parameters; names the lambda gave that are `undeclared`;
    declared ones it did not give are `problems`."""

    values: dict[str, str]
    undeclared: tuple[str, ...]
    problems: tuple[Problem, ...]


def mapped(sync: ModelSync, given: Mapping[str, str], keep_placeholder: bool = False) -> Mapped:
    """Every declared parameter gets its value, and nothing else gets one.

    `keep_placeholder`: a value in the template will do where the lambda gives none, as it
    did in the original (it once ran its pipeline with `notavlidmodel`).
    """
    params = items(sync.template, "spec.params")
    placeholders = {text(one, "name") for one in params if "value" in one}
    values: dict[str, str] = {}
    problems: list[Problem] = []
    for number, (needs_sync_name, pipeline_name) in enumerate(sync.parameters):
        if needs_sync_name in given:
            values[pipeline_name] = given[needs_sync_name]
        elif not (keep_placeholder and pipeline_name in placeholders):
            problems.append(
                Problem(
                    f"spec.parameters[{number}]",
                    f"the lambda gives no {needs_sync_name!r} for {pipeline_name!r}; "
                    "let it give one, or remove the parameter",
                )
            )
    declared = {one.needs_sync_name for one in sync.parameters}
    return Mapped(values, tuple(sorted(given.keys() - declared)), tuple(problems))


def bound(template: list[dict[str, Any]], values: Mapping[str, str]) -> list[dict[str, Any]]:
    """The template's parameters with these values in their places, the rest behind."""
    placed = [
        {**one, "value": values[text(one, "name")]} if text(one, "name") in values else one
        for one in template
    ]
    names = {text(one, "name") for one in template}
    return placed + [{"name": n, "value": v} for n, v in values.items() if n not in names]
