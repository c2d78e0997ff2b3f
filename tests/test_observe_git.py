"""The git observer: a real repository, the command as people run it, a real server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pygit2
import pytest

from controllers_hooks.observers import yaml_path
from controllers_hooks.observers.git import Repository
from controllers_hooks.observers.git_facts import alike, pull_request
from lineage.cli import main
from lineage.errors import BadRequest, LineageError

from .conftest import COMMAND, Server, clean_environment

FACTS = Path(__file__).parent.parent / "examples" / "label_bot" / "facts" / "history.json"
MODELS = "projects/976279526634/locations/us-central1/models/"
TREE = "acm-repos/issue-label-bot/namespaces/label-bot-prod"
CONFIGMAPS = f"{TREE}/*configmap_label-bot-model-config-*.yaml"
IN_CONFIGMAP = 'data["model_config.yaml"].orgs[name=kubeflow].automl_model'
KPTFILE = "Label_Microservice/deployment/Kptfile"
SETTER = 'openAPI.definitions["io.k8s.cli.setters.automl-model"].x-k8s-cli.setter.value'
DAY = 86_400
START = 1_600_000_000


class Done(NamedTuple):
    code: int
    out: str
    err: str


class Repo:
    """A bare repository with one branch, `main`, and a tree that commits change."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.git = pygit2.init_repository(str(path), bare=True, initial_head="main")
        self.trees: dict[str, dict[str, bytes]] = {}

    def commit(
        self,
        files: Mapping[str, str | bytes | None],
        message: str,
        at: int = START,
        parents: tuple[str, ...] | None = None,
        authored: int | None = None,
    ) -> str:
        """A commit on top of `parents` (else of main), which main then is; None removes."""
        if parents is None:
            head = self.git.references.get("refs/heads/main")
            parents = (str(head.target),) if head else ()
        tree = dict(self.trees[parents[0]]) if parents else {}
        for name, content in files.items():
            tree.pop(name, None)
            if content is not None:
                tree[name] = content.encode() if isinstance(content, str) else content
        index = pygit2.Index()
        for name, body in tree.items():
            blob = self.git.create_blob(body)
            index.add(pygit2.IndexEntry(name, blob, pygit2.enums.FileMode.BLOB))
        made = self.git.create_commit(
            None, _who(at if authored is None else authored), _who(at), message,
            index.write_tree(self.git), list(parents),
        )  # fmt: skip
        self.trees[str(made)] = tree
        return self.reset(str(made))

    def reset(self, sha: str) -> str:
        """`git push --force`."""
        self.git.references.create("refs/heads/main", sha, force=True)
        return sha


class Place(NamedTuple):
    """A repository, a slot of its own, and the command that watches both."""

    repo: Repo
    slot: str
    server: Server
    run: Callable[..., Done]

    def look(self, *more: str, file: str = "app.yaml", path: str = "model") -> Done:
        return self.run(
            "observe", "git", "--once", "--repo", self.repo.path, "--branch", "main",
            "--file", file, "--path", path, "--slot", self.slot,
            "--repo-url", f"https://git.example/{self.repo.path.name}", *more,
        )  # fmt: skip

    def live(self, as_of: str | None = None) -> dict[str, Any] | None:
        options = ["--as-of", as_of] if as_of else []
        done = self.run("live", "--json", *options)
        found = [s for s in json.loads(done.out)["slots"] if s["slot"] == self.slot]
        return found[0] if found else None

    def periods(self) -> list[dict[str, Any]]:
        """What was live in the slot, oldest first; the server begins with the newest."""
        found: list[dict[str, Any]] = self.server.client().history(self.slot)["periods"]
        return found[::-1]

    def models(self, as_of: str | None = None) -> list[str]:
        found = self.live(as_of)
        return [m["uri"].removeprefix(MODELS) for m in found["models"]] if found else []

    def actions(self) -> dict[str, dict[str, Any]]:
        """What is recorded for the slot, by short commit."""
        every = self.server.client().actions(type="deploy")
        mine = [a for a in every if any(o["uri"] == self.slot for o in a["outputs"])]
        return {a["key"].split("/", 3)[3]: a for a in mine}


