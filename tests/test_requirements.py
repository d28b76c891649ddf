"""What `make` installs is what pyproject asks for, each file by its hash, from wherever the user's pip gets its packages."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parent.parent
EXTRAS = {"run.txt": ("agent", "server"), "test.txt": ("agent", "server", "dev")}
GROUPS = {"fuzz.txt": "fuzz", "release.txt": "release"}


def wanted(name: str) -> list[Requirement]:
    """What a lock file is made from."""
    read = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    project = read["project"]
    if name in GROUPS:
        return [Requirement(line) for line in read["dependency-groups"][GROUPS[name]]]
    extras = [line for extra in EXTRAS[name] for line in project["optional-dependencies"][extra]]
    return [Requirement(line) for line in (*project["dependencies"], *extras)]


def pinned(name: str) -> dict[str, tuple[Version, int]]:
    """Project → (version, number of hashes)."""
    found: dict[str, tuple[Version, int]] = {}
    for block in re.split(r"\n(?=\S)", (ROOT / "requirements" / name).read_text("utf-8")):
        head = re.match(r"([\w.-]+)==(\S+)", block)
        assert head, block[:80]
        found[head[1].lower().replace("_", "-")] = (Version(head[2]), block.count("--hash=sha256:"))
    return found


@pytest.mark.parametrize("name", [*EXTRAS, *GROUPS])
def test_every_dependency_is_locked_within_its_range(name: str) -> None:
    locked = pinned(name)
    for requirement in wanted(name):
        if requirement.name != "calock":
            version, hashes = locked[requirement.name.lower()]
            assert version in requirement.specifier, requirement
            assert hashes > 0


@pytest.mark.parametrize("name", [*EXTRAS, *GROUPS])
def test_the_lock_names_no_address(name: str) -> None:
    assert not re.search(r"https?:|--(extra-)?index|--find-links", (ROOT / "requirements" / name).read_text("utf-8"))


def test_the_tools_for_scripts_are_locked_by_hash_and_name_no_registry() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text("utf-8"))["packages"]
    wanted_here = json.loads((ROOT / "package.json").read_text("utf-8"))["devDependencies"]
    assert packages.pop("")["devDependencies"] == wanted_here
    assert {f"node_modules/{name}" for name in wanted_here} <= set(packages)
    for name, package in packages.items():
        assert package["integrity"].startswith("sha512-"), name
        assert "resolved" not in package, name
