"""What every page is asked: of which reader, about which moment."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse

from lineage.api.requests import get_reader
from lineage.queries.asof import AsOf
from lineage.store.ports import Reader
from ui import params
from ui.templating import render


@dataclass(frozen=True, slots=True)
class Asked:
    """`as_of` (µs) None = now; `now` is the moment that relative times count from."""

    request: Request
    reader: Reader
    now: int
    as_of: int | None
    as_of_text: str

    def page(self, template: str, section: str, **context: Any) -> HTMLResponse:
        return render(
            template,
            self.request,
            self.now,
            section=section,
            as_of=self.as_of,
            as_of_text=self.as_of_text,
            **context,
        )


def asked(request: Request, as_of: str) -> Asked:
    """The reader of now, or of the moment that the address names."""
    reader = get_reader(request)
    moment = params.moment(as_of)
    if moment is None:
        return Asked(request, reader, time.time_ns() // 1000, None, "")
    return Asked(request, AsOf(reader, moment), moment, moment, as_of.strip())
