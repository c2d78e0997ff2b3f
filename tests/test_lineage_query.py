"""The graph around a thing: recorded edges, what follows from them, and honest limits."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineage.errors import BadRequest, NotFound
from lineage.graph import Graph
from lineage.identity import action_id, identify
from lineage.model import Action
from lineage.queries.lineage import lineage
from lineage.queries.references import resolve

from .memory import MemoryReader
from .strategies import actions
from .test_live import act

SHA = "sha256:" + "ab" * 32
reported = st.lists(actions(st.sampled_from(["k/1", "k/2", "k/3", "k/4"])), min_size=1, max_size=6)


def thing(uri: str, version: str | None = None, **more: Any) -> dict[str, Any]:
    return {"type": "Dataset", "uri": uri, "version": version, **more}


def step(key: str, hour: int, inputs: list[Any], outputs: list[Any]) -> Action:
    return act(key, hour, type="process", inputs=inputs, outputs=outputs)


def names(graph: Graph) -> set[str]:
    """Nodes by the key of the action, or the URI and version of the artifact."""
    return {
        getattr(node, "key", "") or f"{node.uri}@{node.version}"  # type: ignore[union-attr]
        for node in graph.nodes.values()
    }


def kinds(graph: Graph) -> dict[str, int]:
    found = [edge.kind for edge in graph.edges]
    return {kind: found.count(kind) for kind in sorted(set(found))}


def chain(length: int) -> MemoryReader:
    return MemoryReader.of(
        step(f"k/{n}", n, [thing(f"gs://b/{n}", "1")], [thing(f"gs://b/{n + 1}", "1")])
        for n in range(length)
    )


def test_upstream_and_downstream_of_a_chain() -> None:
    """Each direction ends at its own end of the chain; both is the two together."""
    reader = chain(4)
    up = lineage(reader, "gs://b/2", "upstream")
    down = lineage(reader, "gs://b/2", "downstream")
    assert names(up) == {"gs://b/2@1", "k/1", "gs://b/1@1", "k/0", "gs://b/0@1"}
    assert names(up) | names(down) == names(lineage(reader, "gs://b/2"))


def test_depth_counts_edges() -> None:
    """Depth 2 from an artifact reaches the actions around it and their other artifacts."""
    graph = lineage(chain(6), "gs://b/3", depth=2)
    assert names(graph) == {"gs://b/3@1", "k/2", "k/3", "gs://b/2@1", "gs://b/4@1"}
    assert not graph.truncated


def test_depth_nothing_is_the_start_alone() -> None:
    """Depth 0 draws what was asked about and nothing around it."""
    assert names(lineage(chain(2), "gs://b/1", depth=0)) == {"gs://b/1@1"}


@pytest.mark.parametrize("most", range(1, 11))
def test_limit_keeps_the_nearest_and_says_so(most: int) -> None:
    """The graph holds the nearest nodes, and is called truncated exactly when some are missing."""
    reader = chain(4)
    whole = lineage(reader, "gs://b/2")
    graph = lineage(reader, "gs://b/2", max_nodes=most)
    assert len(graph.nodes) == min(most, len(whole.nodes))
    assert graph.truncated == (most < len(whole.nodes))
    assert "gs://b/2@1" in names(graph)


def test_siblings_are_not_lineage() -> None:
    """Both directions do not turn around: what shares an ancestor stays out."""
    reader = MemoryReader.of(
        [
            step("a", 1, [thing("gs://b/x", "1")], [thing("gs://b/a", "1")]),
            step("b", 1, [thing("gs://b/x", "1")], [thing("gs://b/b", "1")]),
        ]
    )
    assert "b" not in names(lineage(reader, "gs://b/a"))


def test_unversioned_input_binds_to_the_newest_version_before() -> None:
    """A train that read `latest` came from the version that was the latest when it began."""
    reports = [
        step(f"make/{hour}", hour, [], [thing("gs://b/latest", f"v{hour}")]) for hour in (1, 2, 4)
    ]
    train = step("train", 3, [thing("gs://b/latest")], [thing("gs://b/model", "1")])
    graph = lineage(MemoryReader.of([*reports, train]), "gs://b/model", "upstream")
    assert names(graph) == {
        "gs://b/model@1", "train", "gs://b/latest@None", "gs://b/latest@v2", "make/2",
    }  # fmt: skip
    assert kinds(graph) == {"inferred": 1, "recorded": 3}


def test_late_report_mends_the_graph() -> None:
    """The binding appears when the version is reported, however late, from either end."""
    train = step("train", 3, [thing("gs://b/latest")], [thing("gs://b/model", "1")])
    reader = MemoryReader.of([train])
    assert "make" not in names(lineage(reader, "gs://b/model"))
    reader.record(step("make", 2, [], [thing("gs://b/latest", "v2")]))
    assert "make" in names(lineage(reader, "gs://b/model"))
    assert "gs://b/model@1" in names(lineage(reader, "gs://b/latest@v2", "downstream"))


def test_version_an_action_writes_itself_is_not_what_it_read() -> None:
    """An action that updates a file in one instant did not read its own result."""
    update = step("update", 1, [thing("gs://b/f")], [thing("gs://b/f", "v1")])
    assert kinds(lineage(MemoryReader.of([update]), "update")) == {"recorded": 2}


def test_inferred_edges_count_as_depth() -> None:
    """One step from the action is the version it read, not yet what made that version."""
    reader = MemoryReader.of(
        [
            step("make", 1, [], [thing("gs://b/f", "v1")]),
            step("read", 2, [thing("gs://b/f")], []),
        ]
    )
    assert "make" not in names(lineage(reader, "read", depth=1))
    assert "gs://b/f@v1" in names(lineage(reader, "read", depth=1))
    assert "make" in names(lineage(reader, "read", depth=2))


def test_copies_and_aliases_are_one_thing() -> None:
    """The same digest elsewhere, and a declared alias, lead on to where they came from."""
    reader = MemoryReader.of(
        [
            step("make", 1, [], [thing("gs://b/a", SHA)]),
            step("copy", 2, [thing("s3://c/a", SHA)], [thing("gs://b/out", "1")]),
            step("register", 3, [], [thing("models/x", "1", aliases=["gs://b/out"])]),
        ]
    )
    graph = lineage(reader, "models/x", "upstream")
    assert {"register", "gs://b/out@1", "copy", f"gs://b/a@{SHA}", "make"} <= names(graph)
    assert kinds(graph)["same content"] == 2


def test_cycle_ends() -> None:
    """Two actions that write each other's input are drawn once."""
    reader = MemoryReader.of(
        [
            step("a", 1, [thing("gs://b/x")], [thing("gs://b/y")]),
            step("b", 2, [thing("gs://b/y")], [thing("gs://b/x")]),
        ]
    )
    graph = lineage(reader, "a")
    assert len(graph.nodes) == 4
    assert kinds(graph) == {"recorded": 4}