@pytest.fixture
def place(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Place:
    for name in list(os.environ):
        if name.startswith("LINEAGE_"):
            monkeypatch.delenv(name)

    def run(*arguments: object) -> Done:
        capfd.readouterr()
        try:
            main([str(a) for a in arguments] + ["--url", server.url])
            code = 0
        except SystemExit as exit:
            code = int(exit.code or 0)
        return Done(code, *capfd.readouterr())

    name = request.node.name.partition("[")[0]
    return Place(Repo(tmp_path / name), f"k8s://git/{name}/Deployment/worker", server, run)


def _who(at: int) -> pygit2.Signature:
    return pygit2.Signature("A Writer", "writer@git.example", at)


def configmap(name: str, value: str) -> str:
    inner = f'orgs:\n    - name: kubeflow\n      automl_model: "{value}" # set by kpt\n'
    return (
        f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  namespace: label-bot-prod\n"
        f"data:\n  model_config.yaml: |\n    {inner}"
    )


def kptfile(value: str) -> str:
    return (
        "openAPI:\n  definitions:\n    io.k8s.cli.setters.automl-model:\n      x-k8s-cli:\n"
        f"        setter:\n          name: automl-model\n          value: {value}\n"
    )


def label_bot(repo: Repo) -> dict[str, str]:
    """The label bot's history again, with its subjects, times, parents and values; original
    commit → the one made here. Parents that the facts do not hold are left out."""
    made: dict[str, str] = {}
    tip: tuple[str, ...] = ()
    for fact in json.loads(FACTS.read_text()):
        given = tuple(made[p] for p in fact["parents"] if p in made)
        # 23e32c5 is on a branch beside 6c3efe6, which merges it.
        on_branch = fact["commit"].startswith("23e32c5")
        parents = (tip[0], *(p for p in given if p not in tip)) if tip else ()
        files: dict[str, str | None] = dict.fromkeys(repo.trees[parents[0]] if parents else ())
        value = fact["configmap_value"]
        files |= {
            f"{TREE}/~g_v1_configmap_{name}.yaml": configmap(name, value)
            for name in fact["configmaps"]
        }
        if fact["kptfile_value"]:
            files[KPTFILE] = kptfile(fact["kptfile_value"])
        moments = [
            int(datetime.fromisoformat(fact[n]).timestamp()) for n in ("commit_date", "author_date")
        ]
        sha = repo.commit(files, fact["subject"], moments[0], parents, moments[1])
        made[fact["commit"]] = sha
        if not on_branch:
            tip = (sha,)
    return made


def test_label_bot_is_what_it_was(place: Place) -> None:
    """Live now and then, as the tree says; #194's title is flagged, #184's agrees."""
    made = label_bot(place.repo)
    done = place.look(file=CONFIGMAPS, path=IN_CONFIGMAP)
    assert (done.code, done.err) == (0, "") and "7 created" in done.out
    now = place.live()
    assert now is not None
    assert place.models() == ["TCN4131157655647420416"]
    assert (now["since"], now["evidence"]) == ("2020-10-05T12:59:08Z", "committed")
    assert place.models("2020-08-01") == ["TCN2113632983515660288"]
    assert place.models("2020-07-10") == ["TCN654213816573231104"]
    assert place.models("2020-06-30") == []
    assert now["status"] == "disagree"
    assert [
        (c["action"]["name"][8:], c["agrees"], [m["name"] for m in c["models"]])
        for c in now["claims"]
    ] == [
        ("#194", False, ["TCN1122084601494241280"]),
        ("#184", True, ["TCN4131157655647420416"]),
    ]
    merge = made["6c3efe61752baa6a93279157b6a1318cfdacfff3"]
    assert [p["since"][:10] for p in place.periods()] == [
        "2020-06-30", "2020-07-15", "2020-07-16", "2020-07-16", "2020-10-05"
    ]  # fmt: skip
    assert place.periods()[3]["action"]["name"] == f"{merge[:7]} #173"


def test_the_same_records_as_the_example(place: Place) -> None:
    """Apart from commit ids and authors, the very records that examples/label_bot ships, so
    that both ways give one action."""
    made = label_bot(place.repo)
    url = "https://github.com/kubeflow/code-intelligence"
    slot = "k8s://issue-label-bot/label-bot-prod/Deployment/label-bot-worker"
    shipped = (FACTS.parent.parent / "history.ndjson").read_text()
    for old, new in made.items():
        shipped = shipped.replace(old, new).replace(f'"{old[:7]} ', f'"{new[:7]} ')
    place._replace(slot=slot).look("--repo-url", url, file=CONFIGMAPS, path=IN_CONFIGMAP)
    client = place.server.client()
    for line in shipped.splitlines():
        record = json.loads(line)
        before = client.action(record["key"])
        answer = client.record(record)
        assert (answer["outcome"], before["by"]) == ("unchanged", "A Writer")


def test_a_second_look_is_no_news(place: Place) -> None:
    """Nothing is sent again, and were it, it would change nothing."""
    label_bot(place.repo)
    place.look(file=CONFIGMAPS, path=IN_CONFIGMAP)
    before = b"".join(place.server.client().export())
    done = place.look(file=CONFIGMAPS, path=IN_CONFIGMAP)
    assert done.code == 0 and done.out.startswith("nothing new on main")
    assert b"".join(place.server.client().export()) == before


def test_the_setter_of_a_kptfile(place: Place) -> None:
    """A value deep in one file: live since the commit that first held it."""
    label_bot(place.repo)
    place.look(file=KPTFILE, path=SETTER)
    assert place.models() == ["TCN4131157655647420416"]
    assert place.models("2020-07-03") == []
    assert place.models("2020-07-10") == ["TCN654213816573231104"]


def test_a_look_begins_where_the_last_one_ended(place: Place) -> None:
    """Commits of one second, or of a clock that went back, stay in the branch's order, also
    when they are seen by different looks."""
    for model, at in (("a", START), ("b", START), ("c", START - DAY)):
        place.repo.commit({"app.yaml": f"model: m/{model}"}, f"to {model}", at)
        assert "1 created" in place.look().out
        assert place.models() == [f"m/{model}"]
    assert [p["models"][0]["uri"] for p in place.periods()] == [
        "m/a", "m/b", "m/c"
    ]  # fmt: skip


def test_a_claim_beside_another_value(place: Place) -> None:
    """The tree says b and the message c: b is live, and both are on record."""
    place.repo.commit({"app.yaml": "model: m/a1"}, "begin", START)
    sha = place.repo.commit({"app.yaml": "model: m/b1"}, "Update from m/a1 to m/c1 (#7)", START + 1)
    place.look()
    assert place.models() == ["m/b1"]
    action = next(a for key, a in place.actions().items() if sha in key)
    assert {(i["uri"], i.get("evidence")) for i in action["inputs"] if i["type"] == "Model"} == {
        ("m/b1", "committed"), ("m/c1", "claimed")
    }  # fmt: skip
    assert action["links"]["pull request"].endswith("/pull/7")


def test_force_push(place: Place) -> None:
    """What the branch holds now is live from the moment that was seen; before it, and in the
    records of what vanished, the past stays."""
    a = place.repo.commit({"app.yaml": "model: m/a"}, "a", START)
    b = place.repo.commit({"app.yaml": "model: m/b"}, "b (#2)", START + DAY)
    place.look()
    c = place.repo.commit({"app.yaml": "model: m/c"}, "c (#3)", START + 10, parents=(a,))
    done = place.look()
    assert done.code == 0 and f"moved from {b[:7]} to {c[:7]} by force" in done.err
    now = place.live()
    assert now is not None and place.models() == ["m/c"]
    assert now["since"] > "2026" and now["action"]["name"] == f"{c[:7]} #3"
    assert place.models("2020-09-20") == ["m/b"]
    assert place.look().out.startswith("nothing new")
    assert any(b in key for key in place.actions())

    place.repo.commit({"app.yaml": "model: m/d"}, "d", START + 20)
    assert "1 created" in place.look().out and place.models() == ["m/d"]


def test_force_push_back_and_forth(place: Place) -> None:
    """A branch set back to a commit it had before: the move is the deploy, each time anew."""
    a = place.repo.commit({"app.yaml": "model: m/a"}, "a", START)
    b = place.repo.commit({"app.yaml": "model: m/b"}, "b", START + DAY)
    place.look()
    for sha, model in ((a, "m/a"), (b, "m/b"), (a, "m/a"), (b, "m/b")):
        place.repo.reset(sha)
        assert "1 created" in place.look().out
        assert place.models() == [model]
        assert place.look().out.startswith("nothing new")
    assert len([key for key in place.actions() if "/moved-" in key]) == 4


def test_force_push_of_a_whole_new_history(place: Place, tmp_path: Path) -> None:
    """The old commits are gone from the clone too; what holds now is still found."""
    place.repo.commit({"app.yaml": "model: m/a"}, "a", START)
    place.look()
    fresh = Repo(tmp_path / "fresh" / place.repo.path.name)
    fresh.commit({"README": "x"}, "begin again", START + 5)
    fresh.commit({"app.yaml": "model: m/z"}, "z", START + 6)
    other = place._replace(repo=fresh)
    assert "by force" in other.look().err
    assert other.models() == ["m/z"] and other.models("2020-10-01") == ["m/a"]


def test_a_branch_merged_into_somebodys_own_work(place: Place) -> None:
    """Pushed so, the old branch is the *second* parent; that is no force-push, and what was
    held before the merge was not held twice."""
    a = place.repo.commit({"app.yaml": "model: m/a"}, "a", START)
    b = place.repo.commit({"app.yaml": "model: m/b"}, "b", START + 1)
    place.look()
    own = place.repo.commit({"notes": "x"}, "own work", START + 2, parents=(a,))
    place.repo.commit({"app.yaml": "model: m/b"}, "merge", START + 3, parents=(own, b))
    done = place.look()
    assert (done.code, done.err) == (0, "") and done.out.startswith("nothing new")


def test_a_deleted_file_ends_the_slot(place: Place) -> None:
    """Nothing is live once the tree holds nothing; put back, it is live again."""
    place.repo.commit({"app.yaml": "model: m/a"}, "a", START)
    place.repo.commit({"app.yaml": None}, "away with it", START + DAY)
    done = place.look()
    assert done.code == 0 and "the file is gone; the slot ends there" in done.err
    assert place.live() is None and place.models("2020-09-14") == ["m/a"]
    place.repo.commit({"app.yaml": "model: m/a"}, "back", START + 2 * DAY)
    place.look()
    assert place.models() == ["m/a"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"model: [m/b", "app.yaml is not valid YAML (line"),
        (b"\x00\x01", "app.yaml is a binary file"),
        (b"model: \xff", "app.yaml is no UTF-8 text"),
        (b"model: m/b\n" + b"#" * 2**20, "app.yaml is larger than 1048576 bytes"),
        (b"model: {name: x}", "app.yaml holds a mapping or lists at the path"),
    ],
    ids=["yaml", "binary", "latin", "large", "mapping"],
)
def test_a_broken_file_changes_nothing(place: Place, content: bytes, reason: str) -> None:
    """What cannot be read cannot have been deployed: said, and passed over."""
    slot = place.slot + "-" + str(len(content)) + str(content[-1])
    place = place._replace(slot=slot)
    place.repo.commit({"app.yaml": "model: m/a"}, "a", START)
    place.repo.commit({"app.yaml": content}, "oops", START + 1)
    done = place.look()
    assert done.code == 0 and reason in done.err and "taken to be as before" in done.err
    assert place.models() == ["m/a"]


