"""How the server's log looks: lines to read, or JSON to collect. Nothing else knows structlog."""

from __future__ import annotations

import logging
import sys
from typing import Any

Event = dict[str, Any]


def set_up(level: str, form: str) -> None:
    """Log to standard error; `form` = text or json."""
    import structlog

    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(("method", "path", "status", "route", "seconds")),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _request,
    ]
    last: list[Any] = (
        [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
        if form == "json"
        else [_line]
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    if form == "text" and level != "debug":
        # People read this at a terminal; a collector wants every request.
        logging.getLogger("lineage.requests").setLevel(logging.WARNING)


def _request(_: Any, __: str, event: Event) -> Event:
    from lineage.api.telemetry import REQUEST

    if name := REQUEST.get():
        event["request_id"] = name
    return event


def _line(_: Any, __: str, event: Event) -> str:
    """One line a message. What clients chose is escaped, so none can forge a second."""
    text = f"{event['time']} {event['level'].upper()} {event['logger']}: {_plain(event['event'])}"
    if event.get("request_id"):
        text += f" [{event['request_id']}]"
    info = event.get("exc_info")
    if info:
        text += "\n" + logging.Formatter().formatException(
            info if isinstance(info, tuple) else sys.exc_info()
        )
    return text


def _plain(text: object) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))
