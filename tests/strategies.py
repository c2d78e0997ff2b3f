"""Hypothesis strategies for records: small alphabets, so that reports collide and merge."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from lineage.model import Action, Code, Controller, Reference, Trigger

EPOCH = datetime(2020, 7, 1, tzinfo=UTC)
times = st.integers(0, 5).map(lambda hours: EPOCH + timedelta(hours=hours))
words = st.sampled_from(["a", "b", "gs://b/x.csv", "Model name", "ü\\'\""])
scalars = st.one_of(words, st.booleans(), st.integers(-2, 2), st.sampled_from([0.5, 1.0, -2.0]))
versions = st.sampled_from([None, None, "v1", "v2", "sha256:" + "ab" * 32])
uris = st.sampled_from(
    ["gs://b/x.csv", "gs://b/y.csv", "projects/p/models/TCN1", "k8s://c/n/Deployment/w",
     "https://host/o/r.git", "python:3.11", "oci://ghcr.io/o/i:1"]
)  # fmt: skip

references = st.builds(
    Reference,
    type=st.sampled_from(["Artifact", "Dataset", "Model", "Deployment", "Code"]),
    uri=uris,
    version=versions,
    role=st.sampled_from([None, "data", "code", "model"]),
    name=st.none() | words,
    evidence=st.sampled_from([None, "claimed", "committed", "observed"]),
    properties=st.dictionaries(words | st.just("traffic"), scalars, max_size=2),
    aliases=st.lists(st.sampled_from(["gs://b/alias", "s3://b/alias/"]), max_size=2).map(tuple),
)
codes = st.builds(
    Code,
    repo=st.sampled_from([None, "https://host/o/r.git", "git@host:o/r"]),
    commit=st.sampled_from([None, "a" * 40, "b" * 40]),
    path=st.sampled_from([None, "train.ipynb"]),
    image=st.sampled_from([None, "python:3.11", "docker-pullable://python@sha256:" + "cd" * 32]),
    dirty=st.sampled_from([None, True, False]),
)


@st.composite
def actions(draw: st.DrawFn, keys: st.SearchStrategy[str] | None = None) -> Action:
    started = draw(st.none() | times)
    ended = draw(st.none() | times)
    if started and ended and ended < started:
        started, ended = ended, started
    return Action(
        key=draw(st.sampled_from(["k/1", "k/2"]) if keys is None else keys),
        type=draw(st.sampled_from(["train", "deploy", "process"])),
        controller=Controller(namespace=draw(st.sampled_from(["", "n"])), name=draw(words)),
        name=draw(st.none() | words),
        state=draw(st.sampled_from([None, "running", "complete", "failed", "canceled"])),
        started_at=started,
        ended_at=ended,
        reported_at=draw(st.none() | times),
        code=draw(st.none() | codes),
        inputs=tuple(draw(st.lists(references, max_size=3))),
        outputs=tuple(draw(st.lists(references, max_size=3))),
        params=draw(st.dictionaries(words, scalars, max_size=2)),
        parent=draw(st.none() | st.just("p")),
        by=draw(st.none() | words),
        trigger=draw(
            st.none() | st.builds(Trigger, reason=st.none() | words, wanted=st.none() | words)
        ),
        error=draw(st.none() | words),
        links=draw(st.dictionaries(words, words, max_size=2)),
    )
