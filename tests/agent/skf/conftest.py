"""The soft SKF library, built once, and a fresh directory of locks for each test."""

from __future__ import annotations

from pathlib import Path

import pytest
from agent import soft_skf as softskf
from agent.soft_skf import Pair, SoftSkf, Width

from calock.agent.backends.skf import SkfBackend


@pytest.fixture(scope="session")
def skf_libraries(tmp_path_factory: pytest.TempPathFactory) -> dict[Width, Path]:
    if not softskf.buildable():
        pytest.skip("no C compiler: the soft SKF lock cannot be built")
    return softskf.build(tmp_path_factory.mktemp("softskf"))


@pytest.fixture(params=softskf.WIDTHS, ids=["ulong32", "ulong64"])
def width(request: pytest.FixtureRequest) -> Width:
    return request.param


@pytest.fixture
def library_path(skf_libraries: dict[Width, Path], width: Width) -> Path:
    return skf_libraries[width]


@pytest.fixture
def ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SoftSkf:
    root = tmp_path / "usb"
    root.mkdir()
    monkeypatch.setenv("SOFTSKF_DIR", str(root))
    return SoftSkf(root)


@pytest.fixture(scope="session")
def pairs() -> dict[str, Pair]:
    """Keys and certificates by what they are, made once."""
    ca = softskf.practice_ca()
    return {
        "SM2": softskf.make_pair(ca, "测试_国密", "SM2"),
        "SM2-enc": softskf.make_pair(ca, "测试_国密", "SM2", encryption=True),
        "RSA": softskf.make_pair(ca, "测试_RSA", "RSA"),
        "RSA-enc": softskf.make_pair(ca, "测试_RSA", "RSA", encryption=True),
        "expired": softskf.make_pair(ca, "测试_过期", "SM2", expired=True),
    }


@pytest.fixture
def backend(library_path: Path) -> SkfBackend:
    return SkfBackend(library_path)
