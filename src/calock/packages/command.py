"""``calock packages build``: the command of those who sign driver packages."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from calock.packages.build import BuildError, Order, build, load_signing_key, read_origins
from calock.packages.licences import LicenceError
from calock.packages.own import CHECKOUT, is_checkout, source_epoch, wheels_folder
from calock.packages.wheels import WheelError
from calock.wire.folders import DefinitionError
from calock.wire.vendors import read_vendors

SETTINGS = Path(__file__).with_name("settings.example.toml")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="calock packages", description="Driver packages for the download centre.")
    build_them = parser.add_subparsers(dest="verb", required=True).add_parser(
        "build",
        help="build and sign them",
        description="Build and sign the driver packages. CALOCK_PACKAGE_KEY_FILE names the signing key (Ed25519, PEM); without it "
        "a practice key is made, and without --settings the packages allow the practice sites on this computer only.",
    )
    out = CHECKOUT / "dist" / "packages" if is_checkout() else Path("packages")
    build_them.add_argument("--out", type=Path, default=out, help="where the zips go (default %(default)s)")
    build_them.add_argument("--wheels", type=Path, default=wheels_folder(), help="where fetched wheels are kept (%(default)s)")
    build_them.add_argument("--own-wheel", type=Path, metavar="FILE", help="calock's own wheel (default: made from what runs here)")
    build_them.add_argument("--settings", type=Path, help=f"a deployment's origins, such as {SETTINGS} (default: practice sites)")
    build_them.add_argument(
        "--vendors",
        type=Path,
        default=os.environ.get("CALOCK_VENDORS") or None,
        metavar="DIR",
        help="folders of vendors of your own, beside those that calock brings (default: what CALOCK_VENDORS names)",
    )
    for name, does in (("--only", "only this package or system"), ("--skip", "not this package or system")):
        build_them.add_argument(name, action="append", default=[], metavar="CODE|SYSTEM", help=f"{does}, repeatable")
    return parser


def main(argv: Sequence[str]) -> int:
    """Run one verb; 1 with one line when something cannot be built."""
    chosen = _parser().parse_args(argv)
    try:
        order = Order(
            key=load_signing_key(chosen.out),
            origins=read_origins(chosen.settings),
            epoch=source_epoch(),
            vendors=read_vendors(chosen.vendors),
            wheels=chosen.wheels,
            own=chosen.own_wheel,
            out=chosen.out,
        )
        build(order, only=frozenset(chosen.only), skip=frozenset(chosen.skip))
    except (BuildError, WheelError, LicenceError, DefinitionError) as error:
        sys.stderr.write(f"calock packages: {error}\n")
        return 1
    return 0