def test_types_keep_their_artifacts_and_what_touches_them() -> None:
    """A filter by type leaves the start, artifacts of the type and the actions on them."""
    model = {"type": "Model", "uri": "gs://b/model", "version": "1"}
    reader = MemoryReader.of(
        [
            step("make", 1, [], [thing("gs://b/x", "1")]),
            step("train", 2, [thing("gs://b/x", "1")], [model]),
        ]
    )
    graph = lineage(reader, "gs://b/model", types=frozenset({"Code"}))
    assert names(graph) == {"gs://b/model@1", "train"}


@pytest.mark.parametrize(
    "ref",
    ["k/0", action_id("k/0"), "gs://b/0", "GS://B/0/", "gs://b/0@1", identify("gs://b/0", "1").id],
)
def test_names_a_thing_answers_to(ref: str) -> None:
    """Keys, ids, URIs in any spelling and URIs at a version are all found."""
    assert resolve(chain(1), ref) in ([action_id("k/0")], [identify("gs://b/0", "1").id])


def test_uri_names_every_version() -> None:
    """Without a version a URI stands for its whole family."""
    reader = MemoryReader.of([step("a", 1, [], [thing("gs://b/x", "1"), thing("gs://b/x", "2")])])
    assert len(resolve(reader, "gs://b/x")) == 2
    assert resolve(reader, "gs://b/x@2") == [identify("gs://b/x", "2").id]


def test_repository_and_image_are_found_as_people_write_them() -> None:
    """Code and images are looked up in their own canonical form."""
    code = {"repo": "https://host/o/r.git", "commit": "a" * 40, "image": "python@" + SHA}
    reader = MemoryReader.of([act("k", 1, code=code)])
    assert len(resolve(reader, "git@host:o/r")) == 1
    assert len(resolve(reader, "https://host/o/r@" + "a" * 40)) == 1
    assert len(resolve(reader, "docker-pullable://python@" + SHA)) == 1


@given(st.sets(st.text("01", min_size=12, max_size=12), min_size=1, max_size=6), st.data())
def test_the_beginning_of_a_commit_is_enough_when_unique(
    ends: set[str], data: st.DataObject
) -> None:
    """As git has it: 7 digits at least; of several the message lists them."""
    commits = [f"388b1{end}".ljust(40, "0") for end in sorted(ends)]
    repo = "https://github.com/o/code-intelligence"
    reader = MemoryReader.of(
        [step(commit, 1, [thing(repo, commit, type="Code")], []) for commit in commits]
    )
    length = data.draw(st.integers(6, 40))
    short = data.draw(st.sampled_from(commits))[:length]
    meant = [commit for commit in commits if commit.startswith(short)]
    for name in (repo, "git@github.com:o/code-intelligence.git", "code-intelligence"):
        ref = f"{name}@{short.upper()}"
        if length < 7 or len(meant) > 1:
            words = "nothing is called" if length < 7 else f"begins {len(meant)} versions.*388b1"
            with pytest.raises(NotFound if length < 7 else BadRequest, match=words):
                resolve(reader, ref)
        else:
            uri = "git+https://github.com/o/code-intelligence"
            assert resolve(reader, ref) == [identify(uri, meant[0]).id]


