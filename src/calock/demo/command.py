"""``calock demo``: the practice world as a command."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from calock.demo.children import ChildError
from calock.demo.keyring import LOCKS, lock, move
from calock.demo.place import Place, default_place
from calock.demo.practice import WorldError, require_ours
from calock.demo.run import AlreadyRunningError, only_one, prepare, run

DESCRIPTION = """\
Start a whole practice platform on this computer: both sites, a driver, practice CAs with published revocation lists,
practice locks plugged in, sample organisations and accounts. It prints what to click. Ctrl-C stops all of it; running it
again keeps the data. Nothing listens on the network: only 127.0.0.1.
"""


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="calock demo", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--data", type=Path, help="directory of the practice world (default: CALOCK_DATA, else .calock here)")
    made.add_argument("--port", type=int, default=8000, help="port of the sites (default 8000; another free one if it is taken)")
    made.add_argument("--reset", action="store_true", help="delete the practice world and make a new one")
    made.add_argument("--prepare-only", action="store_true", help="make the practice world, start nothing")
    made.add_argument("--no-packages", action="store_true", help="build no driver packages for the download centre")
    commands = made.add_subparsers(dest="action", metavar="plug NAME | unplug NAME | locks")
    for action, text in (("plug", "plug a practice lock in"), ("unplug", "pull a practice lock out")):
        command = commands.add_parser(action, help=text)
        command.add_argument(
            "name", choices=[spec.name for spec in LOCKS], metavar="NAME", help="a lock's name, see: calock demo locks"
        )
    commands.add_parser("locks", help="list the practice locks")
    return made


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    made = parser()
    chosen = made.parse_args(argv)
    if not 0 <= chosen.port <= 65535:
        made.error("--port is a number from 0 (any free one) to 65535")
    return chosen


def _reset(place: Place) -> None:
    """Delete the world at ``place``; only a directory that carries the world's mark is ever deleted."""
    require_ours(place)
    for path in place.contents():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _lock_action(place: Place, arguments: argparse.Namespace) -> None:
    if not place.notes().get("made"):
        raise WorldError(f"{place.root} holds no practice world; `calock {place.words}` makes one")
    if arguments.action == "locks":
        from calock.demo.story import lock_lines  # noqa: PLC0415 - only this action prints them alone

        _say("\n".join(lock_lines(place)))
        return
    moved = move(place.locks, lock(arguments.name), plugged=arguments.action == "plug")
    done = {"plug": "已插入 plugged in", "unplug": "已拔出 pulled out"}[arguments.action]
    _say(f"{arguments.name}: {done}" if moved else f"{arguments.name}: 已经是这样 nothing to do")


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 1 refused, 2 unusable arguments."""
    arguments = _arguments(argv)
    place = Place(arguments.data.resolve()) if arguments.data else default_place()
    try:
        if arguments.action:
            _lock_action(place, arguments)
            return 0
        if arguments.reset:
            with only_one(place):
                _reset(place)
        if arguments.prepare_only:
            with only_one(place):
                prepare(place, packages=not arguments.no_packages, everything=True, say=_say)
            return 0
        run(place, port=arguments.port, packages=not arguments.no_packages, say=_say)
    except (WorldError, AlreadyRunningError, ChildError, OSError) as error:
        sys.stderr.write(f"calock demo: {error}\n")
        return 1
    return 0
