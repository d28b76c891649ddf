"""Systems and architectures for which packages are built, and the tags of the wheels that fit them."""

from __future__ import annotations

from dataclasses import dataclass

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
"""CPython versions that each package carries wheels for."""


@dataclass(frozen=True, slots=True)
class Target:
    os: str
    arch: str
    platforms: tuple[str, ...]
    """Platform tags for ``pip download``, best first."""

    @property
    def name(self) -> str:
        return f"{self.os}-{self.arch}"


def _linux(machine: str) -> tuple[str, ...]:
    return (f"manylinux_2_28_{machine}", f"manylinux_2_17_{machine}", f"manylinux2014_{machine}")


TARGETS = (
    Target("linux", "x86_64", _linux("x86_64")),
    Target("linux", "arm64", _linux("aarch64")),
    Target("windows", "x86_64", ("win_amd64",)),
    # Macs with Intel processors are left out: cryptography 50 publishes no wheel for them.
    Target("macos", "arm64", tuple(f"macosx_{v}_{k}" for v in ("11_0", "10_15", "10_13", "10_9") for k in ("arm64", "universal2"))),
)
