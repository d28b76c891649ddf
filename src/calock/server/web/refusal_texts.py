# ruff: noqa: E501 - a table: one reason, one line
"""What people read for each reason: sentence, one next action; and the audit event where no service wrote one.

Sentences are Chinese and English. ``{facts}`` are filled in; a sentence whose facts are not all there falls back to its
``plain`` form, so that a page never shows braces. The Chinese words of F01–F30 are the failure catalogue's.
"""

from __future__ import annotations

from dataclasses import dataclass
from string import Formatter
from typing import Literal

from calock.core.refusals import Reason
from calock.server.audit.events import Event

R = Reason


Does = Literal["", "again", "pin", "clean", "window", "lock", "password", "reason", "allow", "reload", "return"]
"""Try again; go to the field of the PIN; take odd characters out of it; open the driver's window; go to the field of the lock, of the
password, of the reason; let the browser ask; load the page anew; follow the link and come back to this page."""


@dataclass(frozen=True, slots=True)
class Words:
    """One sentence in both languages, with a form that needs no facts."""

    zh: str
    en: str
    plain_zh: str = ""
    plain_en: str = ""

    def say(self, facts: dict[str, str | int | bool], *, english: bool) -> str:
        text, plain = (self.en, self.plain_en) if english else (self.zh, self.plain_zh)
        needed = {field for _, field, _, _ in Formatter().parse(text) if field}
        return text.format(**facts) if needed <= facts.keys() else plain


@dataclass(frozen=True, slots=True)
class Action:
    """The one thing to do next. ``page`` is a portal page's name; ``fact`` names a fact whose value, a link, is preferred.

    ``does`` is what the page at hand does itself, where it can: what its label says, in place. ``back`` names the page of locks to
    which the linked one leads on, to bind one.
    """

    zh: str
    en: str
    page: str
    fragment: str = ""
    fact: str = ""
    does: Does = ""
    back: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    words: Words
    action: Action
    event: Event = Event.REQUEST_REFUSED


RETRY = Action("重试", "Try again", "login", "ca", does="again")
CHOOSE = Action("重新选择", "Choose again", "login", "ca", does="lock")
TYPE_PIN = Action("重新输入", "Type the PIN again", "help_failures", "F13", does="pin")
CA_LOGIN = Action("用 CA 锁登录", "Log in with your CA lock", "login", "ca")
LOGIN = Action("去登录", "Log in", "login", does="return")
PASSWORD_LOGIN = Action("用账号密码登录", "Log in with your password", "login", "account")
BIND = Action("去绑定", "Bind this lock", "login", "account", back="bindings")
UNBIND = Action("去解除绑定", "End the old binding", "bindings")
BINDINGS = Action("查看 CA 绑定", "See the bound locks", "bindings")
DRIVER = Action("CA 驱动下载", "Download the CA driver", "drivers")
NEWER_DRIVER = Action("下载新版本", "Download the newer version", "drivers", fact="newer_url")
CONTACT = Action("联系客服", "Contact us", "contact")
APPLICATIONS = Action("去应用中心", "Open the applications", "apps")
HOME = Action("返回首页", "Back to the home page", "home")
CHECK = Action("环境检测", "Check this computer", "check")
CA_LIST = Action("查看互认 CA 列表", "See the recognised CAs", "ca_downloads")
RENEW = Action("续期（续期后无需重新绑定）", "Renew it (no new binding is needed)", "help_certificate", "F17", fact="renew_url")
REPLACE = Action("补办", "Have it replaced", "help_certificate", "F19", fact="renew_url")
UNLOCK = Action("解锁指引", "How to unlock it", "help_certificate", "F14", fact="unlock_url")
CONSOLE = Action("返回控制台", "Back to the console", "home")
PROVE = Action("用 CA 锁确认身份", "Confirm with the CA lock", "confirm", does="return")
CONFIRM = Action("重新确认身份", "Confirm again", "confirm", does="password")
RELOAD = Action("刷新页面", "Reload the page", "home", does="reload")
PASSWORD = Action("修改密码", "Change the password", "password")


def _help(code: str) -> Action:
    return Action("查看处理办法", "See what helps", "help_failures", code)


_CERTIFICATE = Words("CA 锁中的证书不符合要求（{detail_code}）", "The certificate of this lock is not acceptable ({detail_code})",
                     "CA 锁中的证书不符合要求", "The certificate of this lock is not acceptable")  # fmt: skip
_WRONG_REQUEST = Words("请求内容有误，请刷新页面后重试", "The request is malformed; reload the page and try again")
_TIMED_OUT = Words("登录请求已超时，请重试", "The request has timed out, please try again")
_UNVERIFIED = Words("签名验证未通过（编号 {number}）", "The signature is not valid (number {number})",
                    "签名验证未通过", "The signature is not valid")  # fmt: skip
_NO_STATUS = Words("暂时无法核验证书状态", "The certificate's status cannot be checked at the moment")
_SIGNING = Words("请选择签名证书", "Please choose the signing certificate")
_UNTRUSTED = Words("该证书不在本平台互认范围", "This certificate is not from a CA that this platform recognises")
_LOCKED_OUT = Words("账户已锁定", "The account is locked")


