"""Every reader of what others write: any input gives a result, or one of our errors that says
where and what to do; none hangs, none answers with somebody else's exception.

Inputs are right documents with something wrong in them (`hostile.mutated`, `hostile.spoiled`),
since pure noise never gets past the first brace.
"""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from controllers_hooks import segments
from controllers_hooks.ipynb import run_of
from controllers_hooks.modelsync import convert, runs, spec
from controllers_hooks.notebook import read as read_notebook
from controllers_hooks.observers import (
    annotated,
    argocd,
    flux,
    git_facts,
    kserve,
    tekton,
    workloads,
    yaml_path,
)
from controllers_hooks.observers.mapping import parse_mapping
from controllers_hooks.observers.objects import View
from controllers_hooks.observers.records import sound
from lineage import needs_sync
from lineage.api.encoded import unpacked
from lineage.config import InvalidSetting, Settings
from lineage.errors import BadRequest, InvalidRecord, LineageError, TooLarge
from lineage.formats import REGISTRY, tables
from lineage.formats.openlineage import documents, reports
from lineage.formats.openlineage.names import dataset_of, uri_of
from lineage.identity import canonical_uri, identify, without_credentials
from lineage.model import parse_action
from lineage.queries import matching, terms
from lineage.queries.serving import timeline
from lineage.queries.staleness import spans
from lineage.queries.staleness.reasons import Limits
from lineage.store import reader
from lineage.times import asked, iso

from . import hostile, modelsyncs, test_notebook, test_observe_kinds
from .openlineage_events import dataset, facet, run_event

FIXTURES = Path(__file__).parent / "fixtures"
EACH = 150
"""Inputs of a property; there are some 60 properties."""
SLOWEST = 20.0
"""Seconds that no input of a few megabytes takes, also on a busy machine."""

NOT_ASKED_OVER_HTTP = (yaml_path.Unreadable, needs_sync.MalformedAnswer, InvalidSetting)