def test_a_renamed_file_is_told(place: Place) -> None:
    """The slot does not end by a new name; the message says how to follow it."""
    place.repo.commit({"app.yaml": "model: m/a\n"}, "a", START)
    place.repo.commit({"app.yaml": None, "web.yaml": "model: m/a\n"}, "rename", START + 1)
    place.repo.commit({"web.yaml": "model: m/b\n"}, "b", START + 2)
    done = place.look()
    assert done.code == 0 and "app.yaml became web.yaml; add --file web.yaml" in done.err
    assert place.models() == ["m/a"]
    assert "1 created" in place.look("--file", "web.yaml").out
    assert place.models() == ["m/b"]


def test_nothing_there(place: Place) -> None:
    """A file, a branch, a repository or a path that is not there: one line, exit code 1."""
    place.repo.commit({"app.yaml": "model: m/a"}, "a")
    for done, words in (
        (place.look(file="typo.yaml"), "no commit of main holds a value there; check --file"),
        (place.look("--branch", "mian"), "no branch mian; those there are: main"),
        (place.look("--repo", "/nowhere"), "/nowhere is no git repository that can be read"),
        (place.look(path="a..b"), "cannot be read from '..b' on"),
        (place.look("--claims", "("), "--claims is no regular expression"),
    ):
        assert done.code == 1 and words in done.err and done.err.count("\n") == 1


