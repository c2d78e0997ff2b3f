"""`lineage controller`: the ModelSync controller, with lineage built in."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from threading import Event
from typing import Annotated

import typer

from lineage.cli.observe import (
    Cluster,
    Context,
    Kubeconfig,
    MappingFiles,
    Namespaces,
    read_mappings,
)
from lineage.cli.target import Target
from lineage.errors import LineageError

__all__ = ["controller"]

NAME = "lineage-controller"


def controller(
    ctx: typer.Context,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespaces = None,
    cluster: Cluster = None,
    mapping: MappingFiles = None,
    resync: Annotated[
        float, typer.Option(min=1, help="Seconds between two questions to a lambda.")
    ] = 60,
    lambda_timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds a lambda may take for its whole answer.")
    ] = 10,
    keep_placeholder: Annotated[
        bool,
        typer.Option(
            "--keep-placeholder",
            help="Where a lambda gives no value, run with the one in the template.",
        ),
    ] = False,
    no_leader_election: Annotated[
        bool, typer.Option("--no-leader-election", help="Act without holding the Lease.")
    ] = False,
) -> None:
    """Run the ModelSync controller: ask lambdas whether to act, create PipelineRuns, record why.

    Every decision that acts is recorded at `--url`; while that server is away it waits in the
    outbox, and nothing here waits for it. Only one process acts at a time.

    Example: `lineage controller --namespace label-bot-prod --cluster prod`
    """
    target: Target = ctx.obj
    if target.store:
        raise typer.BadParameter("--store: the controller records at a server; give its --url.")
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    for name in ("httpx2", "kopf"):
        logging.getLogger(name).setLevel(logging.WARNING)
    run_operator = _operator()
    from controllers_hooks import Hook, place
    from controllers_hooks.modelsync.ask import Lambdas
    from controllers_hooks.modelsync.capture import Capture
    from controllers_hooks.modelsync.decide import Settings
    from controllers_hooks.modelsync.lease import Lease
    from controllers_hooks.modelsync.reconcile import Reconciler
    from controllers_hooks.observers.cluster import Cluster as Api
    from controllers_hooks.observers.mapping import Mappings
    from controllers_hooks.observers.objects import View

    settings = target.settings(url=target.url, token=target.token, cluster=cluster)
    home = settings.namespace or place.namespace(os.environ) or "default"
    api = Api(kubeconfig, context)
    hook = Hook.from_env(NAME, url=settings.url, token=settings.token, cluster=settings.cluster,
                         namespace=home)  # fmt: skip
    mappings = Mappings.of(one for path in mapping or () for one in read_mappings(path))
    lease = None if no_leader_election else Lease(api, home, NAME)
    reconciler = Reconciler(
        api,
        Lambdas(lambda_timeout),
        Capture(api, hook, View(settings.cluster, mappings)),
        Settings(resync=resync, keep_placeholder=keep_placeholder),
        may_act=lease.held if lease else lambda: True,
    )
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        run_operator(api, reconciler, stop, namespace or (), lease)
    finally:
        hook.close()


def _operator() -> Callable[..., None]:
    try:
        from controllers_hooks.modelsync.operator import run_operator
    except ModuleNotFoundError as error:
        raise LineageError(
            f"the controller needs {error.name}; "
            "install it with `pip install 'lineage-without-dag[kubernetes]'`"
        ) from error
    return run_operator