ENTRIES: dict[R, Entry] = {
    # answer
    R.TOKEN_EMPTY: Entry(Words("没有收到 CA 锁的应答，请重试", "No answer of the lock arrived, please try again"), RETRY),
    R.TOKEN_TOO_LARGE: Entry(Words("CA 锁的应答过大", "The lock's answer is too large"), CHECK),
    R.TOKEN_MALFORMED: Entry(Words("CA 锁的应答无法识别，请更新驱动后重试", "The lock's answer cannot be read; update the driver"), DRIVER),
    R.TOKEN_FORMAT_UNSUPPORTED: Entry(Words("不支持此驱动的应答格式，请更新驱动", "This driver's answer format is not supported; update the driver"), DRIVER),
    R.ANSWER_NOT_JUDGED: Entry(Words("系统未能核验 CA 锁的应答，本次操作没有生效，请联系客服并提供编号 {number}", "An error of ours kept this lock's answer from being checked; nothing was changed. Contact us with number {number}", "系统未能核验 CA 锁的应答，本次操作没有生效，请联系客服", "An error of ours kept this lock's answer from being checked; nothing was changed. Please contact us"), CONTACT),
    R.REQUEST_MALFORMED: Entry(_WRONG_REQUEST, RELOAD),
    R.REQUEST_TOO_LARGE: Entry(Words("请求内容过大", "The request is too large"), RETRY),
    # challenge
    R.CHALLENGE_MALFORMED: Entry(_TIMED_OUT, RETRY),
    R.CHALLENGE_FORGED: Entry(_TIMED_OUT, RETRY),
    R.CHALLENGE_EXPIRED: Entry(_TIMED_OUT, RETRY),
    R.CHALLENGE_FROM_FUTURE: Entry(_TIMED_OUT, RETRY),
    R.CHALLENGE_WRONG_PURPOSE: Entry(_TIMED_OUT, RETRY),
    R.CHALLENGE_WRONG_CONTEXT: Entry(_TIMED_OUT, RETRY),
    R.CHALLENGE_SPENT: Entry(_TIMED_OUT, RETRY),
    # signature
    R.ALGORITHM_NOT_ALLOWED: Entry(_UNVERIFIED, CHECK),
    R.ALGORITHM_KEY_MISMATCH: Entry(_UNVERIFIED, CHECK),
    R.SIGNATURE_INVALID: Entry(_UNVERIFIED, CHECK),
    # gate
    R.CERTIFICATE_UNPARSABLE: Entry(_CERTIFICATE, _help("F11")),
    R.CERTIFICATE_TOO_LARGE: Entry(_CERTIFICATE, _help("F11")),
    R.CERTIFICATE_VERSION: Entry(_CERTIFICATE, CONTACT),
    R.CERTIFICATE_SERIAL: Entry(_CERTIFICATE, CONTACT),
    R.CERTIFICATE_EXTENSION: Entry(_CERTIFICATE, CONTACT),
    R.CERTIFICATE_SIGNATURE_ALGORITHM: Entry(_CERTIFICATE, CONTACT),
    R.CERTIFICATE_VALIDITY_ORDER: Entry(_CERTIFICATE, CONTACT),
    R.KEY_NOT_ALLOWED: Entry(_CERTIFICATE, CONTACT),
    R.KEY_WEAK: Entry(Words("CA 锁的密钥强度不足，请联系 CA 机构更换", "The lock's key is too weak; ask its CA for a new one"), REPLACE),
    R.CERTIFICATE_IS_CA: Entry(_CERTIFICATE, CONTACT),
    # path
    R.CERTIFICATE_EXPIRED: Entry(Words("证书已于 {not_after} 过期", "The certificate expired on {not_after}", "证书已过期", "The certificate has expired"), RENEW),
    R.CERTIFICATE_NOT_YET_VALID: Entry(Words("证书尚未生效（{not_before} 起有效）", "The certificate is not valid before {not_before}", "证书尚未生效", "The certificate is not yet valid"), _help("F18")),
    R.CERTIFICATE_UNTRUSTED: Entry(_UNTRUSTED, CA_LIST),
    R.PATH_EXPIRED: Entry(Words("签发该证书的 CA 已不在有效期内", "The CA that issued this certificate is outside its validity"), CONTACT),
    R.PATH_INVALID: Entry(_UNTRUSTED, CA_LIST),
    R.PATH_TOO_LONG: Entry(_UNTRUSTED, CA_LIST),
    R.PROVIDER_SUSPENDED: Entry(Words("该 CA 服务商已暂停互认", "Recognition of this CA is suspended"), PASSWORD_LOGIN),
    R.PROVIDER_NOT_RECOGNISED_HERE: Entry(_UNTRUSTED, CA_LIST),
    R.PROVIDER_MISMATCH: Entry(Words("插入的 CA 锁属于 {provider}，与所选的驱动不一致", "This lock belongs to {provider}, not to the chosen driver", "插入的 CA 锁与所选的驱动不一致", "This lock does not belong to the chosen driver"), Action("重新选择驱动", "Choose another driver", "login", "ca", does="lock")),
    # revocation
    R.CERTIFICATE_REVOKED: Entry(Words("证书已被吊销，不能使用", "The certificate is revoked and cannot be used"), REPLACE),
    R.CERTIFICATE_ON_HOLD: Entry(Words("证书已被冻结，不能使用", "The certificate is suspended and cannot be used"), REPLACE),
    R.CA_REVOKED: Entry(Words("签发该证书的 CA 已被吊销，不能使用", "The CA that issued this certificate is revoked"), REPLACE),
    R.REVOCATION_UNKNOWN: Entry(_NO_STATUS, PASSWORD_LOGIN),
    R.REVOCATION_UNAVAILABLE: Entry(_NO_STATUS, PASSWORD_LOGIN),
    R.REVOCATION_STALE: Entry(_NO_STATUS, PASSWORD_LOGIN),
    R.REVOCATION_UNTRUSTED: Entry(_NO_STATUS, PASSWORD_LOGIN),
    # profile and identity
    R.KEY_USAGE_MISSING: Entry(_SIGNING, _help("F21")),
    R.KEY_USAGE_NOT_SIGNING: Entry(_SIGNING, _help("F21")),
    R.EXTENDED_KEY_USAGE: Entry(_SIGNING, _help("F21")),
    R.POLICY_NOT_ALLOWED: Entry(_CERTIFICATE, CONTACT),
    R.HOLDER_ID_MISSING: Entry(Words("证书中没有持有人标识，请联系 CA 机构", "The certificate does not say whose it is; ask its CA"), CONTACT),
    R.HOLDER_ID_INVALID: Entry(Words("证书中的持有人标识有误，请联系 CA 机构", "The holder's id in the certificate is wrong; ask its CA"), CONTACT),
    # binding and login
    R.LOCK_NOT_BOUND: Entry(Words("该 CA 锁尚未绑定账户，请先用账号密码登录后绑定", "This lock is not bound; log in with your password and bind it first"), BIND),
    R.LOCK_NOT_ACTIVATED: Entry(Words("这把 CA 锁已随名单导入，尚未激活：请本人用账号密码登录一次，在 CA 绑定页面激活", "This lock came with a list and is not activated yet: log in with your password once and activate it on the bindings page"), PASSWORD_LOGIN),
    R.LOCK_NOT_CONFIRMED: Entry(Words("这把 CA 锁由管理员绑定，确认后才能登录：请本人用账号密码登录，在 CA 绑定页面确认", "An administrator bound this lock; it logs in once that is confirmed: log in with your password and confirm it on the bindings page"), PASSWORD_LOGIN),
    R.LOCK_REPORTED_LOST: Entry(Words("这把 CA 锁已挂失，不能使用。找回了锁的，请用账号密码登录后恢复使用；拾到他人的锁，请交还发锁的 CA 机构（{hotline}）", "This lock was reported lost. If you have found your own, log in with your password and resume it; if it is not yours, return it to its CA ({hotline})", "这把 CA 锁已挂失，不能使用。找回了锁的，请用账号密码登录后恢复使用；拾到他人的锁，请交还发锁的 CA 机构", "This lock was reported lost. If you have found your own, log in with your password and resume it; if it is not yours, return it to its CA"), PASSWORD_LOGIN),
    R.LOCK_BOUND_TO_OTHER: Entry(Words("该 CA 锁已绑定其他用户（{holder}），一把 CA 锁只能绑定一个用户", "This lock is bound to another user ({holder}); a lock can be bound to one user only", "该 CA 锁已绑定其他用户，一把 CA 锁只能绑定一个用户", "This lock is bound to another user; a lock can be bound to one user only"), Action("申请转移/联系管理员", "How to move it", "contact", "transfer"), Event.BINDING_REFUSED),
    R.LOCK_ALREADY_BOUND: Entry(Words("该 CA 锁已绑定此账户，无需再次绑定", "This lock is already bound to this account"), BINDINGS, Event.BINDING_REFUSED),
    R.KEY_ALREADY_KNOWN: Entry(Words("该 CA 锁的密钥已用于另一把 CA 锁，请联系 CA 机构", "Another lock has the same key; ask your CA"), CONTACT, Event.BINDING_REFUSED),
    R.LOCK_HOLDER_CHANGED: Entry(Words("CA 锁中的证书已换成另一持有人，请先解除原绑定", "The lock now holds another person's certificate; end the old binding first"), PASSWORD_LOGIN),
    R.RENEWAL_NEEDS_STEP_UP: Entry(Words("检测到已续期的新证书，请用账号密码登录后在 CA 绑定页面确认一次", "This is a renewed certificate: log in with your password and confirm it once on the bindings page"), PASSWORD_LOGIN),
    R.PREDECESSOR_REVOKED: Entry(Words("原先绑定的证书已被吊销，新证书不能沿用原绑定，请先解除原绑定，再重新绑定", "The certificate that was bound is revoked, so the new one cannot take over its binding; end the old binding, then bind the lock anew"), UNBIND),
    R.CERTIFICATE_SUPERSEDED: Entry(Words("这把锁已使用更新的证书，请使用新证书；确需使用此证书的，请先解除绑定，再重新绑定", "The lock goes by a newer certificate; use that one, or end the binding and bind this one anew"), UNBIND),
    R.HOLDER_NOT_ORGANISATION: Entry(Words("证书单位与当前账户单位不一致", "The certificate's organisation is not the account's"), Action("确认或换锁", "Check, or use another lock", "help_failures", "F24"), Event.BINDING_REFUSED),
    R.BINDING_NOT_FOUND: Entry(Words("没有找到该绑定记录", "There is no such binding"), BINDINGS),
    R.BINDING_ALREADY_ENDED: Entry(Words("该绑定已解除", "This binding has already been ended"), BINDINGS),
    R.LAST_LOCK: Entry(Words("解除后该账户将无法登录（凭这把锁设置的密码随锁失效），请先绑定另一把 CA 锁，或请本单位管理员重置密码后重新设置。还绑定着过期、吊销或已挂失的锁时，请先解除那些锁", "Without this lock nobody gets in to the account (a password that was set with it ends with it): bind another lock first, or ask your administrator for a code to set a password. Where locks that are expired, revoked or reported lost are bound too, unbind those first"), PASSWORD),
    R.REASON_MISSING: Entry(Words("请填写原因（200 字以内）", "Please give a reason, of at most 200 characters"), Action("去填写", "Fill it in", "bindings", does="reason")),
    R.ACCOUNT_DISABLED: Entry(Words("账户已停用", "The account is disabled"), Action("联系管理员", "Ask your administrator", "contact")),
    R.ACCOUNT_LOCKED: Entry(_LOCKED_OUT, Action("联系管理员", "Ask your administrator", "contact")),
    R.ORGANISATION_DISABLED: Entry(Words("账户所属单位已停用", "The account's organisation is disabled"), Action("联系管理员", "Ask your administrator", "contact")),
    R.CREDENTIALS_WRONG: Entry(Words("账户或密码不正确。连续输错 5 次后，15 分钟内此处不再接受密码，CA 锁不受影响", "The account or the password is wrong. After 5 wrong passwords in a row none is taken here for 15 minutes; a CA lock still works"), Action("用 CA 锁登录", "Log in with a CA lock", "login", "ca")),
    R.PASSWORD_CHANGE_REQUIRED: Entry(Words("首次登录请先修改密码", "Please change the password first"), PASSWORD),
    R.PASSWORD_UNACCEPTABLE: Entry(Words("新密码不符合要求：{why}", "The new password is not acceptable: {why}", "新密码不符合要求", "The new password is not acceptable"), PASSWORD),
    R.PASSWORD_CODE_WRONG: Entry(Words("账户或一次性代码不正确，或代码已使用、已过期，请向发放代码的管理员重新索取", "The account or the one-time code is wrong, or the code was used or has expired; ask whoever gave it to you for another"), CONTACT),
    R.PASSWORD_RESET_LATELY: Entry(Words("密码在 24 小时内由他人重置过，此操作须用重置前已绑定的 CA 锁确认身份，或在重置满 24 小时后办理", "Somebody else reset this password within the last 24 hours; confirm with a CA lock that was bound before, or do this when the 24 hours are over"), PROVE),
    R.PASSWORD_LOGIN_OFF: Entry(Words("该账户绑定 CA 锁后只能用 CA 锁登录；锁丢失或不能使用时，请联系本单位管理员或平台", "With a bound CA lock this account logs in with it alone; if the lock is lost or broken, ask your administrator or the platform"), Action("用 CA 锁登录", "Log in with the CA lock", "login", "ca")),
    R.LOCK_PROOF_REQUIRED: Entry(Words("此操作须用已绑定的 CA 锁确认身份", "This has to be confirmed with the bound CA lock"), PROVE),
    R.LOCK_ENROLMENT_CLOSED: Entry(Words("运营人员绑定 CA 锁须在开通的时限内进行，请由另外两位运营人员或服务器所有者开通", "An operator binds a lock within a time that two other operators or the server's owner give"), CONTACT),
    R.OPERATOR_HOLDER_KNOWN: Entry(Words("该证书的持有人已是另一位运营人员，一个人不能以两个账户完成双人复核，请使用本人的 CA 锁", "The certificate's holder is another operator already; one person cannot be both of two, use your own CA lock"), CONTACT),
    R.OPERATOR_DAMAGED: Entry(Words("运营人员记录的完整性校验未通过，已停止使用，请联系服务器所有者", "The operator's record failed its integrity check and is not used; tell the server's owner"), CONTACT, Event.ACCESS_REFUSED),
    R.RECORD_DAMAGED: Entry(Words("账户或 CA 锁记录的完整性校验未通过，已停止使用，请联系平台处理", "The record of the account or of its CA lock failed its integrity check and is not used; please contact the platform"), CONTACT, Event.ACCESS_REFUSED),
    R.STEP_UP_FAILED: Entry(Words("登录密码不正确，请重新输入。连续输错 5 次后，15 分钟内不再接受密码，还剩 {left} 次", "The login password is wrong, please type it again. After 5 wrong ones in a row none is taken for 15 minutes; {left} left", "未能确认是您本人：这把 CA 锁没有绑定到您的账户，或不是要恢复使用的那一把，请换锁再试", "That did not prove it is you: this lock is not bound to your account, or is not the one to resume; try the right one"), Action("再试一次", "Try again", "confirm", does="password")),
    R.STEP_UP_REQUIRED: Entry(Words("请再次输入密码，确认是您本人操作", "Please give your password again to confirm that it is you"), CONFIRM),
    R.NOT_ALLOWED: Entry(Words("您没有进行此操作的权限", "You are not allowed to do this"), HOME, Event.ACCESS_REFUSED),
    R.NOT_FOUND: Entry(Words("页面或记录不存在", "There is no such page or record"), HOME),
    R.SESSION_REQUIRED: Entry(Words("请先登录", "Please log in first"), LOGIN),
    R.SESSION_ENDED: Entry(Words("登录已失效，请重新登录", "Your session is over, please log in again"), LOGIN),
    R.CHANNEL_OFF: Entry(Words("平台暂不支持通过这种方式发送消息", "The platform sends no messages this way at present"), CONTACT),
    R.CONTACT_UNUSABLE: Entry(Words("请填写正确的邮箱，或 11 位手机号", "Please give a mail address, or a mobile number of 11 digits"), RETRY),
    R.CODE_WRONG: Entry(Words("验证码不正确、已使用或已过期，请核对；在申请验证码的浏览器里填写，或重新获取", "The code is wrong, was used or has expired; check it, in the browser in which you asked for it, or ask for another"), RETRY),
    R.TOO_MANY_CODES: Entry(Words("验证码申请次数过多，请 {minutes} 分钟后再试", "Too many codes were asked for, try again in {minutes} minutes", "验证码申请次数过多，请稍后再试", "Too many codes were asked for, try again later"), RETRY),
    R.TOO_MANY_ATTEMPTS: Entry(Words("尝试次数过多，请 {seconds} 秒后再试", "Too many attempts, try again in {seconds} seconds", "尝试次数过多，请稍后再试", "Too many attempts, try again later"), RETRY, Event.REQUESTS_THROTTLED),
    R.PASSWORD_TRIES_USED_UP: Entry(Words("密码输错次数过多，请 {minutes} 分钟后再用密码登录；也可以改用 CA 锁或以前登录过的浏览器，或向管理员索取一次性代码", "Too many wrong passwords; try again in {minutes} minutes, or use your CA lock or a browser in which you logged in before, or ask your administrator for a one-time code", "密码输错次数过多，请稍后再用密码登录；也可以改用 CA 锁或以前登录过的浏览器，或向管理员索取一次性代码", "Too many wrong passwords; try later, or use your CA lock or a browser in which you logged in before, or ask your administrator for a one-time code"), CA_LOGIN),
    R.SERVER_BUSY: Entry(Words("当前登录人数较多，请稍候重试", "Many people are logging in, please try again in a moment"), RETRY),
    R.DATABASE_UNAVAILABLE: Entry(Words("系统维护中，请稍后再试", "The system is under maintenance, please try again in a moment"), RETRY),
    R.CSRF_FAILED: Entry(Words("页面已失效，请刷新后重试", "This page is out of date; reload it and try again"), RELOAD),
    R.HOST_UNKNOWN: Entry(Words("此服务器上没有该网址的平台，请核对地址", "No platform of this server has this address"), HOME),
    # the register and decisions of two operators
    R.REGISTER_DAMAGED: Entry(Words("CA 互认登记的完整性校验未通过，CA 登录已暂停，请使用账号密码登录并联系客服", "The register of recognised CAs failed its integrity check; log in with your password and contact us"), CONTACT),
    R.CA_CERTIFICATE_REFUSED: Entry(Words("该文件不能作为 CA 证书登记", "This file cannot be recorded as a CA certificate"), CONSOLE),
    R.CA_KEY_KNOWN: Entry(Words("CA“{subject}”的公钥已登记在“{owner}”名下，两者都用于{sites}：同一站点上一个 CA 公钥只能属于一个服务商，请先调整其中一方的站点", "The key of CA “{subject}” stands at “{owner}”, and both serve {sites}: on one site a CA key belongs to one provider, so change the sites of one of them first", "该 CA 公钥已经登记", "This CA key is recorded already"), CONSOLE),
    R.PROVIDER_RULES_REFUSED: Entry(Words("服务商规则有误", "The provider's rules are not acceptable"), CONSOLE),
    R.PROVIDER_WITHOUT_ANCHOR: Entry(Words("该服务商还没有已互认的信任锚，不能启用", "This provider has no recognised anchor yet and cannot be enabled"), CONSOLE),
    R.SECOND_OPERATOR_NEEDED: Entry(Words("提出人不能复核自己的申请，请由另一位运营人员复核", "Who proposes does not approve; another operator must"), CONSOLE),
    R.CONTACTS_TAKEN: Entry(Words("您在 30 天内移除过该账户的联系方式，现在没有联系方式可以收到通知，请由另一位运营人员重置密码", "You took this account's contacts away within the last 30 days and none is left to be told; another operator must reset its password"), CONSOLE),
    R.APPROVAL_CLOSED: Entry(Words("该申请已处理、已撤销或已逾期", "This proposal is decided, taken back or too old"), CONSOLE),
    R.APPROVAL_WAITING: Entry(
        Words(
            "该对象已有一项待复核的变更，请先在“双人复核”中处理",
            "A change of the same is waiting for a second operator; decide it or take it back first",
        ),
        CONSOLE,
    ),
    R.VERSION_CHANGED: Entry(Words("内容已被他人修改，请刷新后再操作", "Somebody changed it meanwhile; reload and look again"), CONSOLE),
    # applications
    R.APPLICATION_UNKNOWN: Entry(Words("此应用未在本平台登记或已停用", "This application is not registered here, or is suspended"), APPLICATIONS, Event.APPLICATION_REFUSED),
    R.APPLICATION_REFUSED: Entry(Words("应用登记的内容不符合要求", "What is to be registered of the application is not acceptable"), CONSOLE),
    R.APPLICATION_NOT_FOR_YOU: Entry(Words("此应用不面向您的单位类型开放", "This application is not for your kind of organisation"), APPLICATIONS, Event.APPLICATION_REFUSED),
    R.APPLICATION_REQUEST_WRONG: Entry(Words("应用发来的登录请求有误，请从应用中心重新进入", "The application's request is malformed; open it again from the applications page"), APPLICATIONS, Event.APPLICATION_REFUSED),
    R.APPLICATION_REQUEST_OVER: Entry(Words("这次进入应用的请求已完成或已超时，请重新进入", "This request is done, or was made too long ago; open the application again"), APPLICATIONS, Event.APPLICATION_REFUSED),
    R.REDIRECT_NOT_REGISTERED: Entry(Words("应用要求返回的地址未经登记，为保护您的账户已停止", "The address that the application wants you back at is not registered; to protect your account nothing was sent there"), APPLICATIONS, Event.APPLICATION_REFUSED),
    R.LOCK_NEEDED_HERE: Entry(Words("此应用要求使用 CA 锁登录，您的账户还没有绑定 CA 锁", "This application asks for a CA lock, and none is bound to your account"), BIND, Event.APPLICATION_REFUSED),
    # driver
    R.ORIGIN_NOT_ALLOWED: Entry(Words("CA 驱动不允许本网站使用 CA 锁，请安装本平台的驱动", "The driver does not allow this site to use locks; install this platform's driver"), DRIVER),
    R.HOST_NOT_ALLOWED: Entry(Words("CA 驱动拒绝了此访问", "The driver refused this access"), CHECK),
    R.PEER_NOT_ALLOWED: Entry(Words("CA 驱动属于本机的另一个用户，请在当前用户下启动驱动", "The driver belongs to another user of this computer; start it as yourself"), DRIVER),
    R.DRIVER_BUSY: Entry(Words("CA 驱动正在处理另一个操作，请完成后重试", "The driver is busy with another operation; finish it and try again"), RETRY),
    R.DRIVER_ABSENT: Entry(Words("CA 客户端驱动未安装, 请下载", "The CA driver is not installed, please download it"), DRIVER),
    R.DRIVER_TOO_OLD: Entry(Words("驱动版本过低（当前 {version}，要求 {required}）", "The driver is too old (this is {version}, {required} is needed)", "驱动版本过低", "The driver is too old"), Action("更新驱动", "Update the driver", "drivers")),
    R.DRIVER_OTHER_VENDOR: Entry(Words("检测到的是其他 CA 的驱动，请选择对应的驱动", "This is another CA's driver; choose the matching one"), DRIVER),
    R.DRIVER_PERMISSION_PROMPT: Entry(Words("浏览器尚未允许本站访问本机的 CA 驱动", "The browser has not yet allowed this site to reach the driver on this computer"), Action("点击“允许”", "Click “Allow”", "help_failures", "F03", does="allow")),
    R.DRIVER_PERMISSION_DENIED: Entry(Words("浏览器尚未允许本站访问本机的 CA 驱动", "The browser does not allow this site to reach the driver on this computer"), Action("查看如何允许", "See how to allow it", "help_failures", "F03")),
    R.DRIVER_FAILED: Entry(Words("CA 驱动出现错误，请重启驱动后重试", "The driver failed; restart it and try again"), _help("F30")),
    R.DRIVER_NOT_ANSWERING: Entry(Words("本机的 CA 驱动没有响应，请退出 CA 驱动后重新启动，仍不行请重启电脑", "The CA driver of this computer does not answer; quit it and start it again, or restart the computer"), _help("F31")),
    R.DRIVER_SEVERAL: Entry(Words("本机有 {count} 个程序自称是 CA 驱动，为保护您的 PIN 码已停止，请退出多余的程序", "{count} programs on this computer say that they are the CA driver; to protect your PIN nothing is sent to any of them. Quit the others", "本机有多个程序自称是 CA 驱动，为保护您的 PIN 码已停止，请退出多余的程序", "Several programs on this computer say that they are the CA driver; to protect your PIN nothing is sent to any of them. Quit the others"), _help("F08")),
    R.DRIVER_KEY_INVALID: Entry(Words("本机应答的程序不能证明自己是 CA 驱动，为保护您的 PIN 码已停止，请重新安装本平台的驱动", "The program that answers on this computer cannot prove that it is the CA driver; to protect your PIN nothing is sent to it. Reinstall this platform's driver"), _help("F08")),
    R.DRIVER_CHANGED: Entry(Words("本机的 CA 驱动与您上次使用的不是同一个；如果没有重新安装过驱动，请勿输入 PIN 码", "The CA driver of this computer is not the one that you used before; unless you have reinstalled it, do not type your PIN"), _help("F08")),
    R.DRIVER_PORT_TAKEN: Entry(Words("本机端口 {label} 由另一个程序占用，CA 驱动改用了其他端口；如非多人共用的电脑，请检查该程序", "Another program listens on port {label}, so the CA driver uses another one; unless several people share this computer, look which program it is", "本机的第一个驱动端口由另一个程序占用，CA 驱动改用了其他端口", "Another program listens on the first driver port, so the CA driver uses another one"), _help("F32")),
    R.DRIVER_PORTS_TAKEN: Entry(Words("供 CA 驱动使用的端口都被本机其他程序占用，您的驱动无法启动", "Other programs use every port that is meant for CA drivers, so yours cannot start"), _help("F32")),
    R.MODULE_FAILED: Entry(Words("CA 锁厂商的组件 {module} 不能使用，请重新插拔 CA 锁或重新安装该厂商的驱动", "The vendor's library {module} cannot be used; plug the lock in again or reinstall that vendor's driver", "CA 锁厂商的组件不能使用，请重新插拔 CA 锁或重新安装该厂商的驱动", "The lock vendor's library cannot be used; plug the lock in again or reinstall that vendor's driver"), _help("F33")),
    R.MODULE_MISSING: Entry(Words("没有找到 CA 锁厂商的组件 {module}，请安装该厂商的驱动", "The vendor's library {module} is not on this computer; install that vendor's driver", "没有找到 CA 锁厂商的组件，请安装该厂商的驱动", "The lock vendor's library is not on this computer; install that vendor's driver"), _help("F33")),
    R.MODULE_ARCHITECTURE: Entry(Words("CA 锁厂商的组件 {module} 与这台电脑的系统不匹配，请安装适合本系统的版本", "The vendor's library {module} is made for another kind of computer; install the version for this one", "CA 锁厂商的组件与这台电脑的系统不匹配，请安装适合本系统的版本", "The lock vendor's library is made for another kind of computer; install the version for this one"), _help("F33")),
    R.MODULE_CRASHED: Entry(Words("CA 锁厂商的组件 {module} 意外退出，驱动正在重新启动它，请稍候重试", "The vendor's library {module} crashed; the driver is starting it again, try again in a moment", "CA 锁厂商的组件意外退出，驱动正在重新启动它，请稍候重试", "The lock vendor's library crashed; the driver is starting it again, try again in a moment"), _help("F33")),
    R.MODULE_NOT_ANSWERING: Entry(Words("CA 锁厂商的组件 {module} 没有响应，请重新插拔 CA 锁后重试", "The vendor's library {module} does not answer; plug the lock in again, then try again", "CA 锁厂商的组件没有响应，请重新插拔 CA 锁后重试", "The lock vendor's library does not answer; plug the lock in again, then try again"), _help("F33")),
    R.OPERATION_CANCELLED: Entry(Words("操作已取消", "The operation was cancelled"), RETRY),
    R.LOCK_ABSENT: Entry(Words("未检测到 CA 锁，请将 CA 锁插入电脑", "No CA lock found; plug it into the computer"), _help("F10")),
    R.LOCK_UNKNOWN: Entry(Words("未检测到所选的 CA 锁，请将 CA 锁插入电脑", "The chosen lock is not plugged in"), _help("F10")),
    R.LOCK_REMOVED: Entry(Words("操作过程中 CA 锁被拔出", "The lock was pulled out during the operation"), Action("重新插入", "Plug it in again", "help_failures", "F16")),
    R.LOCK_CHANGED: Entry(Words("CA 锁中的证书已变化，请重新选择", "The lock's certificate has changed; choose again"), CHOOSE),
    R.LOCK_WITHOUT_CERTIFICATE: Entry(Words("CA 锁中没有证书", "There is no certificate in this lock"), Action("联系 CA 机构", "Ask your CA", "help_failures", "F11")),
    R.LOCK_WITHOUT_KEY: Entry(Words("CA 锁中有证书，但没有与它配套的密钥，不能登录", "This lock holds a certificate without its key and cannot log in"), Action("联系 CA 机构", "Ask your CA", "help_failures", "F11")),
    R.LOCK_CERTIFICATE_HIDDEN: Entry(Words("已插入 CA 锁，但它要先输入 PIN 码才显示证书（也可能还没有证书）", "A lock is plugged in that shows its certificate only after the PIN, or has none yet"), Action("查看处理办法", "See what helps", "help_failures", "F34")),
    R.LOCK_LIST_CUT: Entry(Words("CA 锁中的证书太多，只列出了最新的一部分", "This lock holds more certificates than are listed; the newest are shown"), _help("F34")),
    R.LOCKS_ALIKE: Entry(Words("插入的几把 CA 锁无法区分，请只保留要使用的一把", "The plugged-in locks cannot be told apart; leave only the one you want to use"), _help("F12")),
    R.SEVERAL_LOCKS: Entry(Words("检测到 {count} 把 CA 锁，请选择要使用的一把", "{count} locks are plugged in; choose one", "检测到多把 CA 锁，请选择要使用的一把", "Several locks are plugged in; choose one"), Action("去选择", "Choose", "help_failures", "F12", does="lock")),
    R.PIN_MISSING: Entry(Words("请输入 PIN 码", "Please give the PIN"), Action("去填写", "Fill it in", "help_failures", "F13", does="pin")),
    R.PIN_LENGTH: Entry(Words("PIN 码长度不正确", "The PIN has a wrong length"), TYPE_PIN),
    R.PIN_CHARACTERS: Entry(Words("PIN 码前后有空格，或含全角字符，没有提交，不扣次数；确实如此的，请再点一次按钮", "The PIN has blanks around it or full-width characters; it was not sent and no try was used. If it is meant so, press the button again"), Action("去掉空格和全角字符", "Take out blanks and full-width characters", "help_failures", "F13", does="clean")),
    R.PIN_WRONG: Entry(Words("PIN 码错误，还可尝试 {tries_left} 次", "Wrong PIN, {tries_left} tries left", "PIN 码错误", "Wrong PIN"), TYPE_PIN),
    R.PIN_LAST_TRY: Entry(Words("PIN 码只剩最后 {tries_left} 次尝试机会，输错将锁定 CA 锁，请先勾选确认", "Only {tries_left} tries are left before the lock is locked: tick the box first", "PIN 码只剩最后的尝试机会，输错将锁定 CA 锁，请先勾选确认", "Only the last tries are left before the lock is locked: tick the box first"), UNLOCK),
    R.PIN_WINDOW_ONLY: Entry(Words("为防止 CA 锁被锁定，接下来的 PIN 码请在驱动窗口中输入", "To keep the lock from being locked, type the PIN in the driver's own window now"), Action("在驱动窗口中输入", "Type it in the driver's window", "help_failures", "F13", does="window")),
    R.PIN_LOCKED: Entry(Words("CA 锁已被锁定，请联系 {provider} 解锁（{hotline}）", "The lock is locked; ask {provider} to unlock it ({hotline})", "CA 锁已被锁定，请联系 CA 机构解锁", "The lock is locked; ask your CA to unlock it"), UNLOCK),
    R.PIN_CANCELLED: Entry(Words("已取消输入 PIN 码", "The PIN entry was cancelled"), RETRY),
    R.LOCK_SIGNATURE_WRONG: Entry(Words("CA 锁的签名与其证书不符，请联系 CA 机构检查", "The lock's signature does not fit its certificate; ask your CA"), _help("F27")),
    # receipts
    R.RECEIPT_UNKNOWN: Entry(Words("没有查到这份回执，请对照回执核对编号与 CA锁ID 的后四位", "No such receipt was found; check number and last four characters of the lock ID against it"), RETRY),
    R.RECEIPT_INCOMPLETE: Entry(Words("回执尚不完整：刚完成的事项约一分钟后才能下载；核验时请上传下载得到的原文件", "The receipt is not complete: one that was just made is ready in about a minute; to check one, send the file as it was downloaded"), RETRY),
    R.RECEIPT_ALTERED: Entry(Words("回执已被改动，不能作为凭据（{part}）", "The receipt was altered and proves nothing ({part})", "回执已被改动，不能作为凭据", "The receipt was altered and proves nothing"), CONTACT),
    R.RECEIPT_NOT_OURS: Entry(Words("回执本身完整，但不是本平台或所互认的 CA 机构出具的", "The receipt is whole, but not of this platform or of a CA that it recognises"), CONTACT),
    # packages
    R.PACKAGE_WITHDRAWN: Entry(Words("该版本驱动已撤回，请下载 {newer_version} 版", "This version was withdrawn; download version {newer_version}", "该版本驱动已撤回，请下载其他版本", "This version was withdrawn; download another one"), NEWER_DRIVER),
    R.PACKAGE_DAMAGED: Entry(Words("驱动文件校验未通过，已停止下载", "The stored file failed its check and is not served"), CONTACT),
    R.PACKAGE_REFUSED: Entry(Words("上传的文件不是可用的驱动包（技术说明：{why}）", "The upload is not an acceptable package: {why}", "上传的文件不是可用的驱动包", "The upload is not an acceptable package"), HOME),
    R.UPDATE_UNREACHABLE: Entry(Words("暂时无法检查驱动更新", "The platform cannot be asked for a newer driver now"), DRIVER),
}  # fmt: skip