def test_two_slots_of_one_name(place: Place) -> None:
    """In two namespaces, brought by one commit: two deploys, each with the whole slot in its
    key, and each looked for by itself."""
    place.repo.commit({"app.yaml": "model: m/a", "b.yaml": "model: m/b"}, "both", START)
    other = place._replace(slot=place.slot.replace("k8s://git/", "k8s://git/staging-"))
    for one, file in ((place, "app.yaml"), (other, "b.yaml")):
        assert "1 created" in one.look(file=file).out
        assert one.look(file=file).out.startswith("nothing new")
        assert all(key.endswith(f"/{one.slot}") for key in one.actions())
    assert (place.models(), other.models()) == (["m/a"], ["m/b"])


def test_it_looks_again(place: Place, server: Server) -> None:
    """Without --once it stays, records what is pushed later, and ends cleanly on SIGTERM."""
    place.repo.commit({"app.yaml": "model: m/a"}, "a", START)
    process = subprocess.Popen(
        [*COMMAND, "--url", server.url, "observe", "git", "--repo", str(place.repo.path),
         "--file", "app.yaml", "--path", "model", "--slot", place.slot, "--interval", "1",
         "--repo-url", "https://git.example/looks-again"],
        stdout=subprocess.PIPE, text=True, env=clean_environment(PYTHONUNBUFFERED="1"),
    )  # fmt: skip
    assert process.stdout is not None
    try:
        assert "1 created" in process.stdout.readline()
        place.repo.commit({"app.yaml": "model: m/b"}, "b", START + 1)
        while "created" not in (line := process.stdout.readline()):
            assert line
        assert place.models() == ["m/b"]
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_a_shallow_clone_is_refused(tmp_path: Path) -> None:
    """Its oldest commit would pass for the one that brought the value."""
    repo = Repo(tmp_path / "whole")
    for n in range(3):
        repo.commit({"app.yaml": f"model: m/{n}"}, str(n), START + n)
    clone = tmp_path / "shallow"
    command = ["git", "clone", "--quiet", "--depth", "1", repo.path.as_uri(), str(clone)]
    subprocess.run(command, check=True)
    with pytest.raises(LineageError, match="git fetch --unshallow"):
        Repository(str(clone), ["app.yaml"])


