"""What mails and text messages say: in the person's language, in the site's name, with the words of the pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import override

from calock.server.contacts.models import CodePurpose, Contact, ContactCode
from calock.server.notices.models import Notice
from calock.server.notices.words import words_of
from calock.server.sites.profile import Profile
from calock.server.sites.registry import origin_of, sites
from calock.server.web.links import portal_page


@dataclass(frozen=True, slots=True)
class Letter:
    """One message to one contact, for any channel."""

    id: str
    """The same for each repetition: receivers tell them by it."""
    to: str = field(repr=False)
    sender: str
    """The name of who writes, without line ends."""
    subject: str
    paragraphs: tuple[str, ...]
    short: str
    """The same as a text message, signed."""
    template: str
    """For gateways that send approved templates only: which, and what fills it."""
    values: Mapping[str, str]


class Said(NamedTuple):
    """What a letter says, in its language."""

    subject: str
    paragraphs: tuple[str, ...]
    template: str
    values: Mapping[str, str]


def site_of(code: str) -> Profile:
    """The site of that code; the default one for a site that this server has no more."""
    known = sites()
    return known.get(code) or next(site for site in known.values() if site.default)


def letter_of_notice(notice: Notice, contact: Contact, *, id_: str) -> Letter:
    site = site_of(notice.site or contact.site)
    with override(contact.language):
        told, number = words_of(notice), str(notice.facts.get("number", ""))
        words, numbered = told.text, f"{_('编号')} {number}" if number else ""
        link = f"{told.action}{_('：')}{told.link or origin_of(site) + portal_page(told.page)}"
        look = f"{_('登录后在消息中心查看')}{_('：')}{origin_of(site)}{portal_page('notices')}"
        inside = (link, look) if notice.account.is_active else ()
        values = {"text": words, "number": number}
        return _letter(id_, contact, site, Said(_("安全提醒"), (words, numbered, *inside), "notice", values))


def letter_of_more(contact: Contact, *, id_: str) -> Letter:
    """In place of notices beyond the most that one contact gets in an hour."""
    site = site_of(contact.site)
    with override(contact.language):
        words = _("您的账户近一小时内有较多提醒，不再逐条发送，请登录消息中心查看。")
        look = f"{origin_of(site)}{portal_page('notices')}"
        values = {"text": words, "number": ""}
        return _letter(id_, contact, site, Said(_("安全提醒"), (words, "", look), "notice", values))


def letter_of_code(code: ContactCode, *, minutes: int, site: str, language: str) -> Letter:
    with override(language):
        if code.purpose == CodePurpose.RESET:
            subject, words = _("重置密码"), _("您正在重置账户密码，验证码为 %(code)s，%(minutes)s 分钟内有效，只能用一次。")
            unasked = _("如非您本人操作，请忽略：没有验证码，密码不会改变。任何人向您索要验证码都是诈骗。")
        else:
            subject, words = _("验证联系方式"), _("您正在添加联系方式，验证码为 %(code)s，%(minutes)s 分钟内有效，只能用一次。")
            unasked = _("如非您本人操作，请忽略。任何人向您索要验证码都是诈骗。")
        filled = words % {"code": code.digits, "minutes": minutes}
        values = {"code": code.digits, "minutes": str(minutes)}
        said = Said(subject, (filled, unasked), f"code-{code.purpose}", values)
        return _letter(str(code.pk), code.contact, site_of(site), said)


def letter_of_lock_only(contact: Contact, *, id_: str, site: str, language: str) -> Letter:
    """To somebody who asked for a code, and whose account no password opens."""
    with override(language):
        words = _("有人请求重置您的账户密码。您的账户只能用 CA 锁登录，没有发出验证码；锁不能使用时，请联系本单位管理员或平台。")
        return _letter(id_, contact, site_of(site), Said(_("重置密码"), (words,), "lock-only", {}))


def _letter(id_: str, contact: Contact, site: Profile, said: Said) -> Letter:
    platform, signature = _one_line(str(site.names.platform)), _one_line(str(site.names.sms or site.names.platform))
    closing = _("此消息由系统发出，请勿回复。平台不会向您索要密码或 PIN 码。")
    short = said.paragraphs[:2] if said.template == "notice" else said.paragraphs[:1]
    return Letter(
        id=id_,
        to=contact.value,
        sender=platform,
        subject=_one_line(f"【{platform}】{said.subject}"),
        paragraphs=(*filter(None, said.paragraphs), f"{platform}\n{closing}"),
        short=_one_line(f"【{signature}】{' '.join(short)}"),
        template=said.template,
        values=said.values,
    )


def _one_line(text: str) -> str:
    """Names come from definitions and from people: no line end of theirs may begin a header."""
    return " ".join(text.split())
