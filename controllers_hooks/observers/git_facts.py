"""What a branch's commits say about a slot, as records. Pure: no repository, no clock.

Deployed is what the tree holds (`committed`); what a message says stands beside it
(`claimed`), and alone where the tree stayed as it was. The branch counts from the commit
on by which it holds a value, so a merged commit counts from its merge on.

Times grow along a branch: commits of one second, or of a clock that went back, are dated
1 µs after what came before them. Else "what came last" would be an accident.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from controllers_hooks.observers import yaml_path
from lineage.times import iso, microseconds

Record = dict[str, Any]

MAX_SUBJECT = 1_000
_YEAR_9999 = 253_402_300_799
_SQUASHED = re.compile(r"\(#(\d+)\)\s*$")
_MERGED = re.compile(r"(?:\(#|pull request #)(\d+)")


@dataclass(frozen=True, slots=True)
class Watch:
    """What is watched, and in whose name it is recorded."""

    repository: str
    """`https://host/owner/name`: in keys, links and as the code."""
    slot: str
    """Its canonical URI, which ends every key: names repeat, from cluster to cluster."""
    file: str
    """The file, or the folder that all watched files are in: the path of the code."""
    controller: Mapping[str, str]
    type: str = "Model"
    claims: re.Pattern[str] | None = None
    """What counts as a name in a message; None = whatever looks like the value."""

    @property
    def place(self) -> str:
        """`host/owner/name`."""
        return self.repository.partition("://")[2]

    def key(self, sha: str) -> str:
        return f"git/{self.place}/{sha}/{self.slot}"


class Commit(NamedTuple):
    """A commit of the branch; times in seconds, `merged` = subjects that a merge brought."""

    sha: str
    message: str
    author: str
    authored: int
    committed: int
    merged: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """The first paragraph on one line, as git shows it."""
        lines = self.message.strip().partition("\n\n")[0].replace("\0", " ").split()
        text = " ".join(lines)
        if len(text) <= MAX_SUBJECT:
            return text
        return f"{text[:MAX_SUBJECT]} … ({len(text)} characters in all)"


class Held(NamedTuple):
    """What a tree holds: the values, and the ConfigMaps they stand in."""

    values: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()


class Known(NamedTuple):
    """A commit that is recorded for the slot; `at` in µs."""

    sha: str
    at: int
    deploy: bool


class Force(NamedTuple):
    """The branch was moved off `old` to `new`; seen at `at` (µs)."""

    old: str
    new: str
    at: int


Steps = Iterable[tuple[Commit, Held]]


def held(
    files: Mapping[str, bytes], path: yaml_path.Path, slot: str
) -> tuple[Held | None, list[str]]:
    """What these files hold, and what could not be read; None = that cannot be known."""
    values: set[str] = set()
    configs: set[str] = set()
    troubles = []
    for name, content in sorted(files.items()):
        try:
            for document in yaml_path.documents(content):
                if found := yaml_path.values(document, path):
                    values.update(found)
                    configs.update(_configmap(document, slot))
        except yaml_path.Unreadable as error:
            troubles.append(f"{name} {error}")
    if troubles and not values:
        return None, troubles
    return Held(tuple(sorted(values)), tuple(sorted(configs))), troubles


def history(watch: Watch, steps: Steps, before: Held, floor: int) -> Iterator[Record]:
    """A record for each commit that changed what is held, or claims to. `floor` in µs: every
    record is later."""
    for commit, now in steps:
        names = claimed(watch, commit, before, now)
        if now != before:
            record = _deploy(watch, commit, now, names)
        elif names:
            record = _act(watch, commit, [(names[-1], "claimed")], ["claimed"])
        else:
            continue
        floor = max(min(max(commit.committed, 0), _YEAR_9999) * 1_000_000, floor + 1)
        yield _dated(record, floor, commit)
        before = now


def after_force(watch: Watch, steps: Sequence[tuple[Commit, Held]], before: Held,
                tip: tuple[Commit, Held], force: Force) -> list[Record]:  # fmt: skip
    """The records of a force-push: what the branch holds now, dated when that was seen.

    Of several changes only the last one: the branch never held the others alone. Where no
    new commit changed anything, the move itself is the deploy.
    """
    last = -1
    for number, (_, now) in enumerate(steps):
        if now != (steps[number - 1][1] if number else before):
            last = number
    reason = f"force-push: the branch was moved from {force.old} to {force.new}"
    trigger = {"wanted": force.new, "observed": force.old, "reason": reason}
    if last >= 0:
        start = steps[last - 1][1] if last else before
        records = list(history(watch, steps[last:], start, force.at - 1))
    else:
        commit, now = tip
        moved = _dated(_deploy(watch, commit, now, []), force.at, commit)
        # The same two commits may change places again, so the moment is part of the key.
        moved["key"] += f"/moved-{force.at}"
        records = [moved, *history(watch, steps, now, force.at)]
    records[0]["trigger"] = trigger
    return records


def recorded(watch: Watch, views: Iterable[Record]) -> list[Known]:
    """What the server knows of this slot from this repository."""
    out = []
    prefix = f"git/{watch.place}/"
    for view in views:
        sha, _, rest = view["key"].removeprefix(prefix).partition("/")
        if not view["key"].startswith(prefix) or rest.partition("/moved-")[0] != watch.slot:
            continue
        committed = {o["uri"] for o in view["outputs"] if o.get("evidence") == "committed"}
        at = microseconds(datetime.fromisoformat(view.get("ended_at") or view["reported_at"]))
        out.append(Known(sha, at, watch.slot in committed))
    return sorted(out, key=lambda known: (known.at, known.sha))


def claimed(watch: Watch, commit: Commit, before: Held, now: Held) -> list[str]:
    """The names a message holds, the one that counts last: the value that is held if a change
    brought it, else the last named ("from A to B"). The subject speaks first, then the body,
    then what a merge brought."""
    if watch.claims is not None:
        patterns = [watch.claims] if watch.claims.pattern else []
    else:
        known = dict.fromkeys((*now.values, *before.values))
        patterns = list(dict.fromkeys(map(alike, known)))
    for text in (commit.subject, commit.message, " ".join(commit.merged)):
        names = [match[0] for pattern in patterns for match in pattern.finditer(text)]
        if now != before and any(value in names for value in now.values):
            return [name for name in names if name in now.values]
        if names:
            return names
    return []


def alike(value: str) -> re.Pattern[str]:
    """What names of the same kind look like: `projects/1/models/TCN1` → `projects/…/models/…`.

    Parts with a digit vary, and so does the last one. A value without parts says too little,
    and only it itself is one.
    """
    *front, last = value.split("/")
    if not front:
        return re.compile(rf"(?<![\w.-]){re.escape(last)}(?![\w-]|\.\w)")
    vary = r"[\w@:+-]+(?:\.[\w@:+-]+)*"
    parts = [vary if re.search(r"\d", part) else re.escape(part) for part in front]
    return re.compile("(?<![\\w./-])" + "/".join([*parts, vary]))


def pull_request(subject: str) -> str | None:
    """`183` of `… (#183)` and of `Merge pull request #183 from …`; a revert's own number."""
    match = _SQUASHED.search(subject) or _MERGED.search(subject)
    return match[1] if match else None


