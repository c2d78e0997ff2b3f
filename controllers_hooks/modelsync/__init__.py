"""The ModelSync controller: asks a lambda whether to act, and creates a PipelineRun if so.

The core is pure: `spec` (what is wanted), `runs` (what there is), `parameters`, `convert` and
`build` (the run to create), `decide` (what to do now), `status` (what to say about it). The
edge is thin: `ask` (the lambda), `events` and `capture` (what others are told), `reconcile`
(one pass), `loops` and `operator` (when to look; the latter is the only user of kopf),
`lease` (who may act).
docs/modelsync.md describes what it does.
"""
