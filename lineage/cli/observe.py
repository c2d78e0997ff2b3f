"""`lineage observe`: record controllers that nobody can change, from what they leave behind."""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lineage.cli.observe_git import git
from lineage.cli.target import Target
from lineage.errors import BadRequest

if TYPE_CHECKING:
    from controllers_hooks.observers.mapping import LineageMapping

__all__ = ["observe"]

observe = typer.Typer(
    name="observe",
    invoke_without_command=True,
    help="Record controllers from their objects in a cluster; `git`: from a repository.",
)

Kubeconfig = Annotated[
    str | None, typer.Option(help="A kubeconfig; else $KUBECONFIG, or the pod's own account.")
]
Context = Annotated[str | None, typer.Option(help="The context of the kubeconfig.")]
Cluster = Annotated[
    str | None, typer.Option(help="What records call this cluster; LINEAGE_CLUSTER.")
]
Namespaces = Annotated[
    list[str] | None, typer.Option("--namespace", "-n", help="Only this one; repeat for more.")
]
Only = Annotated[
    list[str] | None,
    typer.Option(help="tekton, workloads, argocd, flux, kserve or annotated; repeat for more."),
]
MappingFiles = Annotated[
    list[Path] | None,
    typer.Option("--mapping", help="A LineageMapping as YAML; repeat for more."),
]
Once = Annotated[bool, typer.Option("--once", help="Record what there is now, and end.")]
Finalizer = Annotated[
    bool, typer.Option("--finalizer", help="Keep PipelineRuns until they are recorded.")
]


@observe.callback()
def default(
    ctx: typer.Context,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    cluster: Cluster = None,
    namespace: Namespaces = None,
    only: Only = None,
    mapping: MappingFiles = None,
    once: Once = False,
    finalizer: Finalizer = False,
) -> None:
    """Record what controllers do in a cluster: Tekton, Deployments, Argo CD, Flux, KServe.

    Example: `lineage observe --namespace label-bot --mapping mapping.yaml`
    """
    if ctx.invoked_subcommand is None:
        kubernetes(ctx, kubeconfig, context, cluster, namespace, only, mapping, once, finalizer)


@observe.command()
def kubernetes(
    ctx: typer.Context,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    cluster: Cluster = None,
    namespace: Namespaces = None,
    only: Only = None,
    mapping: MappingFiles = None,
    once: Once = False,
    finalizer: Finalizer = False,
) -> None:
    """The same as `lineage observe` alone."""
    from controllers_hooks.observers.assemble import OBSERVERS
    from controllers_hooks.observers.cluster import Cluster as Api
    from controllers_hooks.observers.run import Observer

    if unknown := sorted(set(only or ()) - set(OBSERVERS)):
        raise typer.BadParameter(f"--only {unknown[0]}: choose from {', '.join(OBSERVERS)}.")
    if once and finalizer:
        raise typer.BadParameter("--finalizer needs an observer that stays; leave --once out.")
    target: Target = ctx.obj
    mappings = [one for path in mapping or () for one in read_mappings(path)]
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    with target.client(read_only=False) as client:
        observer = Observer(
            Api(kubeconfig, context),
            client,
            name=target.settings(cluster=cluster).cluster,
            namespaces=namespace or (),
            only=only or tuple(OBSERVERS),
            mappings=mappings,
            finalizer=finalizer,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: observer.stop.set())
        if once:
            observer.once()
        else:
            observer.run()
        names = ("created", "merged", "unchanged", "failed")
        typer.echo(", ".join(f"{observer.counts[name]} {name}" for name in names))
        if observer.counts["failed"]:
            raise typer.Exit(1)


observe.command("git")(git)


def read_mappings(path: Path) -> list[LineageMapping]:
    """The LineageMappings of a YAML file, one or more documents.

    Raises:
        InvalidRecord: with the file, the place and the remedy.
    """
    import yaml

    from controllers_hooks.observers.mapping import parse_mapping

    try:
        documents = [d for d in yaml.safe_load_all(path.read_text("utf-8")) if d is not None]
    except OSError as error:
        raise BadRequest(f"{path}: {os.strerror(error.errno or 0)}; name a file") from error
    except yaml.YAMLError as error:
        raise BadRequest(f"{path} is not YAML: {error}") from error
    return [parse_mapping(document, str(path)) for document in documents]