def _deploy(watch: Watch, commit: Commit, now: Held, names: Sequence[str]) -> Record:
    """The tree holds something else: committed; claimed too, if the message names a model."""
    if not now.values:
        record = _act(watch, commit, [], ["committed"])
        record["outputs"][0]["properties"] = {"traffic": 0}
        record["trigger"] = {"reason": f"the tree of {commit.sha[:7]} holds no value any more"}
    else:
        inputs = [(value, "committed") for value in now.values]
        said = [names[-1]] if names else []
        evidence = ["committed", *("claimed" for _ in said)]
        record = _act(watch, commit, [*inputs, *((name, "claimed") for name in said)], evidence)
    record["code"]["path"] = watch.file
    record["outputs"] += [
        {"type": "Config", "uri": uri, "role": "configuration", "evidence": "committed"}
        for uri in now.configs
    ]
    return record


def _act(
    watch: Watch, commit: Commit, inputs: Iterable[tuple[str, str]], evidence: Iterable[str]
) -> Record:
    subject = commit.subject
    record: Record = {
        "key": watch.key(commit.sha),
        "type": "deploy",
        "name": commit.sha[:7],
        "controller": dict(watch.controller),
        "state": "complete",
        "code": {"repo": watch.repository, "commit": commit.sha},
        "inputs": [
            {"type": watch.type, "uri": uri, "role": watch.type.lower(), "evidence": known}
            for uri, known in inputs
        ],
        "outputs": [
            {"type": "Deployment", "uri": watch.slot, "version": commit.sha, "role": "slot",
             "evidence": known}
            for known in evidence
        ],
        "params": {"subject": subject},
        "links": {},
    }  # fmt: skip
    if 0 < len(commit.author) <= 256:
        record["by"] = commit.author
    _link(record, watch, commit, pull_request(subject))
    return record


def _link(record: Record, watch: Watch, commit: Commit, number: str | None) -> None:
    web = watch.repository.startswith("https://")
    if web:
        record["links"]["commit"] = f"{watch.repository}/commit/{commit.sha}"
    if number is None:
        return
    record["name"] += f" #{number}"
    if not web:
        return
    url = record["links"]["pull request"] = f"{watch.repository}/pull/{number}"
    record["outputs"].append(
        {"type": "PullRequest", "uri": url, "role": "pull request", "name": f"#{number}",
         "evidence": "claimed"}  # only the message names it
    )  # fmt: skip


def _dated(record: Record, at: int, commit: Commit) -> Record:
    record["started_at"] = record["ended_at"] = record["reported_at"] = iso(at)
    for name, seconds in (("committed_at", commit.committed), ("authored_at", commit.authored)):
        moment = iso(min(max(seconds, 0), _YEAR_9999) * 1_000_000)
        if moment != record["ended_at"]:
            record["params"][name] = moment
    return record


def _configmap(document: Any, slot: str) -> list[str]:
    """The ConfigMap this document is, in the slot's cluster; its name may carry a hash."""
    if not isinstance(document, dict) or document.get("kind") != "ConfigMap":
        return []
    meta = document.get("metadata")
    cluster, _, rest = slot.removeprefix("k8s://").partition("/")
    if not isinstance(meta, dict) or not slot.startswith("k8s://") or not meta.get("name"):
        return []
    namespace = meta.get("namespace") or rest.partition("/")[0]
    return [f"k8s://{cluster}/{namespace}/ConfigMap/{meta['name']}"]