fuzz = settings(
    max_examples=EACH, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


def tried(parse: Callable[[Any], Any], given: Any) -> Any:
    """The result, or None when it was refused in our words."""
    begun, refused = time.monotonic(), None
    try:
        found = parse(given)
        found = list(found) if hasattr(found, "__next__") else found
    except LineageError as error:
        found, refused = None, error
    assert time.monotonic() - begun < SLOWEST
    if refused is not None:
        assert refused.status < 500 or isinstance(refused, NOT_ASKED_OVER_HTTP)
        assert 0 < len(refused.detail) < 12_000
        named = [one["at"] and one["message"] for one in refused.errors]
        assert all(named) and (named or type(refused) is not InvalidRecord)
    return found


# -- documents ------------------------------------------------------------------------

ACTION = {
    "key": "k", "type": "train", "name": "n", "controller": {"cluster": "c", "name": "t"},
    "state": "complete", "started_at": "2020-07-01T00:00:00Z", "ended_at": "2020-07-01T01:00:00Z",
    "reported_at": "2020-07-01T01:00:00.5+02:00", "parent": "p", "by": "me", "error": "no",
    "code": {"repo": "git@host:o/r", "commit": "ab" * 20, "path": "a.py", "dirty": False,
             "image": "python:3.11"},
    "inputs": [{"type": "Dataset", "uri": "gs://b/x.csv", "version": "sha256:" + "ab" * 32,
                "role": "data", "evidence": "observed", "properties": {"rows": 1, "n": 0.5},
                "aliases": ["s3://b/x"]}],
    "outputs": [{"uri": "projects/p/models/TCN1"}], "params": {"a": 1, "b": True, "token": "x"},
    "trigger": {"reason": "r"}, "links": {"log": "https://u:p@host/x"},
}  # fmt: skip
EVENTS: list[Any] = [
    run_event("COMPLETE", "run", 5, inputs=[dataset("gs://b", "x.csv", "3")], outputs=[
        dataset("s3://lake", "t", None, symlinks=facet(identifiers=[
            {"namespace": "hive://h", "name": "d.t", "type": "TABLE"}]),
            schema=facet(fields=[{"name": "a", "type": "int"}]),
            ownership=facet(owners=[{"name": "me", "type": "O"}]),
            tags=facet(tags=[{"key": "k", "value": "v", "field": "f"}]),
            lineage_artifact=facet(type="Model", uri="gs://b/m", version="1"))]),
    run_event("START", "run", 1),
]  # fmt: skip
EVENTS[0]["run"]["facets"] = {
    "parent": facet(run={"runId": EVENTS[0]["run"]["runId"]}, job={"namespace": "n", "name": "j"}),
    "errorMessage": facet(message="no", programmingLanguage="python"),
    "nominalTime": facet(nominalStartTime="2020-07-01T00:00:00Z"),
    "lineage_action": facet(**{n: ACTION[n] for n in ("key", "type", "controller", "params")}),
}
EVENTS[0]["job"]["facets"] = {
    "sourceCodeLocation": facet(type="git", url="https://host/o/r/blob/main/a.py", version="ab1"),
    "jobType": facet(processingType="BATCH", integration="SPARK", jobType="QUERY"),
}
CHAINS = [json.loads(path.read_text()) for path in sorted((FIXTURES / "tekton-chains").glob("*"))]
TEKTON = [json.loads(path.read_text()) for path in sorted((FIXTURES / "tekton").glob("*.json"))]


def statement_of(obj: Any) -> Any:
    notes = obj["metadata"]["annotations"]
    payload = next(v for n, v in notes.items() if n.startswith("chains.tekton.dev/payload-"))
    return json.loads(base64.b64decode(payload))


STATEMENTS = [statement_of(obj) for obj in CHAINS]
ENVELOPE = {"payloadType": "application/vnd.in-toto+json", "signatures": [],
            "payload": base64.b64encode(hostile.as_json(STATEMENTS[0])).decode()}  # fmt: skip
ANSWER = json.loads(needs_sync.NeedsSync(True, {"name": "m"}, {"why": "x"}, ("e",)).body())
NOTEBOOK = test_notebook.notebook(
    test_notebook.code("a = 1\nb = 'x'", tags=["parameters"]),
    test_notebook.code("{'uri': 'gs://b/x'}", tags=["lineage-input"]),
    test_notebook.code("x", [{"output_type": "display_data", "data": {
        "application/vnd.lineage+json": {"output": [{"uri": "gs://b/y"}]}}}]),
    test_notebook.code("y", [test_notebook.ERROR], papermill={"status": "failed"}),
    papermill={"start_time": "2020-07-01T00:00:00", "end_time": "2020-07-01T01:00:00",
               "parameters": {"n": 1}, "input_path": "a.ipynb", "exception": None},
)  # fmt: skip
MAPPING = {"apiVersion": "lineage-without-dag.github.io/v1alpha1", "kind": "LineageMapping",
           "metadata": {"name": "m", "namespace": "n"}, "spec": {
               "pipelines": [{"pipeline": "p*", "type": "train", "codePath": "x", "artifacts": [
                   {"param": "p", "input": "Model", "role": "m", "immutable": True}]}],
               "configMaps": [{"configMap": "c*", "key": "k", "find": "m: (.*)", "slot": "w"}],
               "repositories": {"GitRepository/x": "https://host/o/r"}}}  # fmt: skip
CONFIGMAP = b"""apiVersion: v1
kind: ConfigMap
metadata: {name: model-config, namespace: prod}
data:
  model_config.yaml: |
    orgs:
      - {name: kubeflow, automl_model: TCN1}
"""
IN_CONFIGMAP = yaml_path.parse('data["model_config.yaml"].orgs[name=kubeflow].automl_model')
KINDS: dict[str, tuple[Callable[[Any], list[Any]], list[Any]]] = {
    "tekton": (
        lambda obj: tekton.records(obj if obj.get("kind") == "PipelineRun" else None,
                                   [] if obj.get("kind") == "PipelineRun" else [obj], View("c")),
        TEKTON,
    ),
    "deployment": (lambda o: workloads.deployment(o, [], test_observe_kinds.MAPPED),
                   [test_observe_kinds.deployment()]),
    "pods": (lambda pod: workloads.deployment(test_observe_kinds.deployment(), [pod], View("c")),
             [test_observe_kinds.pod("w-1", test_observe_kinds.SHA)]),
    "stateful set": (lambda o: workloads.stateful_set(o, [], View("c")),
                     [test_observe_kinds.deployment()]),
    "config map": (lambda o: workloads.config_map(o, test_observe_kinds.MAPPED),
                   [test_observe_kinds.config_map()]),
    "argocd": (lambda o: argocd.application(o, View("c")), [test_observe_kinds.application()]),
    "flux": (lambda o: flux.helm_release(o, View("c")),
             [test_observe_kinds.helm_release("deployed", "superseded")]),
    "kustomization": (lambda o: flux.kustomization(o, View("c")),
                      [test_observe_kinds.helm_release("deployed"), TEKTON[0]]),
    "kserve": (lambda o: kserve.inference_service(o, View("c")),
               [test_observe_kinds.inference_service(("r1", 90), ("r2", 10))]),
    "job": (lambda o: annotated.job(o, View("c")), [{
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {
            "name": "j", "namespace": "n", "uid": "u", "annotations": {
                "metadata.kubeflow.org/input": '[{"kind": "Dataset", "spec": {"uri": "gs://b"}}]',
                "metadata.kubeflow.org/output": '{"kind": "Model", "spec": {"uri": "gs://m"}}'}},
        "status": {"startTime": "2020-07-01T00:00:00Z", "conditions": [
            {"type": "Complete", "status": "True"}]}}]),
}  # fmt: skip
READERS: dict[str, tuple[Callable[[bytes], Any], list[Any]]] = {
    "record": (parse_action, [ACTION]),
    "record of a key": (partial(parse_action, key="k"), [ACTION]),
    "ndjson": (REGISTRY["ndjson"].read, [ACTION]),  # type: ignore[dict-item]
    "openlineage": (REGISTRY["openlineage"].read, EVENTS),  # type: ignore[dict-item]
    "openlineage file": (documents, EVENTS),
    "slsa": (REGISTRY["slsa"].read,  # type: ignore[dict-item]
             [*STATEMENTS, *CHAINS[:3], ENVELOPE, {"dsseEnvelope": ENVELOPE}, {"items": CHAINS[:2]}]),
    "needs sync": (needs_sync.read, [ANSWER]),
    "notebook": (lambda body: run_of(json.loads(body)), [NOTEBOOK]),
    "cursor": (lambda body: reader._decode(
        base64.urlsafe_b64encode(body).decode().rstrip("="), (str, int)), [["a", 1]]),
    "rejected reports": (segments._document, [ACTION]),
}  # fmt: skip


@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
@fuzz
def test_documents_with_something_wrong_in_them(name: str, data: st.DataObject) -> None:
    """JSON of the right form but for a few values: read, or refused with the place."""
    parse, seeds = READERS[name]
    tried(parse, hostile.as_json(data.draw(hostile.mutated(seeds))))


@pytest.mark.parametrize("name", [name for name in READERS if name != "notebook"])
@given(data=st.data())
@fuzz
def test_bytes_that_were_a_document(name: str, data: st.DataObject) -> None:
    """Cut, doubled, overwritten, BOM, UTF-16, NaN, deep, endless numbers, names given twice."""
    parse, seeds = READERS[name]
    tried(parse, data.draw(hostile.spoiled([hostile.as_json(seed) for seed in seeds])))


BOMBS = {
    "deep list": hostile.deep(100_000),
    "deep object": hostile.deep(100_000, b'{"a":', b"}"),
    "deep and open": b"[" * 1_000_000,
    "deep below": b'{"params": ' + hostile.deep(900) + b"}",
    "deep enough to be read": hostile.deep(450),
    "endless number": b"1" * 5001,
    "endless number below": b'{"key": ' + b"9" * 100_000 + b"}",
    "endless fraction": b'{"key": 0.' + b"9" * 100_000 + b"}",
    "large exponent": b'{"key": 1e99999999}',
    "not a number": b'{"key": NaN, "type": Infinity}',
    "names given twice": b'{"key": "a", "key": ["b"], "type": "x", "type": "train"}',
    "bom": b"\xef\xbb\xbf" + hostile.as_json(ACTION),
    "utf-16": json.dumps(ACTION).encode("utf-16"),
    "utf-32": json.dumps(ACTION).encode("utf-32"),
    "latin-1": '{"key": "ü"}'.encode("latin-1"),
    "half a pair": b'{"key": "\\ud83d", "type": "\\udc00"}',
    "nul": b'{"key": "a\\u0000b"}\0',
    "nothing": b"",
    "blanks": b" " * 1_000_000,
    "lines": b"\n" * 1_000_000,
    "many lines": b"{}\n" * 100_000,
    "many names": b"{" + b",".join(b'"%d":0' % n for n in range(100_000)) + b"}",
    "one long text": b'"' + b"a" * 4_000_000 + b'"',
    "escapes": b'{"key": "' + b"\\u0041" * 500_000 + b'"}',
    "base64 in base64": hostile.as_json({**ENVELOPE, "payload": base64.b64encode(
        hostile.as_json({**ENVELOPE, "payload": base64.b64encode(b"{}").decode()})).decode()}),
    "envelopes": b'{"dsseEnvelope":' * 400 + b"{}" + b"}" * 400,
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in READERS if name not in ("notebook", "cursor")])
@pytest.mark.parametrize("bomb", BOMBS)
def test_no_document_is_a_bomb(name: str, bomb: str) -> None:
    """A hundred thousand levels, numbers of 5,000 digits, megabytes of nothing: soon refused."""
    tried(READERS[name][0], BOMBS[bomb])


