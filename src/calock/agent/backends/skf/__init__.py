"""Locks with a SKF library (GM/T 0016): ctypes binding, width probe, known vendor libraries, backend."""

from calock.agent.backends.skf.backend import SkfBackend
from calock.agent.backends.skf.known_libraries import ModuleFile, find_known

__all__ = ["ModuleFile", "SkfBackend", "find_known"]
