"""How a thing is called on a page: a title to read, a chip to tell its versions apart. Pure."""

from __future__ import annotations

import re

from lineage.graph import ActionNode, ArtifactNode
from ui import kinds, words

_DIGITS = re.compile(r"\d+\Z")


def title(node: ArtifactNode) -> str:
    """`GitHub issues`, `label-bot-worker`, `kubeflow/code-intelligence`, `#194`."""
    if node.name:
        return words.clean(node.name)
    if kinds.kind(node.type).slug == "code":
        return words.clean("/".join(node.uri.rstrip("/").rsplit("/", 2)[-2:]))
    label = words.clean(node.label)
    is_request = kinds.kind(node.type).slug == "pullrequest" and _DIGITS.match(label)
    return f"#{label}" if is_request else label


def chip(node: ArtifactNode, most: int = 18) -> str:
    """The version; of a named thing without one, what ends its URI."""
    if node.version:
        return words.version(node.version, most)
    end = tail(node)
    return "" if end in (title(node), title(node).removeprefix("#")) else words.middle(end, most)


def tail(node: ArtifactNode) -> str:
    """What ends the URI: `TCN4131157655647420416`."""
    path = node.uri.partition("#")[2] or node.uri.partition("?")[0]
    return words.clean(path.rstrip("/").rpartition("/")[2] or node.uri)


def short(node: ArtifactNode) -> str:
    """One word for the version in a sentence: `TCN4131…420416`, `m-0042`, `sha256:8be1…77`."""
    if node.version and node.version.startswith("mlmd:") and node.name:
        return words.clean(node.name)  # the number of another tool's node tells nobody anything
    return words.version(node.version) if node.version else words.middle(tail(node))


def act(node: ActionNode) -> str:
    return words.clean(f"{node.type} {node.name}")


def who(node: ActionNode) -> str:
    """The controller in a narrow place: the last part of its name."""
    name = words.clean(node.controller)
    return name.rstrip("/").rpartition("/")[2] or name


def mention(node: ArtifactNode) -> str:
    """In running text: `pull request #194`, `model TCN4131…420416`."""
    kind = kinds.kind(node.type)
    called = title(node) if kind.slug in ("pullrequest", "slot") else short(node)
    return f"{kind.word} {called}"
