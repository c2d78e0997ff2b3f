"""The two lambdas: they ask for what is needed, once, and for nothing that is not."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.errors import BadRequest, NotFound
from lineage.model import Action
from lineage.needs_sync import NeedsSync, read
from lineage.queries.staleness.family import Sought
from lineage.queries.staleness.lambdas import DOMAIN, Against, needs_sync, needs_train
from lineage.queries.staleness.spans import HOUR
from lineage.times import microseconds

from . import test_cli
from .conftest import Server
from .memory import MemoryReader
from .test_cli import Run

run = test_cli.run
SLOT = "k8s://prod/shop/Deployment/worker"
DATA = "gs://shop/orders.csv"
REPO = "https://host/shop/models"


def at(hour: float) -> datetime:
    return datetime(2020, 7, 1, tzinfo=UTC) + timedelta(hours=hour)


def micros(hour: float) -> int:
    return microseconds(at(hour))


def act(key: str, hour: float, type: str, controller: str, **more: Any) -> dict[str, Any]:
    """An action that takes half an hour."""
    return {
        "key": key, "type": type, "controller": {"namespace": "shop", "name": controller},
        "state": "complete", "started_at": at(hour).isoformat(),
        "ended_at": at(hour + 0.5).isoformat(), **more,
    }  # fmt: skip


def train(key: str, hour: float, model: str | None = None, **more: Any) -> dict[str, Any]:
    mention = {"type": "Model", "uri": model or f"models/{key}", "role": "model"}
    fields = {"outputs": [mention], **more}
    return act(key, hour, "train", fields.pop("controller_name", "trainer"), **fields)


def going(key: str, hour: float, state: str = "running", **more: Any) -> dict[str, Any]:
    ended = None if state == "running" else at(hour + 0.5).isoformat()
    return train(key, hour, state=state, ended_at=ended, outputs=[], **more)


def data(version: str | None, **more: Any) -> dict[str, Any]:
    return {"type": "Dataset", "uri": DATA, "version": version, **more}


def arrival(version: str | None, hour: float) -> dict[str, Any]:
    return act(f"data-{version}-{hour}", hour, "transform", "collector", outputs=[data(version)])


def code(commit: str, path: str | None = "train.ipynb") -> dict[str, Any]:
    return {"repo": REPO, "commit": commit * 40, **({"path": path} if path else {})}


def deploy(
    key: str, hour: float, model: str, evidence: str = "committed", slot: str = SLOT, **more: Any
) -> dict[str, Any]:
    outputs = [{"type": "Deployment", "uri": slot, "version": key, "evidence": evidence}]
    inputs = [{"type": "Model", "uri": model, **more}]
    return act(key, hour, "deploy", "deployer", inputs=inputs, outputs=outputs)


def reader(reports: Iterable[dict[str, Any]]) -> MemoryReader:
    return MemoryReader.of(Action.model_validate_json(json.dumps(one)) for one in reports)


TRAINER = Sought(controller="trainer")


def asked(
    *reports: dict[str, Any],
    hour: float = 10,
    max_age: float = 24,
    give_up: float = 24,
    who: Sought = TRAINER,
) -> NeedsSync:
    spans = round(max_age * HOUR), round(give_up * HOUR)
    return needs_train(reader(reports), micros(hour), who, *spans)


def wanted(
    *reports: dict[str, Any],
    slot: str = SLOT,
    who: Sought = TRAINER,
    against: Against = "committed",
    parameter: str = "name",
    version_parameter: str | None = None,
) -> NeedsSync:
    return needs_sync(reader(reports), who, slot, against, parameter, version_parameter)


def why(answer: NeedsSync) -> str:
    return answer.annotations[DOMAIN + "reason"]


# -- needs-train --------------------------------------------------------------------


def test_a_model_is_trained_again_when_it_is_older_than_the_limit() -> None:
    """Strictly older, counted from the end of its training, as the original does."""
    assert not asked(train("a", 0), hour=24.5).needs_sync
    late = asked(train("a", 0), hour=24.51)
    assert late.needs_sync
    assert late.parameters == {}
    assert why(late) == ("the latest model, a, was trained 24 h ago: it is over the limit of 24 h")
    assert late.annotations[DOMAIN + "model"] == "models/a"


def test_newer_data_asks_for_a_training() -> None:
    """A version that was made after the training began; the reason names it."""
    first = [arrival("v1", 0), train("a", 1, inputs=[data("v1")])]
    assert not asked(*first).needs_sync
    answer = asked(*first, arrival("v2", 2), arrival("v3", 3))
    assert answer.needs_sync
    assert "orders.csv has 2 newer versions than the model was trained with" in why(answer)
    assert answer.annotations[DOMAIN + "data"] == f"{DATA}@v3"


def test_data_without_a_version_is_what_there_was_when_the_training_began() -> None:
    """Written in place, each writing is a new version."""
    first = [arrival(None, 0), train("a", 1, inputs=[data(None)])]
    assert not asked(*first).needs_sync
    assert asked(*first, arrival(None, 2)).needs_sync
    assert not asked(arrival("v1", 0), train("a", 1, inputs=[data(None)])).needs_sync
    assert asked(arrival("v1", 0), train("a", 1, inputs=[data(None)]), arrival("v2", 2)).needs_sync


def test_a_trainer_that_is_pinned_to_old_data_is_not_sent_for_ever() -> None:
    """What was there when it began and was left unread, the next training would not read."""
    pinned = [arrival("v1", 0), arrival("v2", 1), train("a", 2, inputs=[data("v1")])]
    assert not asked(*pinned).needs_sync
    assert asked(*pinned, arrival("v3", 3)).needs_sync


def test_failed_and_unfinished_data_is_no_newer_data() -> None:
    """Only what a complete action wrote is there to be read."""
    first = [arrival("v1", 0), train("a", 1, inputs=[data("v1")])]
    for state in ("failed", "running"):
        assert not asked(*first, arrival("v2", 2) | {"state": state}).needs_sync


def test_a_training_is_not_behind_the_data_of_its_own_run() -> None:
    """What its own parts wrote is not news."""
    part = arrival("v2", 1.1) | {"parent": "a"}
    assert not asked(arrival("v1", 0), train("a", 1, inputs=[data("v1")]), part).needs_sync


def test_newer_code_at_the_same_path_asks_for_a_training() -> None:
    """A later commit of the same notebook; a commit of anything else is not its code."""
    first = train("a", 1, code=code("a"))
    other = act("b", 2, "evaluate", "tester", code=code("b"))
    assert asked(first, other).needs_sync
    assert asked(first, other).annotations[DOMAIN + "commit"].endswith("@" + "b" * 40)
    for path in ("deploy/base/kustomization.yaml", None):
        assert not asked(first, other | {"code": code("b", path)}).needs_sync


def test_deploys_to_the_repository_of_the_code_ask_for_no_training() -> None:
    """A training that names no path is compared with trainings only, else each would cause
    the other."""
    first = train("a", 1, code=code("a", None))
    second = deploy("d", 2, "models/a") | {"code": code("b", None)}
    assert not asked(first, second).needs_sync


def test_a_rollback_of_the_code_stays() -> None:
    """The commit that was taken back is not newer code."""
    runs = [train(k, n, code=code(c)) for n, (k, c) in enumerate([("x", "a"), ("y", "b")])]
    assert not asked(*runs, train("z", 3, code=code("a"))).needs_sync


def test_nothing_is_asked_for_while_a_training_runs() -> None:
    """Whatever else is so; but a training that never ends blocks for `give_up` only."""
    old = train("a", -100)
    assert asked(old).needs_sync
    running = asked(old, going("b", 9))
    assert (running.needs_sync, why(running)) == (
        False, "b of trainer has been training since 2020-07-01T09:00:00Z",
    )  # fmt: skip
    assert asked(old, going("b", 9), give_up=0.9).needs_sync
    assert asked(old, going("b", 9, controller_name="somebody")).needs_sync


def test_failed_trainings_never_count() -> None:
    """Neither as a model nor as a training that runs."""
    assert asked(going("a", 1, "failed")).needs_sync
    assert asked(train("a", -100), train("b", 1, state="failed")).needs_sync
    assert not asked(train("a", 1), train("b", 2, state="failed")).needs_sync


def test_without_a_model_there_must_be_a_training() -> None:
    """The first one, of a trainer nobody has heard of yet."""
    answer = asked()
    assert answer.needs_sync
    assert why(answer) == "no training of controller 'trainer' has completed yet"


def test_a_wrong_name_does_not_train_for_ever() -> None:
    """Once something else was trained in the time, an unknown name is an error, and says so."""
    one = train("a", 1)
    for who in (Sought(None, "tariner"), Sought("models/b"), Sought("b", "trainer")):
        with pytest.raises(NotFound, match="check the name"):
            asked(one, who=who)
    assert not asked(going("a", 1), who=Sought("models/b")).needs_sync
    assert asked(one, who=Sought(None, "tariner", "elsewhere")).needs_sync


def test_a_training_that_left_no_model_counts() -> None:
    """A trainer whose model nobody recorded is not sent again and again."""
    lost = train("b", 5, outputs=[])
    assert not asked(lost).needs_sync
    answer = asked(train("a", -100), lost)
    assert not answer.needs_sync
    assert "b of trainer left no model and was trained 4 h 30 min ago" in why(answer)


@pytest.mark.parametrize("who", [
    {"model": "models/a"}, {"model": "a"}, {"model": "models/b"}, {"model": "Triage"},
    {"controller": "trainer"}, {"model": "b", "controller": "trainer"},
    {"model": "Triage", "namespace": "shop"},
])  # fmt: skip
def test_a_family_has_many_names(who: dict[str, str]) -> None:
    """Any model of it by URI, last part or name, or its trainer: the latest model counts."""
    named = {"type": "Model", "role": "model", "name": "Triage"}
    runs = [train(k, n, outputs=[{**named, "uri": f"models/{k}"}]) for n, k in enumerate("ab")]
    assert asked(*runs, who=Sought(**who)).annotations[DOMAIN + "model"] == "models/b"


def test_families_of_one_trainer_are_told_apart() -> None:
    """By the role and the name of the model: another one's training is not its training."""

    def one(key: str, hour: float, role: str) -> dict[str, Any]:
        return train(key, hour, outputs=[{"type": "Model", "uri": f"models/{key}", "role": role}])

    runs = [one("e1", -100, "encoder"), one("c1", 1, "classifier")]
    assert asked(*runs, who=Sought("models/e1")).needs_sync
    assert not asked(*runs, who=Sought("models/c1")).needs_sync


