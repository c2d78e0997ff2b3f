"""update-model-pr: its steps on real repositories, against a forge that speaks GitHub's REST."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from .forge import Forge, forge, git
from .tekton_steps import TaskDone, manifest, run_task

TASK = manifest("update-model-pr-task")
OLD, NEW, NEWER = (f"projects/976279526634/locations/us-central1/models/TCN{n}" for n in (1, 2, 3))
SETTER = "io.k8s.cli.setters.automl-model"
DEPLOYMENT = "Label_Microservice/deployment"
CONFIG = f"{DEPLOYMENT}/base/configs/model_config.yaml"
HYDRATED = "acm-repos/bot/model_config.yaml"


def files(model: str) -> dict[str, str]:
    """The label bot's repository, as far as a model's way goes through it."""
    return {
        f"{DEPLOYMENT}/Kptfile": (
            "openAPI:\n  definitions:\n    io.k8s.cli.setters.other:\n      x-k8s-cli:\n"
            "        setter:\n          name: other\n          value: stays\n"
            f"    {SETTER}:\n      x-k8s-cli:\n        setter:\n          name: automl-model\n"
            f"          value: {model}\n"
        ),
        CONFIG: (
            f'orgs:\n- name: kubeflow\n  automl_model: "{model}" # {{"$ref":"#/definitions/{SETTER}"}}\n'
            'other: "stays" # {"$ref":"#/definitions/io.k8s.cli.setters.other"}\n'
        ),
        HYDRATED: f"automl_model: {model}\n",
        "Label_Microservice/Makefile": (
            "hydrate-prod:\n\tgrep -o 'automl_model: [^ ]*' deployment/base/configs/model_config.yaml "
            "| tr -d '\"' > ../acm-repos/bot/model_config.yaml\n"
        ),
    }


class World(NamedTuple):
    forge: Forge
    home: Path
    secret: Path

    def run(self, model: str = NEW, **params: str) -> TaskDone:
        given = {
            "automl-model": model, "branchName": "auto-update", "fork": self.forge.fork.as_uri(),
            "repo-url": self.forge.origin.as_uri(), "github-api": self.forge.api,
            **{name.replace("_", "-"): value for name, value in params.items()},
        }  # fmt: skip
        return run_task(TASK, self.home, given, {"RETRY_SECONDS": "0"}, {"/secret": self.secret})


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    home, secret = tmp_path / "home", tmp_path / "secret"
    home.mkdir()
    secret.mkdir()
    with forge(tmp_path / "forge") as made:
        made.start(files(OLD))
        (secret / "token").write_text(made.token + "\n")
        yield World(made, home, secret)


def test_a_model_is_proposed(world: World) -> None:
    """Set, hydrated, pushed and open as a pull request; nothing else is touched."""
    done = world.run()
    assert (done.failed, set(done.codes.values())) == (False, {0}), done.said
    base, made = (
        git("-C", world.forge.origin, "rev-parse", "main"),
        world.forge.holds("auto-update"),
    )
    assert done.results == {
        "CHAINS-GIT_URL": world.forge.origin.as_uri(), "CHAINS-GIT_COMMIT": base,
        "base-branch": "main", "model": NEW, "previous-model": OLD,
        "branch-url": world.forge.fork.as_uri(), "branch-commit": made,
        "pr-url": "https://github.example/kubeflow/bot/pull/1",
    }  # fmt: skip
    (pull,) = world.forge.pulls
    assert pull["title"] == f"[auto PR] Update automl-model to {NEW}"
    assert f"It was {OLD}." in pull["body"] and "3 files changed" in pull["body"]
    wanted = files(NEW)
    for name in (f"{DEPLOYMENT}/Kptfile", CONFIG, HYDRATED):
        assert world.forge.holds("auto-update", name) == wanted[name].strip()
    assert git("-C", world.forge.fork, "rev-list", "--count", "auto-update") == "2"


def test_again_is_the_same_proposal(world: World) -> None:
    """Run again before the merge: neither a second commit nor a second pull request."""
    first, second = world.run(), world.run()
    assert second.results == first.results and not second.failed
    assert [c for c in world.forge.calls if not c.startswith("GET")] == [
        "POST /repos/kubeflow/bot/pulls"
    ]


def test_a_later_model_takes_the_pull_request_over(world: World) -> None:
    """The same one, with the title that fits the new tree; the original's kept the old title."""
    first, second = world.run(NEW), world.run(NEWER)
    assert second.results["pr-url"] == first.results["pr-url"]
    assert second.results["branch-commit"] != first.results["branch-commit"]
    (pull,) = world.forge.pulls
    assert pull["title"] == f"[auto PR] Update automl-model to {NEWER}"
    assert world.forge.holds("auto-update", HYDRATED) == f"automl_model: {NEWER}"


