"""A place inside YAML documents, and the values there. Pure; knows neither git nor Kubernetes.

    data["model_config.yaml"].orgs[name=kubeflow].automl_model

Steps are parted by dots; a name that holds dots goes into brackets and quotes. `[0]` is an
item of a list, `[*]` every item, `[name=kubeflow]` those that have this value. A text that
the path leads into is YAML itself, as the files in a ConfigMap are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from lineage.errors import BadRequest, LineageError

MAX_BYTES = 2**20
_STEP = re.compile(
    r"""(?P<dot>\.)?(?:(?P<name>[^.\[\]"'\s]+)
    | \[ (?: (?P<index>\d+|\*) | "(?P<double>[^"]+)" | '(?P<single>[^']+)'
           | (?P<key>[^=\]\s]+)=(?P<value>[^\]]+) ) \])""",
    re.VERBOSE,
)
# Scalars stay texts: `1.10` is a version and no number, `2020-10-05` a name and no date.
_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


class Unreadable(LineageError):
    """A file that cannot be read as YAML; says why."""


class Step(NamedTuple):
    """One step: into `key`, or to the items of a list whose `key` is `value`."""

    key: str
    value: str | None = None


Path = tuple[Step, ...]


def parse(text: str) -> Path:
    """A path from its text.

    Raises:
        BadRequest: it cannot be one; says from where on.
    """
    rest = text.strip().removeprefix("$").removeprefix(".")
    steps: list[Step] = []
    at = 0
    while at < len(rest):
        match = _STEP.match(rest, at)
        # Only names are parted by dots, and only from what stands before them.
        if match is None or bool(match["dot"]) != bool(match["name"] and at):
            raise BadRequest(
                f"the path '{text}' cannot be read from '{rest[at:]}' on; write one such as "
                'spec.model, images[0].newTag, orgs[name=kubeflow].model or data["a.yaml"]'
            )
        found = match.groupdict()
        plain = found["name"] or found["index"] or found["double"] or found["single"]
        steps.append(Step(plain) if plain else Step(found["key"], found["value"].strip("\"'")))
        at = match.end()
    if not steps:
        raise BadRequest("the path is empty; write one such as spec.model")
    return tuple(steps)


def documents(content: bytes) -> list[Any]:
    """The YAML documents of a file, every scalar as the text it is.

    Raises:
        Unreadable: binary, too large, or no YAML.
    """
    if len(content) > MAX_BYTES:
        raise Unreadable(f"is larger than {MAX_BYTES} bytes")
    if b"\0" in content:
        raise Unreadable("is a binary file")
    try:
        return list(yaml.load_all(content.decode("utf-8"), Loader=_LOADER))
    except UnicodeDecodeError as error:
        raise Unreadable("is no UTF-8 text") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise Unreadable(f"is not valid YAML{where}") from error
    except RecursionError as error:
        raise Unreadable("is nested too deeply") from error


def values(document: Any, path: Path) -> list[str]:
    """The texts at the path; none, one, or several where a step leads to several.

    Raises:
        Unreadable: a text on the way is no YAML, or something larger than a value is there.
    """
    found = list(_at(document, path))
    # A list in a list as well: a few lines of aliases would make a text of gigabytes.
    if any(isinstance(value, (dict, list)) for value in found):
        raise Unreadable("holds a mapping or lists at the path, no value; make the path longer")
    return [text for value in found if (text := str(value).strip()) not in ("", "null", "~")]


def _at(node: Any, path: Path) -> Iterator[Any]:
    if not path:
        yield from node if isinstance(node, list) else [node]
        return
    if isinstance(node, str):
        inner = [each for each in documents(node.encode()) if not isinstance(each, str)]
        for each in inner:
            yield from _at(each, path)
        return
    step, rest = path[0], path[1:]
    for child in _children(node, step):
        yield from _at(child, rest)


def _children(node: Any, step: Step) -> list[Any]:
    if isinstance(node, dict):
        return [node[step.key]] if step.value is None and step.key in node else []
    if not isinstance(node, list):
        return []
    if step.value is not None:
        return [n for n in node if isinstance(n, dict) and n.get(step.key) == step.value]
    if step.key == "*":
        return node
    return [node[int(step.key)]] if step.key.isdecimal() and int(step.key) < len(node) else []
