"""The composition root of the server: store, API and viewer are put together here only."""

from __future__ import annotations

import functools
import gc
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import ui
import ui.pages
import ui.svg
from lineage import __version__
from lineage.access.audit import Audit
from lineage.access.keeper import Keeper
from lineage.access.proxy import Proxy
from lineage.address import Address, shown
from lineage.api import (
    diff,
    document,
    events,
    examples,
    flow,
    formats,
    impact,
    lambdas,
    lists,
    measures,
    openlineage,
    problems,
    questions,
    record,
    search,
    stale,
)
from lineage.api.guard import Guard, Neighbour
from lineage.api.kept import Kept
from lineage.api.measures import Measures
from lineage.api.now import Now
from lineage.api.requests import answer
from lineage.api.telemetry import Telemetry
from lineage.config import Settings
from lineage.errors import Forbidden, LineageError, StoreError, StoreUnavailable
from lineage.formats.drawn import every
from lineage.store.ports import Verdict

log = logging.getLogger("lineage.app")

API = "/api/v1"
_ACTIONS = f"{API}/actions/"
_CONTENT_SECURITY_POLICY = (
    b"default-src 'none'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    b"script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    b"frame-ancestors 'none'"
)
_HEADERS = [
    (b"content-security-policy", _CONTENT_SECURITY_POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
]


def create_app(settings: Settings) -> FastAPI:
    """The ASGI application. Its lifespan starts the store process and ends it.

    Raises (at start-up):
        StoreInUse: another server holds the database file.
        StoreUnavailable: the store did not start, or read-only and there is no file.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        close = await run_in_threadpool(_open_store, app, settings)
        # What is loaded now stays, and an answer of 10,000 nodes makes 300,000 objects that
        # all go at once: collecting while they are made was a third of its time.
        gc.collect()
        gc.freeze()
        gc.set_threshold(100_000, 20, 50)
        # A thread that gets its answer from the store waits so long for one that computes.
        sys.setswitchinterval(0.001)
        try:
            yield
        finally:
            await run_in_threadpool(close)

    app = FastAPI(
        title="Lineage",
        version=__version__,
        description="Lineage for machine learning that runs as independent controllers.",
        openapi_url=f"{API}/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.settings = settings
    app.state.formats = every(functools.partial(ui.svg.draw, link=None))
    app.state.kept = Kept()
    app.state.measures = Measures()
    app.state.error_page = ui.pages.error_page
    for module in (record, lists, questions, flow, diff, impact, stale, search, events,
                   formats, openlineage):  # fmt: skip
        app.include_router(module.router, prefix=API)
    app.include_router(lambdas.router)
    app.include_router(measures.router)
    app.add_api_route("/healthz", _healthz, tags=["probe"], response_class=Response,
                      responses=examples.answered("Status"))  # fmt: skip
    app.add_api_route("/readyz", _readyz, tags=["probe"], response_class=Response,
                      responses=examples.answered("Status"))  # fmt: skip
    app.include_router(ui.pages.router, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=ui.static_dir()), name="static")
    problems.install(app)
    app.add_middleware(_DirectRecord)
    _guard(app, settings)
    app.add_middleware(_SecurityHeaders)
    app.add_middleware(Telemetry, measures=app.state.measures)
    app.openapi = functools.partial(document.document, app)  # type: ignore[method-assign]
    return app


def _guard(app: FastAPI, settings: Settings) -> None:
    """Who is let in. A server without tokens does not pay for them."""
    proxy = Proxy.parse(
        settings.proxies, settings.user_header, settings.groups_header, settings.groups
    )
    keeper = app.state.keeper = Keeper(settings.tokens) if settings.tokens else None
    app.state.audit = Audit(settings.audit) if settings.audit else None
    if keeper is None and proxy is None:
        app.add_middleware(Neighbour, local=not settings.insecure)
    else:
        app.add_middleware(
            Guard, keeper=keeper, proxy=proxy, rate=settings.rate, audit=app.state.audit
        )


def _open_store(app: FastAPI, settings: Settings) -> Any:
    """Open the ports into `app.state`; returns what closes them."""
    # ml-metadata and SQLAlchemy are only needed by a server that is really starting.
    from lineage.store.database import whose

    # Whoever opens the port of MLMD wants others to write, so a store of theirs is taken over.
    as_it_is = whose(settings.store) == "another tool" and not settings.mlmd_port
    if settings.read_only:
        return _open_to_read(app, settings, _SERVED_READ_ONLY)
    if as_it_is:
        log.warning("%s was written by another tool; it is read as it is", shown(settings.store))
        return _open_to_read(app, settings, _AS_IT_IS)
    return _open_to_write(app, settings)


def _open_to_read(app: FastAPI, settings: Settings, why: str) -> Any:
    from lineage.store.database import read_engine
    from lineage.store.raw_table import raw_pages

    engine = read_engine(settings.store)
    app.state.recorder, app.state.store = _ReadOnly(why), None
    app.state.raw = raw_pages(settings.store, engine)
    _open_questions(app, settings, engine, index=False)

    def close() -> None:
        app.state.searcher.close()
        engine.dispose()

    return close


def _open_to_write(app: FastAPI, settings: Settings) -> Any:
    from lineage.store.callers import Port
    from lineage.store.database import add_indexes, read_engine
    from lineage.store.gate import gate_of
    from lineage.store.lookup import Lookup
    from lineage.store.raw_table import raw_events
    from lineage.store.supervisor import StoreProcess
    from lineage.store.writer import Writer

    if Address.parse(settings.store) is None:
        os.makedirs(os.path.dirname(os.path.abspath(settings.store)), exist_ok=True)
    mlmd = Port(settings.host, settings.mlmd_port, settings.tokens, settings.tls_cert,
                settings.tls_key)  # fmt: skip
    store = StoreProcess(settings.store, mlmd if settings.mlmd_port else None)
    try:
        store.start()
        add_indexes(settings.store)
        engine = read_engine(settings.store)
        raw = raw_events(settings.store, settings.openlineage_size)
    except BaseException:
        store.close()
        raise
    gate = gate_of(settings.store)
    writer = Writer(store, Lookup(engine), app.state.measures.committed, gate)
    app.state.recorder, app.state.store, app.state.raw = writer, store, raw
    _measure(app.state.measures, writer, store)
    _open_questions(app, settings, engine, index=True)

    def close() -> None:
        writer.close()
        gate.close()
        raw.close()
        app.state.searcher.close()
        engine.dispose()
        store.close()

    return close


def _open_questions(app: FastAPI, settings: Settings, engine: Any, index: bool) -> None:
    """What only reads; `index` = keep the search index up to date."""
    from lineage.store.changes import FeedChanges
    from lineage.store.late import watch_of
    from lineage.store.reader import SqlReader
    from lineage.store.search.feed import Feed
    from lineage.store.search.searcher import open_searcher

    app.state.reader = SqlReader(engine)
    app.state.searcher = open_searcher(engine, settings.store, index, settings.cache)
    listening = app.state.events = events.Events(FeedChanges(Feed(engine)))
    app.state.measures.gauge(
        "lineage_listeners", "Streams of /api/v1/events that are open.", lambda: listening.count
    )
    app.state.now = Now(app.state.reader, watch_of(engine))


def _measure(measures: Measures, writer: Any, store: Any) -> None:
    measures.gauge(
        "lineage_queue_reports", "Reports that wait to be committed.", lambda: writer.depth
    )
    measures.gauge(
        "lineage_store_up", "1 while the store process answers.", lambda: store.wait_ready(0)
    )
    measures.counter(
        "lineage_store_restarts", "Times the store process was started again.",
        lambda: store.restarts,
    )  # fmt: skip


_SERVED_READ_ONLY = "this server is read-only; record to the server that owns the store"
_AS_IT_IS = (
    "the store was written by another tool and is read as it is; record to a store of your own, "
    "into which `lineage import mlmd --from FILE` brings what is here"
)


class _ReadOnly:
    def __init__(self, why: str) -> None:
        self._why = why

    async def record(self, actions: Any) -> list[Verdict]:
        raise Forbidden(self._why)


def _healthz() -> Response:
    """The process answers."""
    return answer({"status": "ok"})


def _readyz(request: Request) -> Response:
    """The store answers: records would be committed, questions answered."""
    state = request.app.state
    if state.store is not None and not state.store.wait_ready(0):
        raise StoreUnavailable("the store process is restarting")
    try:
        state.reader.slots(None, 1)
    except StoreError:
        raise
    except Exception as error:
        raise StoreUnavailable("the database does not answer") from error
    return answer({"status": "ready"})


class _DirectRecord:
    """Answers `PUT /actions/{key}` before routing: the way through FastAPI's layers costs
    twice what the work itself does (docs/performance.md). The route stays for OpenAPI."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "PUT":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        if not path.startswith(_ACTIONS):
            await self._app(scope, receive, send)
            return
        try:
            response = await record.put_action(Request(scope, receive), path[len(_ACTIONS) :])
        except LineageError as error:
            response = problems.from_error(error)
        await response(scope, receive, send)


class _SecurityHeaders:
    """Pure ASGI: Starlette's base middleware would cost a task per request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                more = [header for header in _HEADERS if header[0] not in given]
                message["headers"] = [*message["headers"], *more]
            await send(message)

        await self._app(scope, receive, with_headers)