@pytest.mark.parametrize("bomb", BOMBS)
def test_no_notebook_is_a_bomb(bomb: str, tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    path.write_bytes(BOMBS[bomb])
    tried(read_notebook, path)


@given(hostile.mutated([NOTEBOOK]))
@example({"cells": [test_notebook.code(str(hostile.nested(600)), tags=["lineage-input"])]})
@example({"cells": [test_notebook.code("(" * 5000, tags=["parameters"])]})
@example({"cells": [test_notebook.code("-" * 50_000 + "1", tags=["parameters"])]})
@example({"cells": [], "metadata": {"lineage": {"inputs": hostile.nested(450, "gs://b")}}})
@example({"cells": [test_notebook.code("x = " + "9" * 5000, tags=["parameters"])]})
@fuzz
def test_notebooks_in_memory(notebook: dict[str, Any]) -> None:
    """What nbformat holds, not only what JSON can."""
    tried(run_of, notebook)


@given(hostile.mutated(EVENTS) | hostile.junk)
@fuzz
def test_what_is_kept_of_an_event_is_read_again(raw: Any) -> None:
    """An event that is taken is kept as bytes that give the same reports."""
    try:
        read = orjson.loads(hostile.as_json(raw))  # as the server does
    except ValueError:
        return
    if found := tried(reports, read):
        body, made = found
        assert reports(orjson.loads(body)) == (body, made)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@fuzz
def test_objects_of_a_cluster(kind: str, data: st.DataObject) -> None:
    """Whatever a controller wrote into its objects, an observer goes on; what it makes of them
    is a record, or is left out."""
    parse, seeds = KINDS[kind]
    obj = data.draw(hostile.mutated(seeds))
    for record in tried(parse, obj) or ():
        sound(record)


@given(hostile.mutated([MAPPING]) | hostile.junk)
@fuzz
def test_mappings(document: Any) -> None:
    tried(parse_mapping, document)


@given(hostile.mutated([modelsyncs.sample()]))
@fuzz
def test_model_syncs(obj: Any) -> None:
    """A resource that nobody checked: problems are listed, or it is refused."""
    assume(isinstance(obj.get("metadata"), dict) and isinstance(obj.get("spec"), dict))
    tried(spec.parse, obj)
    tried(convert.converted, obj["spec"])


@given(hostile.mutated(TEKTON))
@fuzz
def test_runs_of_model_syncs(obj: Any) -> None:
    assume(isinstance(obj.get("metadata"), dict))
    tried(runs.run, obj)


@given(hostile.spoiled([CONFIGMAP]) | hostile.texts.map(lambda t: t.encode("utf-8", "replace")))
@example(b"a: &a [x]\n" + b"".join(b"%c: &%c [*%c, *%c, *%c]\n" % (n + 1, n + 1, n, n, n)
                                   for n in range(97, 120)) + b"data: *x")  # fmt: skip
@example(b"data: &a [*a]")
@example(b"[" * 10_000)
@example(b"? {a: b}\n: c")
@example(b"- " * 5000)
@fuzz
def test_manifests_of_a_git_tree(content: bytes) -> None:
    """What is no YAML, binary, or a bomb of aliases leaves the slot as it was."""
    files = {"a.yaml": content, "b.yaml": CONFIGMAP}
    for path in (IN_CONFIGMAP, yaml_path.parse("data"), yaml_path.parse("data[*][*]")):
        tried(lambda path: git_facts.held(files, path, "k8s://c/n/Deployment/w"), path)


# -- texts ----------------------------------------------------------------------------

SYNTAXES: dict[str, tuple[Callable[[str], Any], list[str]]] = {
    "selection": (terms.parse, ["2+gs://b/x+1", '(+A or not "b c"+) and type:Model', "not not a"]),
    "search": (matching.parse, ['label "a b" type:Model state:failed', "max_age=30", "kind:action"]),
    "span": (partial(spans.parse, "max_age"), ["1h30m", "7d", "1.5s"]),
    "limits": (Limits.parse, ["24h,a/b=7d"]),
    "time": (partial(asked, "as_of"), ["2020-07-01", "2020-07-01T00:00:00.123456+02:00", "20200701"]),
    "yaml path": (yaml_path.parse, ['data["a.yaml"].orgs[name=x].m[0][*]']),
    "cursor of a history": (timeline._parsed, ["1595519127000000/" + "ab" * 16]),
    "number of a size": (lambda t: Settings.from_env({"LINEAGE_MAX_BODY": t}), ["4MiB", "1 GiB"]),
    "seconds": (lambda t: Settings.from_env({"LINEAGE_REQUEST_TIMEOUT": t}), ["0.5"]),
    "port": (lambda t: Settings.from_env({"LINEAGE_PORT": t}), ["8080"]),
}  # fmt: skip
PIECES = ["+", "(", ")", '"', ":", "*", "=", "/", ",", "-", "0", "9" * 40, "9" * 5000, "\n", "\0",
          "٣", "²", "e", ".", "[", "]", "'", "@", "T", "Z", "type:", " not ", " and "]  # fmt: skip


@pytest.mark.parametrize("name", SYNTAXES)
@given(data=st.data())
@fuzz
def test_what_people_type(name: str, data: st.DataObject) -> None:
    """Syntaxes of our own: understood, or refused with what to write instead."""
    parse, seeds = SYNTAXES[name]
    piece = st.sampled_from([*seeds, *PIECES]) | hostile.texts
    tried(parse, "".join(data.draw(st.lists(piece, min_size=1, max_size=6))))


@given(st.text('"x \n+():*', max_size=12))
@example('x"a\nb"')
@fuzz
def test_selections_with_quotes_in_odd_places(text: str) -> None:
    tried(terms.parse, text)


@given(st.datetimes(), st.integers(-1439, 1439))
@example(__import__("datetime").datetime(1, 1, 1), 60)
@example(__import__("datetime").datetime(9999, 12, 31, 23, 59), -60)
@fuzz
def test_a_time_that_is_understood_can_be_written(moment: Any, offset: int) -> None:
    """Also at both ends of the calendar, where a time zone leads over the edge."""
    sign, minutes = "+" if offset >= 0 else "-", abs(offset)
    text = f"{moment.isoformat()}{sign}{minutes // 60:02}:{minutes % 60:02}"
    if (at := tried(partial(asked, "as_of"), text)) is not None:
        assert asked("as_of", iso(at)) == at


@given(hostile.texts, st.none() | hostile.texts, st.sampled_from(["Artifact", "Code", "Image"]))
@fuzz
def test_any_uri_and_version_has_one_identity_or_none(
    uri: str, version: str | None, type_: str
) -> None:
    """And what was found once is found again."""
    if found := tried(lambda _: identify(uri, version, type_), None):
        assert identify(found.uri, found.version, type_) == found
        assert canonical_uri(found.uri, type_) == found.uri
    assert without_credentials(without_credentials(uri)) == without_credentials(uri)


@pytest.mark.parametrize("scheme", ["https://", "git+ssh://", "oci://", "git@", "gs://", ""])
@given(rest=hostile.texts)
@fuzz
def test_uris_of_every_scheme(scheme: str, rest: str) -> None:
    for type_ in ("Artifact", "Code", "Image"):
        if found := tried(lambda t: identify(scheme + rest, None, t), type_):
            assert identify(found.uri, found.version, type_) == found


@given(hostile.texts, hostile.texts)
@fuzz
def test_names_of_datasets(namespace: str, name: str) -> None:
    """Any namespace and name make a URI, and any URI a namespace and a name."""
    for uri in (uri_of(namespace, name), namespace + name):
        dataset_of(uri)


# -- tables ---------------------------------------------------------------------------


@given(st.lists(st.lists(hostile.texts | hostile.numbers, min_size=1, max_size=4), max_size=5))
@fuzz
def test_no_cell_of_a_table_is_a_formula(rows: list[list[Any]]) -> None:
    """A table is read back as it was, but for the apostrophe before what would be run."""
    assume(not any("\ud800" <= c <= "\udfff" for row in rows for cell in row for c in str(cell)))
    body = tables.rows(rows).decode()
    found = list(csv.reader(io.StringIO(body, newline="")))
    assert len(found) == len(rows)
    for written, row in zip(found, rows, strict=True):
        for cell, given_ in zip(written, row, strict=True):
            if isinstance(given_, str):
                assert cell in (given_, "'" + given_)
                assert not cell.strip(" \t\r\n\0").startswith(("=", "+", "-", "@"))
            else:
                float(cell)


# -- what a crash leaves --------------------------------------------------------------

FRAMES = b"".join(segments.frame(n, b'{"key":"%d"}' % n) for n in range(1, 4))


@given(
    hostile.spoiled([FRAMES, FRAMES * 3]), st.binary(max_size=12) | st.integers().map(b"%d".__mod__)
)
@example(FRAMES, b"-5")
@example(FRAMES, b"999999999999")
@example(FRAMES, b"9" * 5000)
@fuzz
def test_a_segment_gives_its_sound_frames(content: bytes, delivered: bytes) -> None:
    """Damaged lines are named as such, sound ones are given, whatever the mark says."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "0-1-a.log"
        path.write_bytes(content)
        path.with_suffix(".at").write_bytes(delivered)
        segment = segments.Segment(path)
        start = segment.delivered
        assert 0 <= start <= len(content)
        lines = content[start:].split(b"\n")[:-1]
        found = list(segment.frames())
        assert [one.line for one in found] == lines
        for one in found:
            sound_ = segments.unframe(one.line)
            assert one.payload == (sound_[1] if sound_ else None)


# -- compressed bodies ----------------------------------------------------------------

MOST = 2**20


@given(hostile.spoiled([gzip.compress(b"{}"), gzip.compress(b"x" * 5000) * 2]))
@fuzz
def test_gzip_bodies(body: bytes) -> None:
    """Unpacked whole, or refused."""
    if (found := tried(partial(unpacked, most=MOST), body)) is not None and body:
        assert found == gzip.decompress(body)


def test_a_bomb_is_not_unpacked() -> None:
    """Of a gigabyte in a megabyte no more is unpacked than is allowed, and no more time spent."""
    with pytest.raises(TooLarge):
        unpacked(gzip.compress(b"\0" * (256 * MOST), 9), MOST)
    begun = time.monotonic()
    with pytest.raises(BadRequest, match="64 files"):
        unpacked(gzip.compress(b"") * 200_000, MOST)
    assert unpacked(gzip.compress(b"x") + b"\0" * MOST * 4, MOST) == b"x"
    assert unpacked(gzip.compress(b"x") * 64, MOST) == b"x" * 64
    assert time.monotonic() - begun < SLOWEST
