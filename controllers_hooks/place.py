"""Where a controller runs and where its reports wait: found, not asked. Never raises.

In a pod the service account's directory names the namespace; its token is not read. The
names are those people give to downward-API variables (docs/hooks.md).
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_REPLICA = re.compile(r"-[a-z0-9]{6,10}-[a-z0-9]{5}$|-[0-9]+$")


def namespace(environ: Mapping[str, str]) -> str:
    """POD_NAMESPACE, else what the service account says; empty outside of a cluster."""
    if given := environ.get("POD_NAMESPACE"):
        return given
    try:
        return (SERVICE_ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def cluster(environ: Mapping[str, str]) -> str:
    """CLUSTER_NAME: Kubernetes itself does not know the name of its cluster."""
    return environ.get("CLUSTER_NAME", "")


def controller(environ: Mapping[str, str]) -> str:
    """In a pod its Deployment's name (`trainer` of `trainer-7d9f8b6c5-x2x4k`), else the
    program's."""
    in_a_pod = "KUBERNETES_SERVICE_HOST" in environ
    pod = environ.get("POD_NAME") or (environ.get("HOSTNAME") if in_a_pod else None)
    if pod:
        return _REPLICA.sub("", pod) or pod
    program = Path(sys.argv[0] if sys.argv else "")
    named = program.parent.name if program.stem == "__main__" else program.stem
    return named.strip("-") or "controller"


def outboxes(environ: Mapping[str, str]) -> Path:
    """The directory of all outboxes: XDG state, or a private temporary one where no home is."""
    state = environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    directory = Path(state) / "lineage" / "outbox"
    if not directory.is_absolute() or not _writable(directory):
        # A container with a read-only or missing home still has /tmp, mostly.
        import tempfile

        private = Path(tempfile.gettempdir()) / f"lineage-{os.getuid()}"
        directory = private / "outbox"
        if not _writable(directory) or private.lstat().st_uid != os.getuid():
            directory = Path(tempfile.mkdtemp(prefix="lineage-outbox-"))
    return directory


def outbox(controller: str, namespace: str = "", cluster: str = "") -> Path:
    """The outbox of one controller; its processes share it."""
    name = ".".join(part for part in (cluster, namespace, controller) if part)
    # A leading dot would hide it, or climb out.
    safe = re.sub(r"[^\w.-]", "_", name).lstrip(".")[:200]
    return outboxes(os.environ) / (safe or "controller")


def _writable(directory: Path) -> bool:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(directory, os.W_OK | os.X_OK)
