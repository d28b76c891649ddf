"""The driver's configuration: exact, merged from packages, and refused when it is not understood."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from agent.driving import warm_python

from calock.agent import config
from calock.agent.config import Config, ConfigError


def test_packages_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "config_home", lambda: tmp_path)
    (tmp_path / "agent.d").mkdir()
    (tmp_path / "agent.toml").write_text('origins = ["https://a.example"]\nlog_level = "debug"\n')
    (tmp_path / "agent.d" / "10-shanxi.toml").write_text(
        'origins = ["https://b.example", "https://a.example"]\nskf = ["/opt/x.so"]\npackage = "shanxi"\n'
        'find_pkcs11 = true\npkcs11_names = ["libx.so"]\n'
    )
    second = 'origins = ["https://c.example"]\nskf = ["/opt/y.so"]\npkcs11_names = ["liby.so"]\n'
    (tmp_path / "agent.d" / "20-zcy.toml").write_text(second)
    found = config.load()
    assert found.origins == ("https://a.example", "https://b.example", "https://c.example")
    assert found.skf == ("/opt/x.so", "/opt/y.so")
    assert (found.find_skf, found.find_pkcs11, found.pkcs11_names) == (False, True, ("libx.so", "liby.so"))
    assert (found.package, found.log_level) == ("shanxi", "debug")


def test_a_later_word_counts_also_when_it_is_the_usual_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "config_home", lambda: tmp_path)
    (tmp_path / "agent.d").mkdir()
    (tmp_path / "agent.toml").write_text('log_level = "debug"\ntls = true\npin_entry = ["window"]\n')
    (tmp_path / "agent.d" / "10-quiet.toml").write_text("tls = false\n")
    found = config.load(asked={"log_level": "info"})
    assert (found.tls, found.log_level, found.pin_entry) == (False, "info", ("window",))


@pytest.mark.parametrize(
    "text",
    [
        "orgins = []",
        "origins = 'x'",
        "origins = ['http://a.example']",
        "skf = 'abc'",
        "pkcs11 = 5",
        "skf = [['a']]",
        "=",
        "port = 'x'",
        "port = 99999",
        "tls_port = -5",
        "[compat]\nport = 65536",
        "pin_entry = ['sms']",
        "skf_names = ['../evil.so']",
        "pkcs11_names = ['/tmp/evil.so']",
        "log_level = 'all'",
        "signatures_per_minute = 0",
        "requests_per_second = -5",
        "pin_entry = []",
    ],
)
def test_what_is_not_understood_is_refused_with_the_names_of_file_and_key(tmp_path: Path, text: str) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(text)
    key = text.lstrip("[").replace("]", "=").split("=")[0].strip(" s")  # one of the origins is an origin
    with pytest.raises(ConfigError, match=rf"agent\.toml: .*{key}"):
        config.load(path)


@pytest.mark.parametrize("text", ["[" * 3000 + "]" * 3000, "9" * 5000], ids=["nested", "digits"])
def test_a_file_without_end_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(f"origins = {text}")
    with pytest.raises(ConfigError, match=r"agent\.toml: "):
        config.load(path)


def test_a_missing_file_that_was_asked_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        config.load(tmp_path / "none.toml")


def test_no_files_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "config_home", lambda: tmp_path)
    assert config.load() == Config()


@pytest.mark.parametrize(
    "origin",
    [
        "https://www.ccgp-shanxi.gov.cn",
        "https://x.example:8443",
        "http://shanxi.localhost:8000",
        "http://127.0.0.1:8000",
        "https://xn--fiqs8s.example",
    ],
)
def test_origins_as_browsers_send_them(origin: str) -> None:
    assert config.check_origin(origin) == origin


@pytest.mark.parametrize(
    "arguments",
    [
        ["--origin", "http://evil.example"],
        ["--config", "/nonexistent.toml"],
        ["--log-level", "all"],
        ["--port", "99999"],
        ["--port", "-5"],
        ["--port", "x"],
        ["--tls", "--tls-port", "65536"],
        ["--unknown"],
        ["agent://open?x=1"],
    ],
)
def test_unusable_arguments_end_with_2(arguments: list[str], tmp_path: Path) -> None:
    done = warm_python().run(["-m", "calock.agent", "--state-dir", str(tmp_path), *arguments], environment=os.environ)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr


def test_the_operations_manual_explains_every_key() -> None:
    manual = (Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text("utf-8")
    chapter = manual.split("### The driver's own settings\n")[1].split("\n### ")[0]
    assert not [key for key in Config.__struct_fields__ if f"`{key}`" not in chapter]
