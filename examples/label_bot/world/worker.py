"""Serves the model its ConfigMap names, and reports what it really runs. Knows only the cluster."""

import json
import math
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from shared import CLUSTER, NAMESPACE, SLOT, WORKER, World, digest, log, read, run, write_whole

from controllers_hooks import Config, Deployment, Hook, Model

PROBE = "/predict?text=jupyter+notebook+spawner+fails"
loaded: dict[str, Any] = {}  # the model that answers: its digest and content
port = 0


def reconcile(world: World, hook: Hook) -> None:
    deployment = read(world.cluster / "Deployment" / f"{WORKER}.json")
    if deployment is None:
        return
    generation = deployment["metadata"]["generation"]
    config = deployment["spec"]["template"]["spec"]["volumes"][0]["configMap"]["name"]
    configmap = read(world.cluster / "ConfigMap" / f"{config}.json")
    if configmap is None:
        return
    wanted = {"observedGeneration": generation, "model": configmap["data"]["model"]}
    status = read(world.cluster / "status.json") or {}
    url = f"http://127.0.0.1:{port}"
    if status == {**wanted, "url": url}:
        return
    if status.items() >= wanted.items():  # only this process is new: nothing was deployed
        load(world, wanted["model"])
    else:
        uid = deployment["metadata"]["uid"]
        with hook.action("serve", key=f"worker/{uid}/{generation}", name=WORKER) as act:
            serving = f"generation {status['observedGeneration']}" if status else "nothing"
            act.trigger(f"generation {generation}", serving, "the Deployment has changed")
            act.reads(Config(f"k8s://{CLUSTER}/{NAMESPACE}/ConfigMap/{config}", role="configmap"))
            load(world, wanted["model"])
            answer = ask(PROBE)  # over HTTP: the way everybody asks
            act.reads(Model(world.model, answer["model"], role="model", evidence="observed"))
            act.writes(Deployment(SLOT, str(generation), role="slot", evidence="observed"))
    # Last: killed before, it is reported again, under the same key.
    write_whole(world.cluster / "status.json", json.dumps({**wanted, "url": url}).encode())
    log.info("serving %s at %s%s", world.model_file(wanted["model"]).stem, url, PROBE)


def load(world: World, wanted: str) -> None:
    """From its own copy, else from where models are; of no other digest than wanted."""
    copy = world.cluster / ".worker" / "model.json"
    for path in (copy, world.model_file(wanted)):
        content = path.read_bytes() if path.exists() else b""
        if digest(content) == wanted:
            write_whole(copy, content)
            loaded.update(version=wanted, **json.loads(content))
            return
    raise LookupError(f"there is no model {wanted} in {world.models}")


def predict(text: str) -> dict[str, float]:
    words = set(text.lower().split())
    scores = {
        label: bias + sum(loaded["words"][w][n] for w in words if w in loaded["words"])
        for n, (label, bias) in enumerate(loaded["labels"].items())
    }
    chances = {label: 1 / (1 + math.exp(-score)) for label, score in scores.items()}
    return {x: round(p, 3) for x, p in chances.items() if p >= loaded["threshold"]}


class Handler(BaseHTTPRequestHandler):
    """GET /predict?text=…"""

    def do_GET(self) -> None:
        text = " ".join(parse_qs(urlsplit(self.path).query).get("text", []))
        self.send_response(200 if loaded else 503)
        self.send_header("content-type", "application/json")
        self.end_headers()
        answer = {"model": loaded["version"], "labels": predict(text)} if loaded else {}
        self.wfile.write(json.dumps(answer).encode() + b"\n")

    def log_message(self, *_: object) -> None:
        """Requests are no news."""


def ask(path: str) -> dict[str, Any]:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", path)
    answer: dict[str, Any] = json.loads(connection.getresponse().read())
    return answer


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    port = server.server_port
    Thread(target=server.serve_forever, daemon=True).start()
    run(reconcile)
