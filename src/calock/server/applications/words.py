"""What is registered of an application in words, for the operators who decide about it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec
from joserfc.jwk import import_key

from calock.server.applications.models import ApplicationState
from calock.server.applications.wishes import Wish
from calock.server.approvals.kinds import Alarm, Change
from calock.server.sites.registry import sites

LABELS = {
    "site": "站点",
    "client_id": "应用标识",
    "name": "名称",
    "note": "说明",
    "icon": "图标",
    "order": "显示次序",
    "protocols": "接入协议",
    "audience": "面向",
    "entry_url": "入口地址",
    "redirect_uris": "登录回调地址",
    "post_logout_redirect_uris": "退出后返回地址",
    "cas_services": "CAS 服务地址",
    "gate_urls": "反向代理保护的地址",
    "logout_url": "退出通知地址",
    "logout_private": "退出通知地址在内网",
    "auth_method": "应用认证方式",
    "jwks": "应用公钥",
    "secrets": "应用密钥（SHA-256）",
    "id_token_alg": "ID Token 签名算法",
    "pairwise": "成对用户标识",
    "require_level": "最低登录方式",
    "offline": "允许刷新令牌",
    "resources": "接口地址（JWT 访问令牌）",
}
AUDIENCES = {
    "supplier": "供应商",
    "purchaser": "采购单位",
    "agency": "采购代理机构",
    "regulator": "财政/监管部门",
    "expert": "评审专家",
}
PROTOCOLS = {"oidc": "OpenID Connect", "cas": "CAS 3.0", "gate": "nginx auth_request"}
LEVELS = {"": "密码或 CA 锁", "password": "密码或 CA 锁", "lock": "CA 锁"}
ICONS = {
    "grid": "宫格",
    "book": "书本",
    "list": "清单",
    "users": "人员",
    "shield": "盾牌",
    "monitor": "屏幕",
    "search": "查询",
    "download": "下载",
}
GRAVE = frozenset({
    "redirect_uris", "post_logout_redirect_uris", "cas_services", "gate_urls", "logout_url", "jwks", "secrets", "auth_method",
    "require_level", "logout_private", "resources", "entry_url", "protocols", "audience",
})  # fmt: skip
"""A wrong value of these lets somebody in, or sends people and their data elsewhere."""


def text_of(name: str, value: object) -> str:
    """One registered value, as operators read it."""
    if isinstance(value, bool):
        return "是" if value else "否"
    if name == "jwks":
        return "；".join(_key(key) for key in value) if isinstance(value, (list, tuple)) else ""
    named = {code: str(site.names.platform) for code, site in sites().items()} if name == "site" else {}
    words = {"site": named, "protocols": PROTOCOLS, "audience": AUDIENCES, "require_level": LEVELS, "icon": ICONS}.get(name, {})
    parts = value if isinstance(value, (list, tuple)) else [value]
    return "；".join(words.get(str(part), str(part)) for part in parts) or "无"


def _key(key: dict[str, str]) -> str:
    """A public key by its thumbprint (RFC 7638): two keys can begin alike, and one be made to begin as another does."""
    return f"{key.get('kty')} {key.get('kid', '')} {import_key({**key}).thumbprint()}"


def described(wish: Wish) -> list[tuple[str, str]]:
    """Everything that is registered, label and value."""
    return [(LABELS[name], text_of(name, value)) for name, value in msgspec.to_builtins(wish).items()]


def facts_of(wish: Wish, before: Wish | None, *, state: str, was: str) -> list[tuple[str, str]]:
    """What a second operator reads: everything of a new application, of another what changes."""
    facts = described(wish) if before is None else list(_changes(wish, before))
    if was and was != state:
        facts.insert(0, ("状态", Change(str(ApplicationState(was).label), str(ApplicationState(state).label), alarming=True)))
    head = [] if before is None else [("应用", f"{before.name}（{before.client_id}）")]
    return [*head, *facts] if facts else [*head, ("变更", Alarm("没有任何变更"))]


def _changes(wish: Wish, before: Wish) -> Iterator[tuple[str, str]]:
    old = msgspec.to_builtins(before)
    for name, value in msgspec.to_builtins(wish).items():
        if value != old[name]:
            texts = [text_of(name, one) for one in (old[name], value)]
            if texts[0] == texts[1]:  # what differs is never shown as equal
                texts = [
                    f"{text} {json.dumps(one, ensure_ascii=False)}" for text, one in zip(texts, (old[name], value), strict=True)
                ]
            yield LABELS[name], Change(texts[0], texts[1], alarming=name in GRAVE)