def test_an_empty_diff_fails(world: World) -> None:
    """#184 and #194 of the label bot: a pull request that changed nothing."""
    done = world.run(OLD)
    assert done.codes["commit-push"] == 1 and "create-pr" not in done.codes
    assert "empty diff" in done.said and f"holds {OLD} already" in done.said
    assert not world.forge.pulls and "branch-commit" not in done.results


def test_only_hydration_is_told_as_such(world: World) -> None:
    """The title speaks of the tree: the model stays, what is generated from it changes."""
    world.forge.commit({HYDRATED: "automl_model: somebody's own\n"})
    git("push", "--quiet", "origin", "main", cwd=world.forge.folder / "work")
    assert not world.run(OLD).failed
    assert world.forge.pulls[0]["title"] == f"[auto PR] Hydrate again; automl-model stays {OLD}"


@pytest.mark.parametrize("exists", [False, True])
def test_a_rejected_push_fails(world: World, exists: bool) -> None:
    """By a hook or a protected branch: no pull request, though one may be open."""
    if exists:
        world.run(NEWER)
    before = len(world.forge.calls)
    hook = world.forge.fork / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'protected branch hook declined' >&2\nexit 1\n")
    hook.chmod(0o755)
    done = world.run()
    assert done.failed and done.codes["commit-push"] and "create-pr" not in done.codes
    assert "protected branch hook declined" in done.said
    assert "branch-commit" not in done.results and len(world.forge.calls) == before


def test_a_push_that_did_not_arrive_fails(world: World) -> None:
    """A forge that takes a push and keeps its branch where it was."""
    hook = world.forge.fork / "hooks" / "post-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        "#!/bin/sh\nunset GIT_QUARANTINE_PATH\ngit update-ref -d refs/heads/auto-update\n"
    )
    hook.chmod(0o755)
    done = world.run()
    assert done.codes["commit-push"] == 1 and "but auto-update of" in done.said


@pytest.mark.parametrize(
    ("answers", "said", "tries"),
    [
        ([("POST", 422, {"message": "Validation Failed: no permission"})], "422: ", 1),
        ([("POST", 403, {"message": "Resource not accessible"})], "403: ", 1),
        ([("POST", 301, {"message": "Moved"})], "301: ", 1),
        ([("POST", 500, {"message": "broken"})] * 3, "500: ", 3),
        ([("GET", 502, {"message": "away"})] * 3, "502: ", 3),
    ],
    ids=["422", "403", "301", "500", "502"],
)
def test_a_refusal_fails(
    world: World, answers: list[tuple[str, int, dict[str, str]]], said: str, tries: int
) -> None:
    """With the forge's own words; only what may pass is tried again."""
    world.forge.answers = list(answers)
    done = world.run()
    assert (done.failed, done.codes["create-pr"]) == (True, 1)
    assert f"no pull request for auto-update: the forge answered {said}" in done.said
    assert answers[0][2]["message"] in done.said
    assert "pr-url" not in done.results and done.results["branch-commit"]
    assert len([c for c in world.forge.calls if c.startswith(answers[0][0])]) == tries