def test_the_beginning_of_a_digest_is_enough_when_unique() -> None:
    """With or without the name of its algorithm; a version that is no digest is written out."""
    digest = "sha256:" + "ab12" * 16
    reader = MemoryReader.of(
        [step("a", 1, [thing("ghcr.io/o/i", digest, type="Image")], []),
         step("b", 1, [thing("gs://b/k", "20200101-a"), thing("gs://b/k", digest)], [])]
    )  # fmt: skip
    image = identify("ghcr.io/o/i", digest, "Image").id
    for ref in ("ghcr.io/o/i@sha256:ab12ab1", "oci://ghcr.io/o/i@ab12ab12", "o/i@sha256:AB12ab1"):
        assert resolve(reader, ref) == [image]
    assert resolve(reader, "gs://b/k@ab12ab1") == [identify("gs://b/k", digest).id]
    for ref in ("gs://b/k@20200101", "gs://b/k@sha256:ab12", "gs://b/k@sha512:ab12ab1"):
        with pytest.raises(NotFound):
            resolve(reader, ref)


def test_last_part_is_enough_when_unique() -> None:
    """The last part of a URI finds it; one that several share lists them."""
    reader = MemoryReader.of(
        [step("a", 1, [thing("gs://b/one/x")], [thing("gs://b/two/x"), thing("gs://b/only")])]
    )
    assert resolve(reader, "only") == [identify("gs://b/only").id]
    with pytest.raises(BadRequest, match=r"names 2 things.*gs://b/one/x, gs://b/two/x"):
        resolve(reader, "x")


def test_a_thing_goes_before_actions_of_its_name() -> None:
    """A slot is found by its name, although the keys of its deploys end in it as well."""
    slot = {"type": "Deployment", "uri": "k8s://c/n/Deployment/worker", "version": "1"}
    reader = MemoryReader.of([step(f"git/{n}/worker", n, [], [slot]) for n in (1, 2)])
    assert resolve(reader, "worker") == [identify(slot["uri"], "1").id]
    with pytest.raises(NotFound, match="near it are git/1/worker, git/2/worker"):
        resolve(reader, "git/")


@pytest.mark.parametrize("ref", ["nowhere", "gs://", "@", "f" * 32])
def test_what_nothing_is_called_is_not_found(ref: str) -> None:
    """The message says what may be given."""
    with pytest.raises(NotFound, match="give an id, a URI"):
        resolve(chain(1), ref)


def test_near_names_are_suggested() -> None:
    """Part of a name is not enough, but the message lists what holds it."""
    reader = MemoryReader.of([step("a", 1, [], [thing("gs://b/issues.csv")])])
    with pytest.raises(NotFound, match=r"near it are gs://b/issues\.csv"):
        resolve(reader, "issues")


@settings(max_examples=50)
@given(reported)
def test_ancestors_and_descendants_are_duals(reports: list[Action]) -> None:
    """Whatever is upstream of a thing has that thing downstream, inferred edges included."""
    reader = MemoryReader.of(reports)
    ids = {node for one in reports for node in lineage(reader, one.key).nodes}
    up = {id_: set(lineage(reader, id_, "upstream").nodes) for id_ in ids}
    down = {id_: set(lineage(reader, id_, "downstream").nodes) for id_ in ids}
    assert {(a, b) for b in ids for a in up[b]} == {(a, b) for a in ids for b in down[a]}


@settings(max_examples=50)
@given(
    reported,
    st.none() | st.integers(0, 4),
    st.randoms(use_true_random=False),
)
def test_order_of_reports_does_not_matter(
    reports: list[Action], depth: int | None, random: random.Random
) -> None:
    """Shuffled and repeated, the same reports give the same graph."""
    again = reports + reports[:2]
    random.shuffle(again)
    key = reports[0].key
    one = lineage(MemoryReader.of(reports), key, depth=depth)
    two = lineage(MemoryReader.of(again), key, depth=depth)
    assert one.json() == two.json()


@settings(max_examples=50)
@given(reported, st.integers(1, 12))
def test_truncated_is_truthful(reports: list[Action], most: int) -> None:
    """A limit that cut something says so; one that did not gives the whole graph."""
    reader = MemoryReader.of(reports)
    whole = lineage(reader, reports[0].key)
    part = lineage(reader, reports[0].key, max_nodes=most)
    assert part.truncated == (len(whole.nodes) > most)
    assert part.truncated or part.json() == whole.json()


@settings(max_examples=50)
@given(reported)
def test_enough_depth_is_no_limit(reports: list[Action]) -> None:
    """Step by step and in one leap the same nodes and edges are found."""
    reader = MemoryReader.of(reports)
    whole = lineage(reader, reports[0].key)
    deep = lineage(reader, reports[0].key, depth=50)
    assert (deep.nodes, deep.edges) == (whole.nodes, whole.edges)
