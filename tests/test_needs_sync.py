"""The NeedsSync contract: written as the original's server writes, read as Go reads."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.needs_sync import MalformedAnswer, NeedsSync, read

MODEL = "projects/976279526634/locations/us-central1/models/TCN4131157655647420416"
texts = st.text(st.characters(exclude_categories=["Cs"]))
answers = st.builds(
    NeedsSync,
    st.booleans(),
    st.dictionaries(texts, texts, max_size=3),
    st.dictionaries(texts, texts, max_size=3),
    st.lists(texts, max_size=3).map(tuple),
)


def test_an_answer_is_written_byte_for_byte_as_by_the_original() -> None:
    """The bytes of the article's server: no blanks, an empty map where there is nothing."""
    assert NeedsSync(True, {"name": MODEL}).body() == (
        b'{"kind":"NeedsSync","apiVersion":"v1alpha1","metadata":{"creationTimestamp":null},'
        b'"needsSync":true,"parameters":{"name":"' + MODEL.encode() + b'"}}'
    )
    assert NeedsSync(False, errors=("a < b",)).body() == (
        b'{"kind":"NeedsSync","apiVersion":"v1alpha1","metadata":{"creationTimestamp":null},'
        b'"needsSync":false,"parameters":{},"errors":[{"message":"a \\u003c b"}]}'
    )


def test_annotations_stand_in_the_metadata() -> None:
    """Where a Go client has a place for them already, in the order of their names."""
    assert NeedsSync(False, annotations={"b": "2", "a": "1"}).json()["metadata"] == {
        "creationTimestamp": None,
        "annotations": {"a": "1", "b": "2"},
    }


@given(answers)
def test_what_is_written_is_read(answer: NeedsSync) -> None:
    """Round trip, of the bytes and of any other JSON that says the same."""
    assert read(answer.body()) == answer
    assert read(json.dumps(answer.json(), indent=2).encode()) == answer


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"null", NeedsSync(False)),
        (b" {} \n", NeedsSync(False)),
        (b'{"needsSync":null,"parameters":null,"metadata":null,"errors":null}', NeedsSync(False)),
        (b'{"NEEDSSYNC":true}', NeedsSync(True)),
        (b'{"needs_sync":true}', NeedsSync(False)),
        ('{"need\xdfync":true}'.encode(), NeedsSync(False)),
        (b'{"needsSync":false,"needssync":true}', NeedsSync(True)),
        (b'{"needsSync":true,"needsSync":null}', NeedsSync(True)),
        (b'{"more":[{"x":1e999}],"needsSync":true}', NeedsSync(True)),
        (b'{"more":' + b"9" * 5000 + b"}", NeedsSync(False)),
        (b'{"parameters":{"a":null,"A":"x"}}', NeedsSync(False, {"a": "", "A": "x"})),
        (
            b'{"parameters":{"a":"1"},"Parameters":{"b":"2"}}',
            NeedsSync(False, {"a": "1", "b": "2"}),
        ),
        (b'{"parameters":{"a":"1"},"parameters":null}', NeedsSync(False)),
        (b'{"parameters":{"a":"\xff"}}', NeedsSync(False, {"a": "\ufffd"})),
        (b'{"Metadata":{"Annotations":{"a":"1"},"labels":7}}', NeedsSync(False, {}, {"a": "1"})),
        (b'{"errors":[{"message":"no"},null,{}]}', NeedsSync(False, errors=("no", "", ""))),
    ],
)
def test_reading_is_as_lenient_as_go(body: bytes, expected: NeedsSync) -> None:
    """Unknown members, other cases, repetitions and nulls mean what they mean to Go."""
    assert read(body) == expected


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"", "line 1, column 1"),
        (b"<html>", "line 1, column 1"),
        (b"\xef\xbb\xbf{}", "line 1, column 1"),
        ("{}".encode("utf-16"), "line 1, column 1"),
        (b"{} {}", "line 1, column 4"),
        (b"[]", "body"),
        (b'"yes"', "body"),
        (b'{"x":NaN}', "body"),
        (b"[" * 100_000, "body"),
        (b'{"needsSync":"true"}', "needsSync"),
        (b'{"needsSync":1}', "needsSync"),
        (b'{"kind":1}', "kind"),
        (b'{"parameters":[]}', "parameters"),
        (b'{"parameters":{"n":1}}', "parameters.n"),
        (b'{"parameters":{"n":{}}}', "parameters.n"),
        (b'{"metadata":[]}', "metadata"),
        (b'{"metadata":{"annotations":{"a":true}}}', "metadata.annotations.a"),
        (b'{"errors":{}}', "errors"),
        (b'{"errors":[{"message":1}]}', "errors.0.message"),
    ],
)
def test_what_go_refuses_is_refused_with_the_place(body: bytes, place: str) -> None:
    """The place and the remedy, never a guess at what was meant."""
    with pytest.raises(MalformedAnswer) as error:
        read(body)
    assert str(error.value).startswith(f"{place}: ")
