"""`lineage observe git`: what the tree of a branch holds, as committed deploys."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from lineage.cli.target import Target, clean, console
from lineage.errors import BadRequest, LineageError

if TYPE_CHECKING:
    from controllers_hooks.observers.git import Repository
    from controllers_hooks.observers.git_branch import Observation
    from controllers_hooks.observers.git_facts import Watch
    from controllers_hooks.observers.yaml_path import Path
    from lineage.client import Client


def git(
    ctx: typer.Context,
    repo: Annotated[str, typer.Option(help="A clone on disk; fetching is yours (or git-sync's).")],
    file: Annotated[
        list[str],
        typer.Option(help="The file that holds the value, or a pattern: *, ** and ?. Repeatable."),
    ],
    path: Annotated[
        str, typer.Option(help='Where in it: spec.model, data["a.yaml"].orgs[name=x].model.')
    ],
    slot: Annotated[
        str, typer.Option(help="What is deployed by it: k8s://cluster/namespace/kind/name.")
    ],
    branch: Annotated[str, typer.Option(help="The branch that counts.")] = "HEAD",
    type_: Annotated[str, typer.Option("--type", help="The type of what the value names.")] = (
        "Model"
    ),
    url: Annotated[
        str | None, typer.Option("--repo-url", help="The repository's address; else origin's.")
    ] = None,
    claims: Annotated[
        str | None,
        typer.Option(help="A regular expression: what messages claim. Empty = claims don't count."),
    ] = None,
    cluster: Annotated[str | None, typer.Option(help="The slot's, when left out.")] = None,
    namespace: Annotated[str | None, typer.Option(help="The slot's, when left out.")] = None,
    controller: Annotated[
        str | None, typer.Option(help="In whose name; git/OWNER/NAME when left out.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Look once and end.")] = False,
    interval: Annotated[
        float, typer.Option(min=1, help="Seconds between two looks at the branch.")
    ] = 60,
) -> None:
    """Record each change of a value in a branch as a deploy, and what its messages claim.

    Example: `lineage observe git --repo . --branch main --file 'prod/*.yaml' --path spec.model
    --slot k8s://prod/shop/Deployment/worker`
    """
    from lineage.identity import canonical_uri

    target: Target = ctx.obj
    slot = canonical_uri(slot, "Deployment")
    settings = target.settings(cluster=cluster, namespace=namespace, controller=controller)
    home, room = _place(slot)
    repository = _repository(repo, file)
    if (address := url or repository.url()) is None:
        raise BadRequest(f"{repo} has no remote called origin; name the repository: --repo-url")
    # One address however it was cloned, and never with a password.
    place = canonical_uri(address, "Code").removeprefix("git+")
    who = {
        "cluster": settings.cluster or home,
        "namespace": settings.namespace or room,
        "name": settings.controller or f"git/{place.partition('://')[2].partition('/')[2]}",
    }

    from controllers_hooks.observers.git_facts import Watch
    from controllers_hooks.observers.yaml_path import parse

    said = None if claims is None else _pattern(claims)
    watch = Watch(place, slot, repository.folder(), who, type_, said)
    with target.client(read_only=False) as client:
        looking = Looking(lambda: _repository(repo, file), branch, parse(path), watch, client)
        if once:
            looking.once()
        else:
            _until_stopped(looking.again, interval)


@dataclass(slots=True)
class Looking:
    """Look at the branch, send what is new, say so. `open` opens the repository: git-sync
    puts another one in its place."""

    open: Callable[[], Repository]
    branch: str
    path: Path
    watch: Watch
    client: Client
    said: set[str] = field(default_factory=set)
    done: str = ""

    def once(self) -> None:
        """
        Raises:
            LineageError: nothing is there, no server answered, or it refused a record.
        """
        self._look(self.open())

    def again(self) -> None:
        """The same, of which no error is the end: the next look may fare better."""
        try:
            repository = self.open()
            if repository.tip(self.branch) != self.done:
                self._look(repository)
        except LineageError as error:
            self._say(f"Error: {error.detail}")

    def _look(self, repository: Repository) -> None:
        from controllers_hooks.observers.git_branch import Observer
        from controllers_hooks.observers.git_facts import recorded

        views = self.client.actions(controller=self.watch.controller["name"])
        known = recorded(self.watch, views)
        observer = Observer(repository, self.path, self.watch)
        seen = observer.observe(self.branch, known, time.time_ns() // 1_000)
        for notice in seen.notices:
            self._say(notice)
        self._send(seen)
        self.done = seen.tip

    def _send(self, seen: Observation) -> None:
        from lineage.cli.batches import batches, send

        at = f"{self.branch} ({seen.tip[:7]})"
        if not seen.records:
            typer.echo(f"nothing new on {clean(at)}")
            return
        lines = (json.dumps(record).encode() for record in seen.records)
        tally = send(self.client, batches(at, lines))
        done = ", ".join(f"{count} {name}" for name, count in tally.counts.items() if count)
        typer.echo(f"{clean(at)}: {done}")
        if tally.failures:
            first = tally.failures[0]
            raise BadRequest(
                f"{len(tally.failures)} records were refused, the first of "
                f"{seen.records[first.line - 1]['key']}: {first.message}"
            )

    def _say(self, text: str) -> None:
        """Once: the next look sees the same again."""
        if text not in self.said:
            self.said.add(text)
            console(stderr=True).print(clean(text), soft_wrap=True)


def _repository(path: str, files: list[str]) -> Repository:
    try:
        from controllers_hooks.observers.git import Repository
    except ModuleNotFoundError as error:
        raise LineageError(
            f"the git observer needs {error.name}; pip install 'lineage-without-dag[kubernetes]'"
        ) from error
    return Repository(path, files)


def _until_stopped(look: Callable[[], None], interval: float) -> None:
    stopped = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    while not stopped.is_set():
        look()
        stopped.wait(interval)


def _place(slot: str) -> tuple[str, str]:
    """Cluster and namespace of a slot in Kubernetes."""
    if not slot.startswith("k8s://"):
        return "", ""
    cluster, _, rest = slot.removeprefix("k8s://").partition("/")
    return cluster, rest.partition("/")[0]


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise BadRequest(f"--claims is no regular expression: {error}") from error
