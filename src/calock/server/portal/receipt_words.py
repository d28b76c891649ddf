"""What receipts are about, and what a file does not show by itself, in words."""

from __future__ import annotations

from django.utils.translation import gettext as _

from calock.core.receipts.verify import Note


def purposes() -> dict[str, str]:
    """What a receipt is about, in words."""
    return {
        "login": _("CA 登录"),
        "bind": _("绑定 CA 锁"),
        "unbind": _("解除绑定"),
        "stepup": _("确认身份"),
        "resume": _("恢复使用 CA 锁"),
    }


def note_sentence(note: str) -> str:
    """What a file does not show by itself, in words."""
    code, _space, of = note.partition(" ")
    words = {
        Note.NO_EXTERNAL_TIME: _("NO_EXTERNAL_TIME：没有外部时间戳，时间由平台的时钟与审计链说明。"),
        Note.TIMESTAMP_BY_OPENSSL: _("文件带有外部时间戳，其签名未在此核验，请用“核验说明.txt”的第四条命令核验。"),
        Note.CERTIFICATE_WAS_EXPIRED: _("绑定时证书已过有效期，为当时适用的规则所允许；证书链按其有效期的最后时刻核验。"),
        Note.ANCHOR_NOT_COMPARED: _("未比对信任锚，请与 CA 机构公布的公钥比对。"),
        Note.SEALING_KEY_NOT_COMPARED: _("未比对审计封存公钥，请与平台公布的公钥比对。"),
        Note.REVOCATION_DATA_BY_HASH: _("一份吊销信息（CRL 或 OCSP 应答）不在文件内，只记有其 SHA-256："),
    }
    return f"{words[Note(code)]}{of}"
