"""A new user's computer: empty home, no network. Install, use, update, uninstall; nothing stays."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from agent import soft_skf
from agent.driving import PIN, make_certificate
from agent.softhsm import make_softhsm
from worlds.built_packages import unpack
from worlds.driver_packages import package_key

from calock.demo import pki
from calock.wire.archive import write_archive

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="installs as Linux users do"),
]

LOOPBACK = "import fcntl,socket,struct;s=socket.socket();fcntl.ioctl(s,0x8914,struct.pack('16sh14x',b'lo',0x1))"


def can_unshare() -> bool:
    """Whether this machine lets a test have a network of its own, with nothing in it."""
    return subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False).returncode == 0


class Computer:
    """A user's computer: a home directory, and a shell in a network namespace that has no network."""

    def __init__(self, folder: Path, *, seen_at: Path) -> None:
        """``seen_at``: where the shell finds any such home: a program knows the place where it was installed."""
        self.home, self._tools, self._seen_at = folder / "home", folder / "tools", seen_at
        self.home.mkdir()
        self._tools.mkdir()
        (self._tools / "python3").symlink_to(Path(sys.executable).resolve())

    def sh(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a script with this home; the network has loopback only. What it started ends with it."""
        path = f"{self._tools}:/usr/sbin:/usr/bin:/sbin:/bin"  # no version managers: their shims write into HOME
        environment = {"HOME": str(self._seen_at), "PATH": path, "LANG": "C.UTF-8", "PYTHON": sys.executable}
        up = f'mount --bind {self.home} "$HOME"\n"$PYTHON" -c "{LOOPBACK}"\n'
        command = ["unshare", "-rn", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", up + script]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)

    def another(self, folder: Path) -> Computer:
        """One with the same files, in ``folder``."""
        made = Computer(folder, seen_at=self._seen_at)
        shutil.copytree(self.home, made.home, symlinks=True, dirs_exist_ok=True)
        return made

    def files(self) -> list[str]:
        return sorted(path.relative_to(self.home).as_posix() for path in self.home.rglob("*") if not path.is_dir())


@pytest.fixture(scope="module")
def first_computer(shanxi_package, tmp_path_factory):
    """One with 山西's driver, which nobody changes: to fill an environment takes longer than most of what is done with it."""
    if not can_unshare():
        pytest.skip("this machine lets nobody make a network namespace")
    folder = tmp_path_factory.mktemp("computer")
    (folder / "seen-at").mkdir()
    found = Computer(folder, seen_at=folder / "seen-at")
    done = found.sh(f"sh {unpack(shanxi_package, folder)}/install.sh")
    assert done.returncode == 0, done.stdout + done.stderr
    return found


@pytest.fixture
def computer(tmp_path):
    """A new one."""
    if not can_unshare():
        pytest.skip("this machine lets nobody make a network namespace")
    (tmp_path / "seen-at").mkdir()
    return Computer(tmp_path, seen_at=tmp_path / "seen-at")


@pytest.fixture
def used_computer(first_computer, tmp_path):
    """As the first one was left: 山西's driver is installed, and starts when it is installed again."""
    return first_computer.another(tmp_path)


ASK = """
import http.client, json, sys
def ask(path, origin, port=47113):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    c.request("POST", path, "{}", {"Origin": origin, "Content-Type": "application/json", "X-Calock": "1"})
    r = c.getresponse(); text = r.read(); return r.status, json.loads(text or '{}')
"""
LISTENERS = "cat /proc/net/tcp | awk '$4 == \"0A\"' | wc -l"


def python(code: str) -> str:
    return f"\"$PYTHON\" - <<'CODE'\n{ASK}{code}\nCODE\n"


def test_install_use_uninstall_without_network(computer, shanxi_package, tmp_path):
    folder = unpack(shanxi_package, tmp_path)
    done = computer.sh(
        f"cd {folder} && sh install.sh || exit 1\n"
        + python(
            'print(json.dumps(ask("/v1/hello", "http://shanxi.localhost:8000")[1]))\n'
            'print(ask("/v1/hello", "https://evil.example")[0])\n'
            'print(ask("/v1/hello", "http://zcy.localhost:8000")[0])\n'
            'print(json.dumps(ask("/v1/locks", "http://shanxi.localhost:8000")[1]))'
        )
        + 'ls -l "$HOME/.config/autostart" "$HOME/.local/share/applications"\n'
        'sh "$HOME/.local/share/calock-driver/uninstall.sh" || exit 2\n'
        f'echo "listeners: $({LISTENERS})"; echo "processes: $(pgrep -fc [c]alock.agent || true)"'
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "安装完成，驱动已启动" in done.stdout
    assert '"driver": "calock"' in done.stdout
    assert '"package": "shanxi-huren"' in done.stdout
    lines = done.stdout.splitlines()
    after = lines.index(next(line for line in lines if '"driver"' in line))
    assert lines[after + 1 : after + 3] == ["403", "403"]
    assert '"locks": []' in lines[after + 3]
    assert done.stdout.count("calock-driver.desktop") == 2
    assert "CA 驱动已卸载" in done.stdout
    assert "listeners: 0" in done.stdout
    assert "processes: 0" in done.stdout
    assert computer.files() == []


def test_two_platforms_share_one_driver_and_leave_one_by_one(used_computer, built_packages, shanxi_package, tmp_path):
    (zcy_package,) = built_packages.glob("政采云*.zip")
    first, second = unpack(shanxi_package, tmp_path / "a"), unpack(zcy_package, tmp_path / "b")
    hello = 'print(ask("/v1/hello", "http://shanxi.localhost:8000")[0], ask("/v1/hello", "http://zcy.localhost:8000")[0])'
    done = used_computer.sh(
        f"sh {first}/install.sh && sh {second}/install.sh || exit 1\n"
        + python(hello)
        + 'sh "$HOME/.local/share/calock-driver/uninstall.sh" shanxi-huren || exit 2\n'
        + python(
            "import time\nfor _ in range(100):\n"
            "    try: found = ask('/v1/hello', 'http://zcy.localhost:8000')[0]; break\n"
            "    except OSError: time.sleep(0.1)\n"
            'print("left", ask("/v1/hello", "http://shanxi.localhost:8000")[0], found)'
        )
        + 'sh "$HOME/.local/share/calock-driver/uninstall.sh" zcy-huren'
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "200 200" in done.stdout
    assert "left 403 200" in done.stdout
    assert used_computer.files() == []


def test_the_installed_driver_finds_vendors_libraries_of_both_kinds(used_computer, shanxi_package, tmp_path):
    """As vendors' installers leave them: real libraries, put where only an administrator writes, and named nowhere else."""
    hsm = make_softhsm(tmp_path / "hsm")
    if hsm is None or not soft_skf.buildable():
        pytest.skip("SoftHSM2 or a C compiler is missing")
    key = pki.make_key("EC")
    hsm.add_token("锁", PIN)
    hsm.put("锁", PIN, key, make_certificate(key, "插在这里的锁"))
    skf = soft_skf.build(tmp_path / "softskf")[32]
    installed = "/opt/lm-gm3000/lib"
    done = used_computer.sh(
        # an /opt of this computer's own, and a library in the user's home, which is nobody's installer
        f"mount -t tmpfs none /opt && mkdir -p {installed} && cp {hsm.module} {installed}/libgm3000_pkcs11.so\n"
        f'cp {skf} {installed}/libgm3000.1.0.so && cp {skf} "$HOME/libHTSKF.so"\n'
        f"export SOFTHSM2_CONF={hsm.environment['SOFTHSM2_CONF']} SOFTSKF_DIR={tmp_path}\n"
        f"sh {unpack(shanxi_package, tmp_path)}/install.sh || exit 1\n"
        + python(
            "import time\nfor _ in range(300):\n"
            '    found = ask("/v1/locks", "http://shanxi.localhost:8000")[1]\n    if found["locks"]: break\n    time.sleep(0.1)\n'
            'print(json.dumps(found["locks"])); print(json.dumps(ask("/v1/diagnosis", "http://shanxi.localhost:8000")[1]))'
        )
        + 'rm "$HOME/libHTSKF.so"; sh "$HOME/.local/share/calock-driver/uninstall.sh"'
    )
    assert done.returncode == 0, done.stdout + done.stderr
    locks, diagnosis = (json.loads(line) for line in done.stdout.splitlines() if line.startswith(("[", "{")))
    assert [(lock["name"], lock["backend"], lock["module"]) for lock in locks] == [
        ("插在这里的锁", "pkcs11", "libgm3000_pkcs11.so")
    ]
    modules = {(module["backend"], module["module"], module["state"]) for module in diagnosis["modules"]}
    assert modules == {("pkcs11", "libgm3000_pkcs11.so", "running"), ("skf", "libgm3000.1.0.so", "running")}
    assert used_computer.files() == []


def damage(folder: Path, how: str) -> None:
    if how == "changed wheel":
        wheel = next(folder.glob("wheels/h11*"))
        wheel.write_bytes(wheel.read_bytes()[:-1] + b"!")
    elif how == "missing wheel":
        next(folder.glob("wheels/h11*")).unlink()
    elif how == "extra wheel":
        (folder / "wheels" / "calock-9.0.0-py3-none-any.whl").write_bytes(b"x")
    elif how == "changed installer":
        (folder / "installer" / "places.py").write_text("# changed\n" + (folder / "installer" / "places.py").read_text("utf-8"))
    elif how == "no manifest":
        (folder / "manifest.json").unlink()
    else:
        manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
        (folder / "manifest.json").write_text(json.dumps(manifest | {"os": "windows"}))


@pytest.mark.parametrize(
    "how", ["changed wheel", "missing wheel", "extra wheel", "changed installer", "no manifest", "another system's"]
)
def test_a_damaged_package_installs_nothing(computer, shanxi_package, tmp_path, how):
    folder = unpack(shanxi_package, tmp_path)
    damage(folder, how)
    done = computer.sh(f"sh {folder}/install.sh")
    assert done.returncode == 1
    assert "未完成：" in done.stderr
    assert "Traceback" not in done.stderr
    assert computer.files() == []


def test_without_a_new_enough_python_it_says_what_to_do(computer, shanxi_package, tmp_path):
    folder = unpack(shanxi_package, tmp_path)
    tools = tmp_path / "only-these"
    tools.mkdir()
    for name in ("sh", "dirname"):
        (tools / name).symlink_to(shutil.which(name) or name)
    done = computer.sh(f"PATH={tools} sh {folder}/install.sh")
    assert done.returncode == 1
    assert "未找到 Python 3.11" in done.stderr
    assert computer.files() == []


def renumbered(package: Path, version: str, **changed) -> bytes:
    """The real package under another version number, signed by the same operator."""
    with zipfile.ZipFile(package) as opened:
        files = {name.partition("/")[2]: opened.read(name) for name in opened.namelist()}
    old = json.loads(files.pop("manifest.json"))
    files.pop("manifest.sig")
    manifest = old | {"version": version} | changed
    assert {name: hashlib.sha256(data).hexdigest() for name, data in files.items()} == {
        name: entry["sha256"] for name, entry in manifest["files"].items()
    }
    text = json.dumps(manifest, ensure_ascii=False).encode()
    folder = f"calock-{manifest['code']}-{version}-{manifest['os']}-{manifest['arch']}"
    inside = {**files, "manifest.json": text, "manifest.sig": base64.b64encode(package_key().sign(text))}
    whole = io.BytesIO()
    named = {f"{folder}/{name}": data for name, data in inside.items()}
    write_archive(whole, named, executable=frozenset(), dos_time=(0, 33))
    return whole.getvalue()


def test_an_older_package_never_replaces_a_newer_driver(used_computer, shanxi_package, tmp_path):
    """B20: installing last year's zip again keeps this year's program."""
    older = tmp_path / "older.zip"
    older.write_bytes(renumbered(shanxi_package, "0.9.0"))
    new, old = unpack(shanxi_package, tmp_path / "n"), unpack(older, tmp_path / "o")
    done = used_computer.sh(
        f"sh {new}/install.sh && sh {old}/install.sh || exit 1\n"
        'cat "$HOME/.local/share/calock-driver/current-version"; echo; ls "$HOME/.local/share/calock-driver/versions"\n'
        'sh "$HOME/.local/share/calock-driver/uninstall.sh"'
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "保留该版本" in done.stdout
    assert "\n1.0.0\n1.0.0\n" in done.stdout
    assert used_computer.files() == []


SERVE = """
import http.server, json, sys, base64, hashlib, zipfile, io
data = open(sys.argv[1], "rb").read()
z = zipfile.ZipFile(io.BytesIO(data)); top = z.namelist()[0].partition("/")[0]
text, signature = z.read(top + "/manifest.json").decode(), z.read(top + "/manifest.sig").decode().strip()
release = json.dumps({"manifest": text, "signature": signature, "path": "/downloads/x/", "size": len(data),
                      "sha256": hashlib.sha256(data).hexdigest()}).encode()
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = release if "/release/" in self.path else data
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(("127.0.0.1", 8000), H).serve_forever()
"""


def test_an_update_is_shown_then_installed_on_the_users_word(used_computer, shanxi_package, tmp_path):
    """The installed driver asks its own platform, checks the signature, and only ``--install`` changes anything."""
    newer = tmp_path / "newer.zip"
    newer.write_bytes(renumbered(shanxi_package, "1.0.1"))
    (tmp_path / "serve.py").write_text(SERVE)
    said = tmp_path / "said.txt"  # the installer goes on after the command has ended: its words in a file mix with no others
    folder = unpack(shanxi_package, tmp_path / "o")
    home = '"$HOME/.local/share/calock-driver"'
    done = used_computer.sh(
        f'sh {folder}/install.sh || exit 1\n"$PYTHON" {tmp_path}/serve.py {newer} &\nserver=$!\n'
        + python("import time, socket\nfor _ in range(100):\n    try: socket.create_connection(('127.0.0.1', 8000)); break\n"
                 "    except OSError: time.sleep(0.1)")
        + f"{home}/versions/1.0.0/bin/python -I -m calock.agent.update; echo status $?\ncat {home}/current-version; echo\n"
        f"{home}/versions/1.0.0/bin/python -I -m calock.agent.update --install shanxi-huren > {said} 2>&1\n"
        + python(f"import time, pathlib\np = pathlib.Path({str(said)!r})\n"
                 "for _ in range(1200):\n    if '驱动已启动' in p.read_text('utf-8'): break\n    time.sleep(0.1)\n"
                 "for _ in range(600):\n    try: print('hello', ask('/v1/hello', 'http://shanxi.localhost:8000')[0]); break\n"
                 "    except OSError: time.sleep(0.1)")
        + f"cat {said} {home}/current-version; echo; kill $server; sh {home}/uninstall.sh; ls -d /tmp/calock-update-* 2>/dev/null"
    )  # fmt: skip
    out = done.stdout
    assert "有新版本 newer version 1.0.1\nstatus 3\n1.0.0\n" in out, out + done.stderr
    after = out.partition("status 3\n")[2]
    assert "安装完成，驱动已启动" in after, out + done.stderr
    assert "hello 200\n" in after, out + done.stderr
    assert "\n1.0.1\n" in after, out + done.stderr
    assert used_computer.files() == []
