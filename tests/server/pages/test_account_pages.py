"""Log in by the form, sessions and password: what a person sees, right and wrong."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta

import pytest
from django.utils import timezone
from worlds.browser import HOSTS, page_client
from worlds.manual import World
from worlds.page import Page, read
from worlds.rows import PASSWORD, account

from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.sessions.cookies import session_cookie
from calock.server.sessions.models import Session
from calock.server.tools.digests import digest


@pytest.fixture
def known(world: World) -> World:
    for person in (world.admin, world.zcy_admin, world.member):
        person.set_password(PASSWORD)
        person.save()
    return world


@pytest.mark.parametrize(
    ("site", "username", "landing"), [("shanxi", "cssbjgys02", "/apps/"), ("zcy", "yuhaiqin", "/user-center/")]
)
def test_login_lands_where_the_site_says(known: World, site: str, username: str, landing: str):
    client = page_client(site)
    response = client.post("/login/", {"username": username, "password": PASSWORD, "next": ""})
    assert (response.status_code, response["Location"]) == (302, landing)
    assert "测试供应商管理员" in read(client, landing).text or "俞海琴" in read(client, landing).text


@pytest.mark.parametrize(
    ("wanted", "goes"),
    [
        ("/system/ca/", "/system/ca/"),
        ("https://evil.example/", "/apps/"),
        ("//evil.example/", "/apps/"),
        ("/\\evil.example/", "/apps/"),
        ("javascript:alert(1)", "/apps/"),
    ],
)
def test_login_goes_on_within_the_site_only(known: World, wanted: str, goes: str):
    response = page_client("shanxi").post("/login/", {"username": "cssbjgys02", "password": PASSWORD, "next": wanted})
    assert response["Location"] == goes


def test_a_wrong_password_is_said_once_with_one_action(known: World):
    response = page_client("shanxi").post("/login/", {"username": "cssbjgys02", "password": "wrong"})
    page = Page(response.content.decode())
    assert response.status_code == 401
    assert "账户或密码不正确" in page.text
    alert = response.content.decode().split('role="alert"', 1)[1].split("</div>", 1)[0]
    assert re.findall(r'href="([^"]*)"', alert) == ["/login/#ca"]
    assert [field.get("value", "") for field in page.all("input") if field.get("type") == "password"] == ["", ""]
    assert [field["value"] for field in page.all("input") if field.get("name") == "username"] == ["cssbjgys02"]


def test_who_belongs_to_no_organisation_is_no_member_of_one(db: None):
    client = page_client("shanxi", account("zhuanjia", "赵安"))
    for path in ("/user-center/", "/personal-data/"):
        shown = read(client, path)
        assert "个人账户" in shown.text
        assert "普通成员" not in shown.text


def test_who_is_logged_in_is_not_asked_again(world: World):
    response = page_client("shanxi", world.admin).get("/login/?next=/system/ca/")
    assert (response.status_code, response["Location"]) == (302, "/system/ca/")


def test_logout_ends_the_session_on_the_server(world: World):
    client = page_client("shanxi", world.admin)
    cookie = dict(client.cookies)
    assert client.get("/logout/")["Location"] == "/"
    assert client.get("/apps/").status_code == 200, "another site's link or picture logs nobody out"
    assert client.post("/logout/")["Location"] == "/"
    assert Session.objects.get().ended_at is not None
    client.cookies.update(cookie)
    assert client.get("/apps/").status_code == 302


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("/contacts/add/", "/contacts/"),
        (f"/contacts/{uuid.UUID(int=0)}/verify/", "/contacts/"),
        ("/sessions/end/", "/sessions/"),
        ("/system/members/way-in/", "/system/members/"),
        (f"/system/members/{uuid.UUID(int=0)}/", "/system/members/"),
        (f"/system/ca/{uuid.UUID(int=0)}/confirm/", "/system/ca/"),
        ("/system/ca/expiry/link/", "/system/ca/expiry/"),
        ("/notices/read/", "/notices/"),
        ("/appearance/", "/"),
    ],
)
def test_where_a_refused_form_is_shown_another_language_leads_to_its_page(world: World, address: str, page: str):
    """The switch asks for the address that is open, which was only ever posted to."""
    client = page_client("shanxi", world.admin)
    chosen = client.post("/language/", {"language": "en", "next": address})
    assert chosen["Location"] == address
    assert client.get(address)["Location"] == page
    assert client.get(page).status_code == 200


def test_who_logs_in_for_a_form_comes_back_to_its_page(world: World):
    """The session ended while it was filled in."""
    client = page_client("shanxi")
    answer = client.post("/contacts/add/", {"kind": "mail"}, headers={"referer": f"http://{HOSTS['shanxi']}/contacts/"})
    assert answer.status_code == 401
    assert "/login/?next=%2Fcontacts%2F" in [link["href"] for link in Page(answer.content.decode()).all("a")]
    elsewhere = client.post("/contacts/add/", {"kind": "mail"}, headers={"referer": "http://evil.example/contacts/"})
    assert not [link for link in Page(elsewhere.content.decode()).all("a") if "next=" in link["href"]]


def test_one_of_my_sessions_can_be_ended_and_no_one_elses(world: World):
    own, other = page_client("shanxi", world.admin), page_client("shanxi", world.admin)
    stranger = page_client("shanxi", world.member)
    current = list(Session.objects.filter(account=world.admin).order_by("created_at"))
    page = own.get("/sessions/").content.decode()
    assert current[1].pk[:16] in page
    assert current[1].pk not in page
    assert stranger.post("/sessions/end/", {"session": current[1].pk[:16]}).status_code == 404
    assert other.get("/apps/").status_code == 200
    assert own.post("/sessions/end/", {"session": current[1].pk[:16]}).status_code == 302
    assert other.get("/apps/").status_code == 302
    assert own.get("/apps/").status_code == 200


@pytest.mark.parametrize("name", ["", "0" * 16, "%", "x" * 64])
def test_a_session_that_is_not_there_is_not_found(world: World, name: str):
    client = page_client("shanxi", world.admin)
    page_client("shanxi", world.admin)
    assert client.post("/sessions/end/", {"session": name}).status_code == 404
    assert Session.objects.filter(ended_at__isnull=True).count() == 2


def test_all_other_sessions_end_at_once(world: World):
    own, other, third = (page_client("shanxi", world.admin) for _ in range(3))
    own.post("/sessions/end/", {"session": "others"})
    assert [client.get("/apps/").status_code for client in (own, other, third)] == [200, 302, 302]


def test_at_most_twenty_sessions_are_shown_and_idle_ones_are_over(world: World):
    """FLT12: 75 sessions made a page of 30 KB, and those that nobody uses any more counted as live for twelve hours."""
    own = page_client("shanxi", world.admin)
    others = [page_client("shanxi", world.admin) for _ in range(25)]
    page = own.get("/sessions/").content.decode()
    assert page.count('name="session" value="') - page.count('value="others"') == 19
    assert "未显示的其他会话：6 个" in page
    Session.objects.exclude(pk=own_row(own).pk).update(last_seen_at=timezone.now() - timedelta(minutes=16))
    page = own.get("/sessions/").content.decode()
    assert "未显示的其他会话" not in page
    assert 'name="session" value="' not in page
    assert others[0].get("/apps/").status_code == 302


def test_ending_all_others_ends_those_that_are_not_shown_with_one_row(world: World):
    own, *others = (page_client("shanxi", world.admin) for _ in range(30))
    own.post("/sessions/end/", {"session": "others"})
    assert {client.get("/apps/").status_code for client in others} == {302}
    (row,) = AuditEvent.objects.filter(event=Event.SESSIONS_REVOKED.value)
    assert row.details["count"] == 29


def own_row(client) -> Session:
    return Session.objects.get(pk=digest(client.cookies[session_cookie()].value))


def test_a_password_set_by_somebody_else_must_be_changed_first(known: World):
    known.member.must_change_password = True
    known.member.save()
    client = page_client("shanxi", known.member)
    assert client.get("/apps/")["Location"] == "/password/"
    assert "首次登录请先修改密码" in read(client, "/password/").text
    new = "Huang-He-9-Zhi-Shui"
    response = client.post("/password/", {"current": PASSWORD, "new": new, "again": new})
    assert (response.status_code, response["Location"]) == (302, "/password/?changed")
    assert client.get("/apps/").status_code == 200


@pytest.mark.parametrize(
    ("current", "new", "again", "says"),
    [
        (PASSWORD, "Huang-He-9-Zhi-Shui", "Huang-He-9-Zhi-Shuo", "两次输入不一致"),
        (PASSWORD, "short", "short", "至少"),
        ("wrong", "Huang-He-9-Zhi-Shui", "Huang-He-9-Zhi-Shui", "不正确"),
    ],
)
def test_a_password_that_cannot_be_taken_is_explained(known: World, current: str, new: str, again: str, says: str):
    response = page_client("shanxi", known.member).post("/password/", {"current": current, "new": new, "again": again})
    assert 400 <= response.status_code < 500
    assert says in Page(response.content.decode()).text
    known.member.refresh_from_db()
    assert known.member.check_password(PASSWORD)


@pytest.mark.parametrize(
    ("chosen", "shown"),
    [
        ({"size": "large"}, 'data-size="large"'),
        ({"scheme": "dark"}, 'dark.css" media="all"'),
        ({"scheme": "system"}, 'dark.css" media="(prefers-color-scheme: dark)"'),
    ],
)  # fmt: skip
def test_the_look_that_somebody_chose_stays_with_their_browser(world: World, chosen: dict[str, str], shown: str):
    client = page_client("shanxi")
    answer = client.post("/appearance/", {**chosen, "next": "/help/"})
    assert (answer.status_code, answer["Location"]) == (302, "/help/")
    assert shown in client.get("/login/").content.decode()


def test_a_look_that_is_none_is_the_usual_one(world: World):
    client = page_client("shanxi")
    answer = client.post("/appearance/", {"size": "<b>", "scheme": "blue", "next": "//evil.example/"})
    assert answer["Location"] == "/"
    assert "data-size" not in client.get("/").content.decode()
    client.post("/appearance/", {"scheme": "light"})
    assert "dark.css" not in client.get("/").content.decode()


def test_a_refused_login_is_shown_to_the_account_that_it_was_about_and_to_nobody_else(known: World):
    stranger = page_client("zcy")
    stranger.post("/login/", {"username": "cssbjgys02", "password": "wrong"}, headers={"user-agent": "Firefox/140.0 Windows"})
    own, other = read(page_client("shanxi", known.admin), "/sessions/"), read(page_client("shanxi", known.member), "/sessions/")
    number = AuditEvent.objects.get(event=Event.LOGIN_PASSWORD_REFUSED.value).number
    assert "未成功的登录" in own.text
    assert all(word in own.text for word in (number, "Firefox · Windows", "账户或密码不正确"))
    assert "未成功的登录" not in other.text
    assert number not in other.text


def test_the_entrance_pages_count_the_own_locks_and_say_which_need_something(world: World):
    client = page_client("shanxi", world.admin)
    assert "已绑定 2 把 · 2 把不能使用" in read(client, "/apps/").text
    centre = read(client, "/user-center/").text
    assert centre.count("有效期至") == 2
    assert "设置" not in centre.partition("我的 CA 锁")[2]  # the tiles are 应用中心's