def test_a_passing_fault_is_waited_for(world: World) -> None:
    """A 500, somebody who was first, a forge that still shows the commit before: one pull request."""
    world.forge.answers = [
        ("POST", 500, {}),
        ("POST", 422, {"message": "A pull request already exists"}),
    ]
    assert not world.run().failed
    world.forge.late = 2
    done = world.run(NEWER)
    assert not done.failed and "trying again" in done.said and len(world.forge.pulls) == 1


def test_a_pull_request_that_shows_another_commit_fails(world: World) -> None:
    """Green only if what is open is what was pushed."""
    world.forge.late = 99
    done = world.run()
    assert done.failed and "not " + done.results["branch-commit"] in done.said


def test_the_base_is_the_branch_that_was_asked_for(world: World) -> None:
    """Its default branch, else the revision; a commit is no base."""
    git("push", "--quiet", "origin", "main:release", cwd=world.forge.folder / "work")
    assert not world.run(repo_revision="release").failed
    assert world.forge.pulls[0]["base"]["ref"] == "release"
    commit = git("-C", world.forge.origin, "rev-parse", "main")
    for wrong in (commit, "nowhere"):
        done = world.run(repo_revision=wrong)
        assert done.codes == {"clone": 1} and f"{wrong} is no branch" in done.said
    done = world.run(branchName="main")
    assert done.codes == {"clone": 1} and "cannot be merged into itself" in done.said


def test_a_key_of_a_github_app_opens_too(world: World) -> None:
    """As the original was let in: signed by the App's key, and never shown."""
    key, world.forge.key = world.secret / "github-private-key", world.home / "public"
    for command in (
        ["genrsa", "-out", key, "2048"],
        ["rsa", "-in", key, "-pubout", "-out", world.forge.key],
    ):
        subprocess.run(["openssl", *command], check=True, capture_output=True)
    (world.secret / "token").unlink()
    done = world.run()
    assert not done.failed, done.said
    assert "/app/installations/7/access_tokens" in world.forge.calls[1]
    assert world.forge.token not in done.said and "PRIVATE KEY" not in done.said


def test_without_a_key_it_fails(world: World) -> None:
    """A secret that is missing is said, where a pod would wait for it."""
    (world.secret / "token").unlink()
    done = world.run()
    assert done.codes["create-pr"] == 1 and "neither `token` nor `github-private-key`" in done.said


@pytest.mark.parametrize(
    "model",
    ['x" # y', "a\nb: c", "", "$(touch /tmp/x)", "-n"],
    ids=["quote", "line", "empty", "sh", "flag"],
)
def test_a_model_is_a_name(world: World, model: str) -> None:
    """What a lambda answers goes into YAML as one text, or not at all."""
    done = world.run(model)
    assert done.codes["kpt-set"] == 1 and "is no name of a model" in done.said


def test_a_repository_without_the_setter_fails(world: World) -> None:
    """The original set nothing and went on."""
    done = world.run(setter="typo")
    assert done.codes["kpt-set"] == 1 and "defines no setter typo" in done.said


def test_a_failing_hydration_fails(world: World) -> None:
    """And so does one that put another model in place."""
    assert world.run(hydrate_target="no-such-target").codes["hydrate"]
    done = world.run(kpt_dir=DEPLOYMENT, hydrate_target="")
    assert not done.failed
    undo = f"hydrate-prod:\n\tsed -i 's|{NEWER}|{OLD}|' deployment/Kptfile\n"
    world.forge.commit({"Label_Microservice/Makefile": undo})
    git("push", "--quiet", "origin", "main", cwd=world.forge.folder / "work")
    done = world.run(NEWER)
    assert done.codes["commit-push"] == 1 and f"the tree holds {OLD}, not {NEWER}" in done.said


def test_without_a_fork_the_repository_itself_is_pushed_to(world: World) -> None:
    """`fork`, the original's default, is the name of no repository."""
    done = world.run(fork="fork")
    assert done.codes["commit-push"] == 0
    assert done.results["branch-url"] == world.forge.origin.as_uri()
    assert (
        git("-C", world.forge.origin, "rev-parse", "auto-update") == done.results["branch-commit"]
    )
