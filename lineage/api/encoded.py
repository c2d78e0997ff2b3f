"""Request bodies that come compressed, read no further than the bound, packed or unpacked."""

from __future__ import annotations

import zlib

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from lineage.api.requests import bounded_body
from lineage.errors import BadRequest, TooLarge

_GZIP = 16 + zlib.MAX_WBITS
_MEMBERS = 64
"""Files in one: each takes a copy of what follows it, so millions of empty ones take hours."""


async def decoded_body(request: Request, most: int) -> bytes:
    """The body, unpacked if `Content-Encoding` says gzip.

    Raises:
        TooLarge: it is over `most` bytes as it came or unpacked.
        BadRequest: it is not gzip, or packed in another way.
    """
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise BadRequest(f"content-encoding: {encoding[:40]} is not read here; send gzip or none")
    body = await bounded_body(request, most)
    return await run_in_threadpool(unpacked, body, most) if "gzip" in encoding else body


def unpacked(body: bytes, most: int) -> bytes:
    """The contents of a gzip file, of all its members; a bomb is not unpacked beyond `most`."""
    out: list[bytes] = []
    size, members = 0, 0
    while body:
        if (members := members + 1) > _MEMBERS:
            raise BadRequest(f"the gzip body is over {_MEMBERS} files in one; compress it whole")
        stream = zlib.decompressobj(_GZIP)
        try:
            # One byte more than there may be tells a body at the bound from one over it.
            out.append(stream.decompress(body, most - size + 1))
        except zlib.error as error:
            raise BadRequest("the body is not gzip, though content-encoding says so") from error
        size += len(out[-1])
        if size > most:
            raise TooLarge(f"the body is over {most:,} bytes unpacked; send less at once")
        if not stream.eof:
            raise BadRequest("the gzip body ends too early; send it whole")
        body = stream.unused_data.lstrip(b"\0")
    return b"".join(out)
