"""The import rule, run where a broken one fails: in the tests."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from calock.server.sites.registry import sites

SOURCE = Path(__file__).resolve().parent.parent / "src" / "calock"
SERVER = SOURCE / "server"


def imports_of(path: Path) -> set[str]:
    """Module names a file imports, ``from a.b import c`` as both ``a.b`` and ``a.b.c``."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def test_the_layers_hold() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports"))], cwd=SOURCE.parent.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", sorted(SERVER.rglob("models.py")), ids=lambda path: path.parent.name)
def test_models_know_no_service_and_no_view(path: Path) -> None:
    assert not {name for name in imports_of(path) if name.endswith((".services", ".views")) and name.startswith("calock.")}


@pytest.mark.parametrize("path", sorted(SERVER.rglob("services.py")), ids=lambda path: path.parent.name)
def test_services_know_no_view(path: Path) -> None:
    assert not {name for name in imports_of(path) if name.endswith(".views") and name.startswith("calock.")}


def test_nothing_imports_login_but_the_entry_points() -> None:
    """``login`` stands on top of the other domains: only the address table and the login pages may know it."""
    allowed = {SERVER / "process" / "urls.py", SERVER / "process" / "settings.py"}
    for path in SERVER.rglob("*.py"):
        if path in allowed or "login" in path.parts or "views" in path.parts or path.name in ("views.py", "urls.py", "api.py"):
            continue
        assert not {name for name in imports_of(path) if name.startswith("calock.server.login")}, path


def test_nothing_but_egress_opens_a_connection() -> None:
    """One guarded way out: what imports a client of its own would talk to addresses that nobody listed."""
    clients = {"socket", "http.client", "urllib.request", "smtplib", "ftplib", "requests", "httpx", "urllib3", "aiohttp"}
    ours = {SERVER / "egress" / "connections.py", SERVER / "egress" / "fetch.py"}
    ours.add(SERVER / "tools" / "bounded.py")  # opens none: it puts a deadline before those that are open
    heads = {
        SERVER / "audit" / "outside" / name for name in ("connections.py", "speaking.py", "syslog.py")
    }  # to places that the server's owner set
    heads.add(SERVER / "messaging" / "mail.py")  # Django's back end, to the mail server that the owner named
    listening = {SERVER / "process" / "ports.py", SERVER / "process" / "worker.py"}
    for path in set(SERVER.rglob("*.py")) - ours - heads - listening:
        assert not imports_of(path) & clients, path


def test_no_code_asks_which_site_it_is() -> None:
    """Sites differ by data: a comparison with a site's code is a rule that hides from the profile."""
    for path in (SOURCE / "server").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare):
                constants = {leaf.value for leaf in ast.walk(node) if isinstance(leaf, ast.Constant)}
                assert not constants & sites().keys(), f"{path}:{node.lineno}"
