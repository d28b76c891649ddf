"""Forms of the console. What they do not name cannot be set through them; the services judge again."""

from __future__ import annotations

import json
from typing import Any, cast

from django import forms

from calock.core.policy import Policy, PolicyError, json_value
from calock.server.providers.models import Provider, ProviderState, SourceKind
from calock.server.providers.services import DESCRIPTION_FIELDS, LINK_FIELDS
from calock.server.providers.validators import (
    CODE,
    MAX_LEGAL_NAME,
    MAX_LINK,
    MAX_NAME,
    MAX_ORDER,
    MAX_SHORT,
    MAX_SOURCE,
    ONE_LINE,
    ascii_address,
)
from calock.server.sites.registry import sites

MAX_RULES = 64 * 1024


class AddressField(forms.CharField):
    """An http or https address, kept in its ASCII form (IDNA)."""

    widget = forms.URLInput

    def to_python(self, value: Any) -> str:
        text = super().to_python(value)
        try:
            return ascii_address(text) if text else ""
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error


class ProviderForm(forms.Form):
    """What people read of a provider."""

    code = forms.CharField(
        label="代码", max_length=50, validators=[CODE], help_text="小写字母、数字和连字符，最多 50 个；创建后不可更改"
    )
    name = forms.CharField(
        label="CA 服务商", max_length=MAX_NAME, validators=[ONE_LINE], help_text="列表中显示的名称，如：山西CA互认平台"
    )
    short_name = forms.CharField(
        label="简称", max_length=MAX_NAME, validators=[ONE_LINE], help_text="选择框中显示的名称，如：山西 CA"
    )
    legal_name = forms.CharField(label="法人名称", max_length=MAX_LEGAL_NAME, validators=[ONE_LINE], required=False)
    order = forms.IntegerField(label="显示次序", min_value=0, max_value=MAX_ORDER, initial=100, help_text="数字小的在前")
    version = forms.IntegerField(widget=forms.HiddenInput, min_value=0)

    def __init__(self, *args: Any, creating: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        del self.fields["version" if creating else "code"]

    @staticmethod
    def initial_of(provider: Provider) -> dict[str, Any]:
        return {"version": provider.version, **{name: getattr(provider, name) for name in DESCRIPTION_FIELDS}}

    def values(self) -> dict[str, Any]:
        """As the services take them."""
        return {name: self.cleaned_data[name] for name in DESCRIPTION_FIELDS}


class LinksForm(forms.Form):
    """Where people are sent; a second operator reads the differences."""

    hotline = forms.CharField(label="服务热线", max_length=MAX_SHORT, validators=[ONE_LINE], required=False)
    website = AddressField(label="网站", max_length=MAX_LINK, required=False)
    renew_url = AddressField(label="续期网址", max_length=MAX_LINK, required=False, help_text="证书到期、吊销时，用户从提示中前往")
    unlock_url = AddressField(label="解锁网址", max_length=MAX_LINK, required=False, help_text="PIN 码锁定时，用户从提示中前往")
    reason = forms.CharField(label="理由（含与 CA 机构核对的方式）", max_length=200)
    version = forms.IntegerField(widget=forms.HiddenInput, min_value=0)

    @staticmethod
    def initial_of(provider: Provider) -> dict[str, Any]:
        return {"version": provider.version, **{name: getattr(provider, name) for name in LINK_FIELDS}}

    def values(self) -> dict[str, Any]:
        """As the service takes them."""
        return {name: self.cleaned_data[name] for name in LINK_FIELDS}


class SourceForm(forms.Form):
    """An address of revocation data."""

    kind = forms.ChoiceField(label="类型", choices=SourceKind.choices)
    url = AddressField(label="地址", max_length=MAX_SOURCE)
    private_network = forms.BooleanField(label="内网地址", required=False)


class VendorForm(forms.Form):
    """A vendor folder whose content is proposed."""

    vendor = forms.ChoiceField(
        label="CA 服务商",
        help_text="尚未登记且有厂商目录的服务商，新增后为暂停状态。站点、规则与网址，以及每张 CA 证书，各为一项申请",
    )
    reason = forms.CharField(label="理由", max_length=200)

    def __init__(self, data: Any, *, vendors: dict[str, str]) -> None:
        super().__init__(data)
        cast(forms.ChoiceField, self.fields["vendor"]).choices = [(code, f"{name}（{code}）") for code, name in vendors.items()]


class TrustForm(forms.Form):
    """What decides trust in a provider; a second operator reads the differences."""

    state = forms.ChoiceField(label="状态", choices=ProviderState.choices)
    sites = forms.MultipleChoiceField(
        label="认可的站点", required=False, widget=forms.CheckboxSelectMultiple, help_text="未勾选的站点不接受该服务商的锁"
    )
    allow_expired_binding = forms.BooleanField(
        label="允许绑定已过期证书", required=False, help_text="仅影响绑定；过期证书始终不能登录"
    )
    rules = forms.CharField(
        label="验证规则（JSON）",
        max_length=MAX_RULES,
        widget=forms.Textarea(attrs={"rows": 24, "spellcheck": "false"}),
        help_text=(
            "算法与密钥长度、用途、身份标识的读取顺序、吊销信息的时效与策略；未知的键会被拒绝。"
            "grace_days 大于 0 时，证书到期后 CA 已从 CRL 中移出的被吊销证书也能登录。"
        ),
    )
    reason = forms.CharField(label="理由", max_length=200)
    version = forms.IntegerField(widget=forms.HiddenInput, min_value=0)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice = self.fields["sites"]
        assert isinstance(choice, forms.MultipleChoiceField)
        choice.choices = [(profile.code, profile.names.platform) for profile in sites().values()]

    @staticmethod
    def initial_of(provider: Provider) -> dict[str, Any]:
        try:
            rules = Policy.from_json(provider.rules).to_json()
        except (PolicyError, OverflowError):
            rules = provider.rules  # shown as they are, to be put right
        return {
            "state": provider.state,
            "sites": provider.sites,
            "allow_expired_binding": provider.allow_expired_binding,
            "rules": json.dumps(rules, ensure_ascii=False, indent=2),
            "version": provider.version,
        }

    def clean_rules(self) -> dict[str, Any]:
        try:
            return Policy.from_json(json_value(self.cleaned_data["rules"])).to_json()
        except json.JSONDecodeError as error:
            raise forms.ValidationError(f"第 {error.lineno} 行不是有效的 JSON") from error
        except (PolicyError, RecursionError, OverflowError) as error:
            raise forms.ValidationError(str(error)) from error
        except ValueError as error:  # Python reads no number of more than 4,300 digits
            raise forms.ValidationError("规则中有过长的数字") from error

    def values(self) -> dict[str, Any]:
        """As the service takes them."""
        return dict(self.cleaned_data)
