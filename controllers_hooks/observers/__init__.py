"""Observers record controllers that nobody can change, from the objects they leave behind.

One file for each kind of controller, all of it pure: objects of the Kubernetes API in,
records out, no request and no clock. `watch` and `run` are the edge: they list and watch,
bring together the objects that belong together, and deliver.
"""
