"""The practice organisations and accounts. The first two administrators are the ones of the manuals' sample rows."""

from __future__ import annotations

from dataclasses import dataclass

PASSWORD = "LianXi-Suo-2026!"  # noqa: S105 - printed on the terminal; the demonstration listens on this computer only

_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_ORGANISATION_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def organisation_code(body: str) -> str:
    """Complete an 8-character organisation code with its check character (GB 11714-1997)."""
    weights = (3, 7, 9, 10, 5, 8, 4, 2)
    rest = 11 - sum(_ORGANISATION_ALPHABET.index(c) * w for c, w in zip(body, weights, strict=True)) % 11
    return body + {10: "X", 11: "0"}.get(rest, str(rest))


def uscc(body: str) -> str:
    """Complete a 17-character 统一社会信用代码 with its check character (GB 32100-2015 clause 5.1.5)."""
    total = sum(_ALPHABET.index(c) * pow(3, position, 31) for position, c in enumerate(body))
    if len(body) != 17:
        raise ValueError("17 characters come before the check character")
    return body + _ALPHABET[(31 - total % 31) % 31]


@dataclass(frozen=True, slots=True)
class SampleOrganisation:
    key: str
    kind: str
    name: str
    uscc: str


@dataclass(frozen=True, slots=True)
class SampleAccount:
    username: str
    name: str
    role: str
    organisation: str | None
    says: str
    """What this account is good for, in Chinese and English, for the printed list."""


ORGANISATIONS = (
    SampleOrganisation("supplier", "supplier", "测试供应商有限公司", uscc("91140100" + organisation_code("MA0TEAC1"))),
    SampleOrganisation("zcy", "supplier", "测试_政采云测试", uscc("91330100" + organisation_code("MA2PRAC2"))),
)

ACCOUNTS = (
    SampleAccount(
        "cssbjgys02", "测试供应商管理员", "organisation_admin", "supplier", "机构管理员 administrator of 测试供应商有限公司"
    ),
    SampleAccount("cssbjgys03", "李明", "member", "supplier", "普通成员 ordinary member of the same organisation"),
    SampleAccount("yuhaiqin", "俞海琴", "organisation_admin", "zcy", "机构管理员 administrator of 测试_政采云测试"),
    SampleAccount("zcycs02", "陈静", "member", "zcy", "普通成员 ordinary member of the same organisation"),
    SampleAccount("pszj01", "赵安", "member", None, "评审专家 expert, without an organisation"),
    SampleAccount("yunying01", "运营甲", "operator", None, "平台运营 operator: 用 CA 锁登录 logs in with a lock"),
    SampleAccount("yunying02", "运营乙", "operator", None, "平台运营 second operator: 用 CA 锁登录 logs in with a lock"),
)


def organisation(key: str) -> SampleOrganisation:
    return next(sample for sample in ORGANISATIONS if sample.key == key)