def test_a_name_that_fits_several_trainers_is_refused() -> None:
    """A model of the wrong cluster must not be taken for the latest one."""
    named = {"type": "Model", "name": "Triage"}
    runs = [train(k, 1, outputs=[{**named, "uri": f"models/{k}"}], controller_name=k) for k in "ab"]
    with pytest.raises(BadRequest, match="shop/a, shop/b; say which by controller="):
        asked(*runs, who=Sought("Triage"))
    with pytest.raises(BadRequest, match="say which family"):
        asked(*runs, who=Sought(namespace="shop"))


def test_clusters_are_told_apart() -> None:
    """The same trainer in two clusters is two: what is tried out in one stays there."""
    runs = [train(name, hour) for hour, name in enumerate(("dev", "prod"))]
    for run in runs:
        run["controller"]["cluster"] = run["key"]
    with pytest.raises(BadRequest, match="dev/shop/trainer, prod/shop/trainer"):
        wanted(*runs)
    for name in ("dev", "prod"):
        assert wanted(*runs, who=Sought(None, "trainer", None, name)).parameters == {
            "name": f"models/{name}"
        }
        assert wanted(*runs, who=Sought(name)).parameters == {"name": f"models/{name}"}


@given(st.data())
def test_a_training_that_reads_what_there_is_ends_the_asking(draw: st.DataObject) -> None:
    """Whatever happened before: after a complete training with the newest data and code, the
    answer is no. So no answer feeds itself."""
    hours = st.integers(0, 20)
    reports = draw.draw(st.lists(st.one_of(
        st.builds(arrival, st.sampled_from(["v1", "v2", None]), hours),
        st.builds(lambda h, s, v, c: train(f"t{h}", h, state=s, inputs=[data(v)], code=code(c)),
                  hours, st.sampled_from(["complete", "failed", "canceled"]),
                  st.sampled_from(["v1", "v2", None]), st.sampled_from("ab")),
        st.builds(lambda h, c: deploy(f"d{h}", h, "models/t1") | {"code": code(c, None)},
                  hours, st.sampled_from("ab")),
    ), max_size=8))  # fmt: skip
    versions = st.sampled_from(["v1", "v2", None])
    last = train(
        "last", 21, inputs=[data(draw.draw(versions))], code=code(draw.draw(st.sampled_from("abc")))
    )
    assert not asked(*reports, last, hour=22).needs_sync