def test_a_worktree_with_a_detached_head(place: Place, tmp_path: Path) -> None:
    """As git-sync leaves it, reached through a link: HEAD is what is checked out there, and
    not the newest of origin."""
    old = place.repo.commit({"app.yaml": "model: m/a"}, "a", START)
    place.repo.commit({"app.yaml": "model: m/b"}, "b", START + 1)
    clone, tree, link = tmp_path / "clone", tmp_path / "tree", tmp_path / "current"
    subprocess.run(["git", "clone", "--quiet", place.repo.path, clone], check=True)
    command = ["git", "-C", clone, "worktree", "add", "--quiet", "--detach", tree, old]
    subprocess.run(command, check=True)
    link.symlink_to(tree)
    assert "1 created" in place.look("--repo", str(link), "--branch", "HEAD").out
    assert place.models() == ["m/a"]
    assert "1 created" in place.look("--repo", str(link), "--branch", "main").out
    assert place.models() == ["m/b"]


@pytest.mark.parametrize(
    ("subject", "number"),
    [
        ("Update model (#183)", "183"),
        ("Merge pull request #173 from kubeflow/auto-update", "173"),
        ('Revert "Update model (#183)" (#190)', "190"),
        ("Fix issue #12", None),
    ],
)
def test_pull_requests_of_subjects(subject: str, number: str | None) -> None:
    """The number that the forge put there, not one that is talked about."""
    assert pull_request(subject) == number


@pytest.mark.parametrize(
    ("value", "text", "names"),
    [
        (MODELS + "TCN1", f"to {MODELS}TCN2.", [MODELS + "TCN2"]),
        ("gs://b/models/7", "from gs://b/models/7 to gs://b/models/8", ["gs://b/models/7", "gs://b/models/8"]),
        ("gs://b/models/7", "see gs://other/models/8", []),
        ("v1.2", "v1.2.1 is not v1.2", ["v1.2"]),
        ("1", "(#1) and 21", ["1"]),
    ],
)  # fmt: skip
def test_names_like_the_value(value: str, text: str, names: list[str]) -> None:
    """A claim is something of the value's own kind."""
    assert [m[0] for m in alike(value).finditer(text)] == names


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("images[0].newTag", ["1.10"]),
        (".images[name=b].newTag", ["2020-10-05"]),
        ("images[*].newTag", ["1.10", "2020-10-05"]),
        ('data["a.yaml"].deep.model', ["m/1"]),
        ("data['a.yaml'].deep.none", []),
        ("names", ["x", "y"]),
        ("empty", []),
        ("images[7].newTag", []),
    ],
)
def test_paths(path: str, found: list[str]) -> None:
    """Names, items, and YAML within YAML; every value is the text it is."""
    text = """
images: [{name: a, newTag: 1.10}, {name: b, newTag: 2020-10-05}]
data: {"a.yaml": "deep: {model: m/1}"}
names: [x, y]
empty:
"""
    (document,) = yaml_path.documents(text.encode())
    assert yaml_path.values(document, yaml_path.parse(path)) == found


@pytest.mark.parametrize("path", ["", "a..b", "a[", "a[]", "a b", "a]"])
def test_what_is_no_path(path: str) -> None:
    """Refused before any commit is read."""
    with pytest.raises(BadRequest):
        yaml_path.parse(path)
