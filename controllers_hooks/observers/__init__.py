"""Observers record controllers that nobody can change, from the objects they leave behind.

One file for each kind of controller, all of it pure: objects of the Kubernetes API in,
records out, no request and no clock. The edge: `cluster` asks, `watch` keeps in sight,
`assemble` brings together what belongs together, `run` delivers.
"""
