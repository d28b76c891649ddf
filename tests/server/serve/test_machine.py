"""A machine that lacks what no setting gives is told so before anything is touched."""

from __future__ import annotations

import tempfile

import pytest

from calock.server.process import machine
from calock.server.process.config import ConfigError


def test_a_machine_without_a_writable_temporary_folder(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/proc"])
    with pytest.raises(ConfigError, match="no folder for temporary files can be written"):
        machine.require()


def test_a_machine_that_does_not_know_our_time_zone(monkeypatch):
    monkeypatch.setattr(machine, "TIME_ZONE", "Mars/Olympus")
    with pytest.raises(ConfigError, match="does not know the time zone Mars/Olympus: install the package tzdata"):
        machine.require()
