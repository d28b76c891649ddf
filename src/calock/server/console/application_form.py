"""The form of an application's registration; the second operator reads the differences, the service judges again."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from django import forms

from calock.server.applications.models import Application
from calock.server.applications.wishes import Wish
from calock.server.applications.words import AUDIENCES, ICONS, LABELS, LEVELS, PROTOCOLS
from calock.server.sites.registry import sites

LISTS = ("redirect_uris", "post_logout_redirect_uris", "cas_services", "gate_urls", "resources")
HINTS = {
    "client_id": "client_id：小写字母、数字和连字符，登记后不可更改",
    "note": "应用中心磁贴上的第二行，可留空",
    "entry_url": "应用中心的磁贴打开的地址；OpenID Connect 应用填 initiate_login_uri，由应用自己发起登录。留空则没有磁贴",
    "redirect_uris": "redirect_uri，一行一个，登录时逐字比较",
    "post_logout_redirect_uris": "一行一个，逐字比较",
    "cas_services": "service，一行一个；其下的路径也接受，查询参数不限",
    "gate_urls": "一行一个；登录后只返回到这些地址之下",
    "logout_url": "会话结束时，平台向此地址发送退出通知（backchannel_logout_uri，或 CAS 单点退出）",
    "jwks": "JWK 公钥的 JSON 数组，最多两个：换钥时新旧并存，待应用启用新钥后再删除旧钥",
    "require_level": "低于此方式登录的用户会被要求用 CA 锁确认",
    "resources": "应用自己的接口地址，一行一个；只有这些接口可取得 JWT 访问令牌",
    "pairwise": "每个应用看到的用户标识不同，应用之间不能比对",
}
METHODS = {
    "private_key_jwt": "private_key_jwt（推荐，平台不保存应用的密钥）",
    "client_secret_basic": "client_secret_basic",
    "client_secret_post": "client_secret_post",
}


def _choices(words: dict[str, str]) -> list[tuple[str, str]]:
    return list(words.items())


class ApplicationForm(forms.Form):
    """All of a wish but its secrets, which are made here and never typed."""

    site = forms.ChoiceField()
    client_id = forms.CharField(max_length=50)
    name = forms.CharField(max_length=100)
    note = forms.CharField(max_length=60, required=False)
    icon = forms.ChoiceField(choices=_choices(ICONS))
    order = forms.IntegerField(min_value=0, max_value=100_000, initial=100)
    audience = forms.MultipleChoiceField(choices=_choices(AUDIENCES), widget=forms.CheckboxSelectMultiple)
    protocols = forms.MultipleChoiceField(choices=_choices(PROTOCOLS), widget=forms.CheckboxSelectMultiple)
    entry_url = forms.CharField(max_length=500, required=False)
    require_level = forms.ChoiceField(choices=[item for item in LEVELS.items() if item[0] != "password"], required=False)
    logout_url = forms.CharField(max_length=500, required=False)
    logout_private = forms.BooleanField(required=False)
    redirect_uris = forms.CharField(required=False)
    post_logout_redirect_uris = forms.CharField(required=False)
    auth_method = forms.ChoiceField(choices=_choices(METHODS))
    jwks = forms.CharField(required=False, max_length=16_000, widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"}))
    id_token_alg = forms.ChoiceField(choices=[("RS256", "RS256"), ("ES256", "ES256")])
    pairwise = forms.BooleanField(required=False)
    offline = forms.BooleanField(required=False)
    resources = forms.CharField(required=False)
    cas_services = forms.CharField(required=False)
    gate_urls = forms.CharField(required=False)
    reason = forms.CharField(label="理由（含与应用方核对的方式）", max_length=200)
    version = forms.IntegerField(widget=forms.HiddenInput, min_value=0, initial=0)

    def __init__(self, data: Any = None, *, of: Application | None = None) -> None:
        super().__init__(data, initial=_initial(of))
        self._of = of
        choice = self.fields["site"]
        assert isinstance(choice, forms.ChoiceField)
        choice.choices = [(profile.code, str(profile.names.platform)) for profile in sites().values()]
        for name, field in self.fields.items():
            field.label = LABELS.get(name, field.label)
            field.help_text = HINTS.get(name, "")
            if name in LISTS:
                field.widget = forms.Textarea(attrs={"rows": 3, "spellcheck": "false"})
        if of is not None:
            for name in ("site", "client_id"):
                self.fields[name].disabled = True

    def clean_jwks(self) -> list[object]:
        text = self.cleaned_data["jwks"].strip()
        try:
            found = json.loads(text) if text else []
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError("不是有效的 JSON") from error
        keys = found.get("keys", []) if isinstance(found, dict) else found
        if not isinstance(keys, list):
            raise forms.ValidationError("须为 JWK 的数组，或含 keys 的 JWK Set")
        return keys

    def values(self) -> dict[str, Any]:
        """As the service takes them; secrets stay as they are registered."""
        values = {name: value for name, value in self.cleaned_data.items() if name not in ("reason", "version")}
        for name in LISTS:
            values[name] = [line.strip() for line in values[name].splitlines() if line.strip()]
        values["secrets"] = list(self._of.wish.secrets) if self._of is not None else []
        return values


def _initial(of: Application | None) -> dict[str, Any]:
    if of is None:
        return {"auth_method": "private_key_jwt", "id_token_alg": "RS256", "order": 100, "icon": "grid"}
    wish: Wish = of.wish
    values = msgspec.to_builtins(wish)
    for name in LISTS:
        values[name] = "\n".join(values[name])
    values["jwks"] = json.dumps(values["jwks"], ensure_ascii=False, indent=1) if values["jwks"] else ""
    return {**values, "version": of.version}
