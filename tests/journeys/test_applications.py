"""One lock login opens two applications, both are out when the session ends; and the commands of the integrator's guide."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from calock.demo.children import Child, Children
from calock.demo.keyring import lock
from calock.demo.ports import free_port
from calock.demo.run import is_up
from journeys.people import Person, tail_of
from journeys.platform import Platform
from journeys.test_pictures import fits

GUIDE = Path(__file__).parents[2] / "docs" / "integrate.md"
REGISTER = """
import sys, pathlib
from calock.demo.place import Place
from calock.demo.world import prepare_server
root = pathlib.Path(sys.argv[1])
prepare_server(root)
from calock.demo.applications import registration
make = getattr(registration, "register_" + sys.argv[2])
print("\\n".join(make(Place(root), port=int(sys.argv[3]), platform_port=int(sys.argv[4]))))
"""


@pytest.fixture
def applications(platform: Platform) -> Iterator[dict[str, str]]:
    """Both sample applications, as ``make run`` starts them; where they are."""
    found: dict[str, str] = {}
    environment = {**os.environ, **platform.environment, "OAUTHLIB_INSECURE_TRANSPORT": "1"}
    with Children() as children:
        for name, host in (("procurement", "caigou"), ("mall", "maichang")):
            port = free_port(0)
            command = [sys.executable, "-c", REGISTER, str(platform.place.root), name, str(port), str(platform.port)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            started = [sys.executable, "-m", f"calock.demo.applications.{name}", *done.stdout.split()]
            child = children.add(Child(name, started, log=platform.place.logs / f"{name}.log", environment=environment))
            child.wait_until(lambda port=port: is_up(port))
            found[name] = f"http://{host}.localhost:{port}/"
        yield found


def test_one_login_opens_both_applications_and_its_end_ends_both(person: Person, applications: dict[str, str]):
    page, context = person.page, person.page.context
    person.enter("zcycs02")
    person.go("/apps/")
    person.picture("applications")
    for name, words in (("procurement", "项目采购"), ("mall", "电子卖场")):
        person.go("/apps/")
        page.get_by_role("link", name=re.compile(words)).click()
        page.wait_for_url(applications[name])
        expect(page.locator("main")).to_contain_text("陈静")
        expect(page.locator("main")).to_contain_text("密码")
    page.goto(applications["procurement"])
    page.get_by_role("link", name="用 CA 锁再次确认").click()
    expect(page.locator("main")).to_contain_text("您的账户还没有绑定 CA 锁")
    page.get_by_role("link", name="返回应用").click()
    expect(page.locator("main")).to_contain_text("unmet_authentication_requirements")
    person.go("/sessions/")
    expect(page.get_by_role("button", name="退出项目采购")).to_be_visible()
    fits(person)
    person.picture("applications-entered")
    with page.expect_navigation():
        page.locator('form[action="/logout/"] button').first.evaluate("button => button.click()")
    for address in applications.values():
        expect_out(context.new_page(), address)


def test_a_lock_reported_lost_is_out_of_both_applications(person: Person, browser: Browser, applications: dict[str, str]):
    """政采云: the lock logs in on one computer; its person reports it lost on another, with the password alone."""
    owner, name = "yuhaiqin", "zcy-sm2"
    elsewhere = Person(browser.new_context(locale="zh-CN").new_page(), person.platform, site="zcy")
    person.site = "zcy"
    person.platform.plug(name)
    tail, pin = tail_of(person.platform, name), lock(name).pin
    elsewhere.enter(owner)
    elsewhere.unbind_all(owner)
    elsewhere.bind(tail, pin, here=True)
    lost = str(elsewhere.expect_bound().get_by_role("link", name="挂失").get_attribute("href"))
    person.ca_login(tail, pin)
    person.expect_inside()
    for which, words in (("procurement", "项目采购"), ("mall", "电子卖场")):
        person.go("/apps/")
        person.page.get_by_role("link", name=re.compile(words)).click()
        person.page.wait_for_url(applications[which])
        expect(person.page.locator("main")).to_contain_text("CA 锁")
        person.picture(f"{which}-by-lock", phone=False)
    person.go("/sessions/")
    fits(person)
    person.picture("applications-entered")
    person.platform.plug(name, plugged=False)
    elsewhere.go(lost)
    elsewhere.page.get_by_role("button", name="确认挂失").click()
    expect(elsewhere.page.locator("main")).to_contain_text("已挂失")
    for which, address in applications.items():
        expect_out(person.page, address)
        person.picture(f"{which}-out", phone=False)
    elsewhere.unbind_all(owner)
    elsewhere.page.context.close()
    person.platform.plug(name)  # as other journeys expect it


def expect_out(page, address: str) -> None:
    """The application hears of it by itself, within a minute; here nobody tells it but the platform."""
    page.goto(address)
    for _ in range(60):
        if "您还没有登录" in page.locator("main").inner_text():
            return
        page.wait_for_timeout(1000)
        page.reload()
    raise AssertionError(f"{address} still lets them in")


def test_the_commands_of_the_integrators_guide_do_what_they_say(platform: Platform, tmp_path: Path):
    blocks = re.findall(r"```bash\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    text = "set -eu\n" + "\n".join(blocks)
    text = text.replace("http://shanxi.localhost:8000", platform.address("shanxi", "").rstrip("/"))
    text = text.replace(
        "CALOCK_DATA=.calock CALOCK_INSECURE_HTTP=1 .venv/bin/calock",
        f"{sys.executable} -c 'import sys; from calock.cli import main; sys.exit(main(sys.argv[1:]))'",
    )
    done = subprocess.run(
        ["bash", "-c", text], cwd=tmp_path, env={**os.environ, **platform.environment}, capture_output=True, text=True, check=False
    )
    said = done.stdout
    assert done.returncode == 0, said + done.stderr
    assert '"preferred_username": "cssbjgys02"' in said
    assert '"acr": "urn:calock:acr:password"' in said
    assert "\ntrue\nhttp://localhost:9000/left?state=s2" in said
    assert "<cas:user>cssbjgys02</cas:user>" in said
    assert said.rstrip().endswith("401")