# -- needs-sync ---------------------------------------------------------------------


def test_the_latest_model_is_asked_for() -> None:
    """Until the tree holds it; the parameter carries its name all the time, as the original's."""
    first = [train("a", 0), deploy("d1", 1, "models/a")]
    assert wanted(*first).json()["parameters"] == {"name": "models/a"}
    assert not wanted(*first).needs_sync
    answer = wanted(*first, train("b", 2))
    assert (answer.needs_sync, answer.parameters) == (True, {"name": "models/b"})
    assert why(answer) == ("the latest model is b, in the slot is a since 2020-07-01T01:30:00Z")
    assert (answer.annotations[DOMAIN + "wanted"], answer.annotations[DOMAIN + "observed"]) == (
        "models/b", "models/a",
    )  # fmt: skip
    assert not wanted(*first, train("b", 2), deploy("d2", 3, "models/b")).needs_sync


def test_without_any_model_nothing_is_deployed() -> None:
    """The original answered true here, and had no name to give."""
    answer = wanted(deploy("d1", 1, "models/x"), going("a", 2, "failed"))
    assert (answer.needs_sync, answer.parameters) == (False, {})
    assert "there is nothing to deploy" in why(answer)


def test_a_rollback_is_not_undone_until_a_newer_model_appears() -> None:
    """The latest model was there and was replaced: somebody knew why."""
    rolled = [
        train("a", 0), deploy("d1", 1, "models/a"),
        train("b", 2), deploy("d2", 3, "models/b"), deploy("d3", 4, "models/a"),
    ]  # fmt: skip
    answer = wanted(*rolled)
    assert not answer.needs_sync
    assert "a rollback is not undone" in why(answer)
    assert wanted(*rolled, train("c", 5)).parameters == {"name": "models/c"}
    assert wanted(*rolled, train("c", 5)).needs_sync
    assert not wanted(*rolled, deploy("d4", 6, "models/b")).needs_sync


