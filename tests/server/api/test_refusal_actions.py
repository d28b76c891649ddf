"""What a refusal asks for in words is what its one action does, where the page at hand can do it."""

from __future__ import annotations

import re

import pytest
from worlds.browser import HOSTS, page_client

from calock.server.web.refusal_texts import ENTRIES

ASKS = {
    "重试": "again",
    "重新输入": "pin",
    "去掉空格和全角字符": "clean",
    "在驱动窗口中输入": "window",
    "去填写": ("pin", "reason"),
    "去选择": "lock",
    "重新选择": "lock",
    "重新选择驱动": "lock",
    "重新确认身份": "password",
    "再试一次": "password",
    "刷新页面": "reload",
    "去登录": "return",
    "用 CA 锁确认身份": "return",
    "点击“允许”": "allow",
}
"""Labels that say that something is done here, and what then has to happen."""
SENTENCES = (
    (r"刷新(页面)?后重试", {"reload"}),
    (r"请输入 PIN 码|PIN 码错误|PIN 码长度", {"pin"}),
    (r"请(重新)?选择(要使用|$)|请重新选择", {"lock"}),
    (r"重新输入密码|再次输入密码", {"password"}),
    (r"请(先|重新)登录", {"return"}),
)
"""Sentences that ask for one thing."""


@pytest.mark.parametrize("reason", ENTRIES, ids=lambda reason: reason.value)
def test_a_label_that_promises_an_act_is_that_act(reason):
    action = ENTRIES[reason].action
    if action.does or action.zh in ASKS:
        assert action.does in ASKS.get(action.zh, ()) or action.does == ASKS.get(action.zh), action


@pytest.mark.parametrize("reason", ENTRIES, ids=lambda reason: reason.value)
def test_the_action_does_what_the_sentence_asks_for(reason):
    entry = ENTRIES[reason]
    for asked, does in SENTENCES:
        if re.search(asked, entry.words.zh):
            assert entry.action.does in does, (entry.words.zh, entry.action)


def test_each_sentence_and_label_looked_for_is_one_that_people_are_told():
    for asked, _ in SENTENCES:
        assert any(re.search(asked, entry.words.zh) for entry in ENTRIES.values()), asked
    assert {entry.action.zh for entry in ENTRIES.values()} >= set(ASKS)


def test_who_comes_to_bind_a_lock_arrives_at_the_page_that_binds_it(db):
    from calock.server.web.refusals import catalogue  # noqa: PLC0415 - Django is set up by now

    assert catalogue()["LOCK_NOT_BOUND"]["action"]["href"] == "/login/?next=%2Fsystem%2Fca%2F%3Fbind%3D1#account"


def test_a_page_that_is_out_of_date_leads_back_to_itself(db):
    client = page_client("shanxi")
    client.handler.enforce_csrf_checks = True
    answer = client.post("/login/", {}, headers={"referer": f"http://{HOSTS['shanxi']}/login/?next=/apps/"})
    assert answer.status_code == 403
    assert 'href="/login/">刷新页面</a>' in answer.content.decode()
