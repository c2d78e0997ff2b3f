"""ModelSync: what is wanted, not what was done. Pure.

A ModelSync asks a lambda whether to act and creates a PipelineRun when told to. Neither
the answer nor a reason survives on the object (its status lists unfinished runs, nothing
else), so nothing is recorded from it. What it gives is a name: the runs it owns were its
acts.
"""

from __future__ import annotations

from controllers_hooks.observers.objects import Object, owner, text


def controller_of(obj: Object, otherwise: str) -> str:
    """Who acted, for an object that a controller made: `modelsync/labelbot-train`.

    `otherwise` when nobody owns it. A CronJob, an Argo workflow or any other owner is
    named in the same way.
    """
    found = owner(obj)
    kind, name = text(found, "kind"), text(found, "name")
    return f"{kind.lower()}/{name}" if kind and name else otherwise
