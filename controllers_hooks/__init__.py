"""Hooks for controllers: report what was read and written, in five lines.

    hook = Hook("trainer", namespace="label-bot", url="http://lineage:8080")
    with hook.action("train", key=f"trainer/{run}") as act:
        act.reads(Dataset("gs://b/issues.csv", version="sha256:…"))
        act.writes(Model("projects/p/models/TCN1"))

Nothing here raises into the caller's work, and importing it loads no server library.
"""

from controllers_hooks.act import Act
from controllers_hooks.code import Code
from controllers_hooks.hook import Hook
from controllers_hooks.things import (
    Artifact,
    Config,
    Dataset,
    Deployment,
    Image,
    Metrics,
    Model,
    Notebook,
    PullRequest,
)

__all__ = [
    "Act",
    "Artifact",
    "Code",
    "Config",
    "Dataset",
    "Deployment",
    "Hook",
    "Image",
    "Metrics",
    "Model",
    "Notebook",
    "PullRequest",
]
