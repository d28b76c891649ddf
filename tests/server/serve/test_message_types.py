"""No thread of the server is the first to look at a message type: two that are can crash the process (message_types.py)."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import calock

ROOT = Path(calock.__file__).parent
SCRIPT = """
import sys, threading
started = []
threading.Thread.start = lambda thread: started.append(thread.name)
import calock.server.process.wsgi
import msgspec
assert not started, started

def below(kind):
    for child in kind.__subclasses__():
        yield child
        yield from below(child)

kinds = [kind for kind in below(msgspec.Struct) if kind.__module__.startswith(("calock.server", "calock.wire"))]
again = []
def watch(frame, event, _):
    if event == "call" and frame.f_code.co_name == "get_class_annotations":
        again.append(frame.f_locals["obj"].__qualname__)
sys.setprofile(watch)
for kind in kinds:
    try:
        msgspec.convert({}, kind)
    except msgspec.ValidationError:
        pass
class Unseen(msgspec.Struct):
    pass
msgspec.convert({}, Unseen)
assert again == ["Unseen"], again
print(*sorted({kind.__module__ for kind in kinds}))
"""


def test_every_message_type_is_described_before_the_first_request(tmp_path):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CALOCK_", "DATABASE_", "DJANGO_"))}
    environment = {**kept, "CALOCK_DATA": str(tmp_path), "CALOCK_INSECURE_HTTP": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert found.returncode == 0, found.stderr
    described = set(found.stdout.splitlines()[-1].split())
    assert _defining() <= described, "defined, but not imported by then"


def _defining() -> set[str]:
    """Modules of server and wire in whose text a class has ``Struct`` or our ``Message`` among its bases."""
    return {
        ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in [*(ROOT / "server").rglob("*.py"), *(ROOT / "wire").rglob("*.py")]
        if any(base in ("Struct", "Message") for base in _bases(ast.parse(path.read_text("utf-8"))))
    }


def _bases(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield from (ast.unparse(base).rpartition(".")[2] for base in node.bases)
