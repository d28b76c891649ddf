"""What a role is called on pages."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from calock.server.accounts.models import Account, Role

_ROLES = {
    Role.MEMBER: _("普通成员"),
    Role.ORGANISATION_ADMIN: _("机构管理员"),
    Role.OPERATOR: _("平台运营"),
}


def role_of(account: Account) -> str:
    """The role in words. Who belongs to no organisation, as experts do, is a member of none."""
    alone = account.role == Role.MEMBER and account.organisation_id is None
    return str(_("个人账户") if alone else _ROLES[Role(account.role)])
