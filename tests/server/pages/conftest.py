"""Rows for the pages, and the English words compiled as `make` compiles them."""

from __future__ import annotations

from pathlib import Path

import pytest
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from django.utils.translation import trans_real
from worlds.kept import kept
from worlds.manual import World, make_world

from calock.server.sites.registry import SITES

MESSAGES = SITES.parent / "locale/en/LC_MESSAGES"


@pytest.fixture(scope="session", autouse=True)
def _compiled_messages(tmp_path_factory: pytest.TempPathFactory):
    """From the source of the words, so that a stale or missing compiled file cannot decide a test."""
    target = tmp_path_factory.mktemp("locale") / "en/LC_MESSAGES"
    target.mkdir(parents=True)
    with (MESSAGES / "django.po").open("rb") as source, (target / "django.mo").open("wb") as compiled:
        write_mo(compiled, read_po(source, locale="en"))
    from django.conf import settings  # noqa: PLC0415 - configured by now

    before = settings.LOCALE_PATHS
    settings.LOCALE_PATHS = [Path(target.parent.parent)]
    trans_real._translations.clear()
    yield
    settings.LOCALE_PATHS = before
    trans_real._translations.clear()


kept_world = kept(make_world)


@pytest.fixture
def world(kept_world, db) -> World:
    return kept_world()
