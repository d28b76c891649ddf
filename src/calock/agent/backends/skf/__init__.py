"""Locks with a SKF library (GM/T 0016): ctypes binding, width probe, backend."""

from calock.agent.backends.skf.backend import SkfBackend

__all__ = ["SkfBackend"]