def test_the_tree_and_the_cluster_may_differ() -> None:
    """`committed` waits for no syncer, so a merged change is not asked for again; `live` does.
    Where nothing was ever committed, live is what there is."""
    merged = [
        train("a", 0), deploy("d1", 1, "models/a"), deploy("o1", 2, "models/a", "observed"),
        train("b", 3), deploy("d2", 4, "models/b"),
    ]  # fmt: skip
    assert not wanted(*merged).needs_sync
    assert wanted(*merged, against="live").needs_sync
    seen = [train("a", 0), deploy("o1", 1, "models/a", "observed")]
    assert not wanted(*seen).needs_sync
    assert wanted(*seen, train("b", 2)).needs_sync


def test_claims_put_nothing_into_a_slot() -> None:
    """A pull request that only says so leaves the model asked for."""
    assert wanted(train("a", 0), deploy("pr", 1, "models/a", "claimed")).needs_sync


def test_a_wrong_slot_does_not_deploy_for_ever() -> None:
    """A slot nobody knows gets its first model, unless that is in another one already."""
    assert wanted(train("a", 0)).needs_sync
    with pytest.raises(NotFound, match="check the name"):
        wanted(train("a", 0), deploy("d1", 1, "models/a"), slot=SLOT + "-typo")


def test_a_slot_of_unknown_content_is_an_error() -> None:
    """Where no deploy says which model it brought, a yes would never end."""
    with pytest.raises(NotFound, match="d1 recorded none"):
        wanted(train("a", 0), deploy("d1", 1, "models/a") | {"inputs": []})


