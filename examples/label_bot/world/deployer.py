"""Wants the configuration in git to name the newest model. Knows no trainer and no cluster.

A pull request is a branch; what is open is merged before anything new is proposed. The merge
is made first and main moved last, and the merge has the branch's date: killed at any moment,
it comes to the same commit again.
"""

import json
import time

from shared import MAIN, NAMESPACE, SLOT, WORKER, World, git, log, run

from controllers_hooks import Config, Deployment, Hook, Model, PullRequest

BRANCH = "refs/heads/auto-update"


def reconcile(world: World, hook: Hook) -> None:
    base = main(world)
    observed, newest = configured(world, base), world.newest_model()
    proposal = pull_request(world, base)
    if not proposal:
        if newest is None or newest[0] == observed:
            return
        proposal = propose(world, base, newest[0])
    model = str(configured(world, proposal))
    name = f"label-bot-{model[7:15]}"
    with hook.action("deploy", key=f"deployer/{proposal}", name=name) as act:
        act.trigger(model, observed or "nothing", "the newest model is not the configured one")
        merge = commit(
            world, f"{proposal}^{{tree}}", f"Merge auto-update: {name}", base, proposal,
            date=git(world.config, "show", "--no-patch", "--format=%cI", proposal),
        )  # fmt: skip
        for known in ("claimed", "committed"):  # the pull request says so, the tree holds it
            act.reads(Model(world.model, model, role="model", evidence=known))
            act.writes(Deployment(SLOT, merge, role="slot", evidence=known))
        config = f"config at {merge[:7]}"
        act.writes(
            PullRequest(
                f"file://{world.config}/{BRANCH}", proposal, name=f"Update to {name}",
                role="pull request", evidence="claimed",
            ),
            Config(world.repository, merge, name=config, role="configuration", evidence="committed"),
        )  # fmt: skip
    git(world.config, "update-ref", MAIN, merge, base)
    log.info("%s merged to main as %s", name, merge[:7])


def main(world: World) -> str:
    """The commit of main; makes the repository when there is none."""
    for lock in world.config.glob("refs/heads/*.lock"):
        if time.time() - lock.stat().st_mtime > 10:  # of a git that was killed
            lock.unlink()
    if not world.main():
        git(world.root, "init", "--quiet", "--bare", "--initial-branch=main", str(world.config))
        first = commit(world, git(world.config, "mktree"), "Nothing is deployed yet")
        git(world.config, "update-ref", MAIN, first)
    return world.main()


def configured(world: World, revision: str) -> str | None:
    if "configmap.json" not in git(world.config, "ls-tree", "--name-only", revision).split():
        return None
    return str(json.loads(git(world.config, "show", f"{revision}:configmap.json"))["data"]["model"])


def pull_request(world: World, base: str) -> str | None:
    """The one that is open: a branch of one commit on top of main."""
    found = git(world.config, "for-each-ref", "--format=%(objectname) %(parent)", BRANCH).split()
    return found[0] if found[1:] == [base] else None


def propose(world: World, base: str, model: str) -> str:
    """Always the same branch, so that there is never more than one."""
    files = ""
    for name, content in manifests(model).items():
        blob = git(world.config, "hash-object", "-w", "--stdin", text=json.dumps(content, indent=1))
        files += f"100644 blob {blob}\t{name}\n"
    tree = git(world.config, "mktree", text=files)
    proposal = commit(world, tree, f"[auto PR] Update to label-bot-{model[7:15]}", base)
    git(world.config, "update-ref", BRANCH, proposal)
    return proposal


def commit(world: World, tree: str, message: str, *parents: str, date: str = "") -> str:
    """A commit that no branch holds yet."""
    when = {f"GIT_{role}_DATE": date for role in ("AUTHOR", "COMMITTER") if date}
    above = [word for parent in parents for word in ("-p", parent)]
    return git(world.config, "commit-tree", tree, *above, "-m", message, **when)


def manifests(model: str) -> dict[str, object]:
    """The ConfigMap is called by what it holds, so that a new model is a new Deployment."""
    config = f"label-bot-model-config-{model[7:17]}"
    pod = {"volumes": [{"name": "config", "configMap": {"name": config}}]}
    return {
        "configmap.json": {"apiVersion": "v1", "kind": "ConfigMap", "data": {"model": model},
                           "metadata": {"name": config, "namespace": NAMESPACE}},
        "deployment.json": {"apiVersion": "apps/v1", "kind": "Deployment",
                            "metadata": {"name": WORKER, "namespace": NAMESPACE},
                            "spec": {"replicas": 1, "template": {"spec": pod}}},
    }  # fmt: skip


if __name__ == "__main__":
    run(reconcile)
