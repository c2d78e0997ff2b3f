"""Trains once for each Training object: `kopf run operator.py --all-namespaces`."""

import kopf

from controllers_hooks import Code, Dataset, Hook, Model

hook = Hook.from_env()
code = Code.detect(__file__)


@kopf.on.create("example.com", "v1", "trainings")
@hook.wraps("train", key=lambda uid, **_: f"example.com/Training/{uid}")
def train(name, spec, patch, retry, **_):
    hook.current.code(code).reads(Dataset(spec["dataset"])).params(epochs=spec["epochs"])
    if retry < spec.get("failures", 0):
        raise kopf.TemporaryError("no accelerator is free", delay=0.1)
    model = f"gs://models/{name}"  # the training
    hook.current.writes(Model(model))
    patch.status["model"] = model