def test_a_version_has_a_parameter_of_its_own() -> None:
    """Where one name has many versions; only when asked for, since a controller may not know it."""

    def model(version: str) -> list[dict[str, Any]]:
        return [{"type": "Model", "uri": "models/m", "version": version}]

    runs = [train(v, n, outputs=model(v)) for n, v in enumerate(("v1", "v2"))]
    held = deploy("d1", 3, "models/m", version="v1")
    assert wanted(*runs, held).parameters == {"name": "models/m"}
    answer = wanted(*runs, held, parameter="model", version_parameter="revision")
    assert answer.needs_sync
    assert answer.parameters == {"model": "models/m", "revision": "v2"}


def test_several_models_of_one_training_must_be_told_apart() -> None:
    """Lineage does not guess which of them belongs into the slot."""
    both = [{"type": "Model", "uri": f"models/{name}", "role": name} for name in ("enc", "cls")]
    run = train("a", 0, outputs=both)
    with pytest.raises(BadRequest, match="several at once"):
        wanted(run)
    assert wanted(run, who=Sought("models/enc")).parameters == {"name": "models/enc"}


def test_what_was_removed_is_not_brought_back() -> None:
    """A slot that was deleted stays so."""
    gone = deploy("deleted-1", 2, "models/a", "observed")
    gone["outputs"][0]["properties"] = {"traffic": 0}
    answer = wanted(train("a", 0), deploy("o1", 1, "models/a", "observed"), gone)
    assert not answer.needs_sync
    assert "removed" in why(answer)


@given(st.lists(st.tuples(st.sampled_from("td"), st.sampled_from("abc"),
                          st.sampled_from(["committed", "observed", "claimed"])), max_size=10))  # fmt: skip
def test_a_deploy_of_what_was_asked_for_ends_the_asking(steps: list[tuple[str, str, str]]) -> None:
    """Whatever was trained, deployed and rolled back before: if the answer is yes, deploying
    what it names makes it no, in the tree and in the cluster alike."""
    reports = [
        train(f"t{n}-{name}", n, f"models/{name}") if kind == "t"
        else deploy(f"d{n}", n, f"models/{name}", evidence)
        for n, (kind, name, evidence) in enumerate(steps)
    ]  # fmt: skip
    for against, evidence in (("committed", "committed"), ("live", "observed")):
        answer = wanted(*reports, against=against)  # type: ignore[arg-type]
        if answer.needs_sync:
            done = deploy("done", 50, answer.parameters["name"], evidence)
            assert not wanted(*reports, done, against=against).needs_sync  # type: ignore[arg-type]


# -- over HTTP ----------------------------------------------------------------------


def get(server: Server, path: str, method: str = "GET", **params: str) -> tuple[int, str, bytes]:
    request = urllib.request.Request(f"{server.url}{path}?{urlencode(params)}", method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request) as response:
            return response.status, response.headers["content-type"], response.read()
    except HTTPError as error:
        return error.code, error.headers["content-type"], error.read()


@pytest.fixture(scope="module")
def shop(server: Server) -> Server:
    """A trainer and a slot of their own on the server of the session."""
    reports = [
        arrival("v1", 0), train("http-a", 1, inputs=[data("v1")], controller_name="http-trainer"),
        deploy("http-d", 2, "models/http-a", slot=SLOT + "-http"),
        train("http-b", 3, inputs=[data("v1")], controller_name="http-trainer"),
    ]  # fmt: skip
    for one in reports:
        server.client().record(one)
    return server


