"""Records go into an MLMD property and come out again, whatever their length."""

from __future__ import annotations

from base64 import b64encode

from google.protobuf import any_pb2
from hypothesis import example, given
from hypothesis import strategies as st

from lineage.store import codec


@given(st.text(max_size=300))
@example("x" * 121)
@example("x" * 20_000)
@example("{" * 123)
def test_a_packed_record_is_unpacked_to_the_same_bytes(text: str) -> None:
    """Lengths of every number of bytes, and braces where a length could stand."""
    record = ('{"k":' + repr(text) + "}").encode("utf-8", "replace")
    packed = any_pb2.Any()
    codec._pack(packed, record)
    assert codec.unpack(b64encode(packed.SerializeToString())) == record


@given(st.text(max_size=400), st.text(max_size=400))
def test_bounded_names_stay_apart_and_within_the_bound(one: str, two: str) -> None:
    """255 bytes at most; different keys keep different names."""
    a, b = codec.bounded_name(one), codec.bounded_name(two)
    assert len(a.encode()) <= codec.MAX_NAME
    assert (a == b) == (one == two)


@given(st.integers(0, 2**52), st.integers(0, 2**52))
def test_sortable_times_sort_as_times(one: int, two: int) -> None:
    """Text order is time order."""
    assert (codec.sortable(one) < codec.sortable(two)) == (one < two)
