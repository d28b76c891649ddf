"""The scripts' descriptions of what the server says and takes are the server's own."""

from __future__ import annotations

import json
import re

import msgspec
import pytest
from django.test import Client
from worlds.browser import HOSTS
from worlds.manual import World
from worlds.script_types import interfaces, words

from calock.server.challenges.views import ChallengeRequest
from calock.server.locks.views import BindRequest, EndRequest, StepUpRequest
from calock.server.login.views import LoginRequest

pytestmark = pytest.mark.django_db
REQUESTS = (ChallengeRequest, LoginRequest, BindRequest, StepUpRequest, EndRequest)
DESCRIBED = interfaces("portal.d.ts")


def island(path: str, name: str, site: str) -> dict:
    """Data of a page for its script."""
    html = Client(headers={"host": HOSTS[site]}).get(path).content.decode()
    match = re.search(rf'<script id="{name}" type="application/json">(.*?)</script>', html, re.DOTALL)
    assert match, name
    return json.loads(match[1])


@pytest.mark.parametrize("site", HOSTS)
def test_data_and_words_of_a_page_that_talks_to_the_driver(site: str):
    data = island("/login/", "driver-data", site)
    assert set(data) == set(DESCRIBED["PageData"])
    assert set(data["words"]) == words("portal.d.ts", "Word")
    assert {"DRIVER_FAILED", "SERVER_BUSY"} <= set(data["refusals"])
    for entry in data["refusals"].values():
        assert set(entry) == set(DESCRIBED["RefusalText"])
        assert set(entry["action"]) == set(DESCRIBED["Action"])
    assert set(data["pictures"]) == {"DRIVER_PERMISSION_PROMPT", "DRIVER_PERMISSION_DENIED"}


def test_words_of_the_check_page():
    assert set(island("/check/", "check-words", "shanxi")) == words("portal.d.ts", "CheckWord")


def test_the_site_and_its_providers(world: World):
    told = Client(headers={"host": HOSTS["shanxi"]}).get("/api/site").json()
    assert set(told) == set(DESCRIBED["Site"])
    assert told["providers"]
    for provider in told["providers"]:
        assert set(provider) == set(DESCRIBED["Provider"])


def test_a_refusal():
    told = Client(headers={"host": HOSTS["shanxi"]}).get("/api/challenge").json()
    assert set(DESCRIBED["Refusal"]) | {"facts"} == set(told["error"])


@pytest.mark.parametrize("message", REQUESTS, ids=lambda kind: kind.__name__)
def test_a_request_holds_what_the_server_needs_and_nothing_it_does_not_know(message: type[msgspec.Struct]):
    fields = {field.encode_name: field for field in msgspec.structs.fields(message)}
    described = DESCRIBED[message.__name__]
    assert set(described) <= set(fields)
    for name, field in fields.items():
        assert not field.required or not described[name].optional, name