ASK_THE_CA = frozenset({
    R.CERTIFICATE_EXPIRED, R.CERTIFICATE_REVOKED, R.CERTIFICATE_ON_HOLD, R.CA_REVOKED, R.PATH_EXPIRED, R.KEY_WEAK, R.KEY_ALREADY_KNOWN,
    R.HOLDER_ID_MISSING, R.HOLDER_ID_INVALID, R.HOLDER_NOT_ORGANISATION, R.LOCK_HOLDER_CHANGED, R.LOCK_WITHOUT_CERTIFICATE, R.LOCK_WITHOUT_KEY,
    R.LOCK_SIGNATURE_WRONG, R.LOCK_CERTIFICATE_HIDDEN, R.LOCK_LIST_CUT, R.PIN_WRONG, R.PIN_WINDOW_ONLY, R.PIN_LOCKED, R.PIN_LAST_TRY,
    R.CERTIFICATE_NOT_YET_VALID, R.CERTIFICATE_SUPERSEDED, R.PREDECESSOR_REVOKED, R.PROVIDER_SUSPENDED, R.REVOCATION_UNKNOWN,
    R.REVOCATION_UNAVAILABLE, R.REVOCATION_STALE, R.REVOCATION_UNTRUSTED, R.KEY_USAGE_MISSING, R.KEY_USAGE_NOT_SIGNING, R.EXTENDED_KEY_USAGE,
    *(reason for reason, entry in ENTRIES.items() if entry.words is _CERTIFICATE),
})  # fmt: skip
"""What the CA that issued the lock can mend or explain: pages that know the lock add that CA's name and telephone."""