WHO = {"controller": "http-trainer"}
SYNC = {**WHO, "slot": SLOT + "-http"}


def test_the_lambdas_answer_the_contract(shop: Server) -> None:
    """Status 200, JSON, the members in the original's order; HEAD as well."""
    status, kind, body = get(shop, "/lambda/needs-sync", **SYNC)
    assert (status, kind) == (200, "application/json")
    assert body.startswith(
        b'{"kind":"NeedsSync","apiVersion":"v1alpha1","metadata":{"creationTimestamp":null,'
    )
    assert read(body).parameters == {"name": "models/http-b"}
    assert get(shop, "/lambda/needs-train", "HEAD", **WHO) == (200, "application/json", b"")


def test_the_lambdas_travel_in_time(shop: Server) -> None:
    """As of a moment they say what they would have said then."""

    def needs(path: str, moment: str, **params: str) -> bool:
        return read(get(shop, path, as_of=moment, **params)[2]).needs_sync

    assert not needs("/lambda/needs-sync", "2020-07-01T02:45:00Z", **SYNC)
    assert needs("/lambda/needs-sync", "2020-07-01T03:45:00Z", **SYNC)
    assert not needs("/lambda/needs-train", "2020-07-01T03:10:00Z", **WHO)
    assert not needs("/lambda/needs-train", "2020-07-02T03:00:00Z", **WHO)
    assert needs("/lambda/needs-train", "2020-07-02T04:00:00Z", **WHO)


@pytest.mark.parametrize(
    ("path", "params", "status", "said"),
    [
        ("needs-train", {}, 400, "say which family"),
        ("needs-train", {**WHO, "max_age": "soon"}, 400, "max_age: not a length of time"),
        ("needs-train", {**WHO, "max-age": "24h"}, 400, "max-age: not a parameter here"),
        ("needs-train", {**WHO, "as_of": "soon"}, 400, "as_of: not a time"),
        ("needs-sync", WHO, 400, "slot"),
        ("needs-sync", {**SYNC, "against": "hope"}, 400, "against"),
        ("needs-sync", {**SYNC, "version_parameter": "name"}, 400, "version_parameter"),
        ("needs-sync", {**SYNC, "slot": "k8s://nowhere"}, 200, ""),
    ],
)
def test_an_error_has_the_form_of_the_contract(
    shop: Server, path: str, params: dict[str, str], status: int, said: str
) -> None:
    """Never 200, never another shape, and a message that says what to do."""
    found, kind, body = get(shop, f"/lambda/{path}", **params)
    assert (found, kind) == (status, "application/json")
    assert said in "".join(read(body).errors)
    assert json.loads(body)["kind"] == "NeedsSync"


def test_the_conformance_suite_passes_on_both(shop: Server, run: Run) -> None:
    """`lineage lambda-check` has nothing to say, with the parameter declared."""
    for path, params, options in (
        ("needs-train", WHO, ()), ("needs-sync", SYNC, ("--parameter", "name")),
    ):  # fmt: skip
        done = run("lambda-check", f"{shop.url}/lambda/{path}?{urlencode(params)}", *options)
        assert (done.code, done.out) == (0, "The lambda keeps the contract.\n")


def test_the_lambdas_are_described_as_they_are(shop: Server) -> None:
    """OpenAPI: no prefix, the schema of the contract, errors in its form, no 422."""
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
        f"{shop.url}/api/v1/openapi.json"
    ) as response:
        paths = json.load(response)["paths"]
    for path in ("/lambda/needs-train", "/lambda/needs-sync"):
        assert list(paths[path]) == ["get"]
        described = paths[path]["get"]["responses"]
        assert sorted(described) == ["200", "400", "401", "403", "404", "429", "500", "503"]
        schema = described["200"]["content"]["application/json"]["schema"]
        assert schema["properties"]["needsSync"] == {"type": "boolean"}
