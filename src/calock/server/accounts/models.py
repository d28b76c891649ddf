"""Accounts and roles. An account is platform-wide: the same person uses it on every site of this server."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models import Q

from calock.server.accounts.sealed_rows import SealedRow, SealedSince
from calock.server.organisations.models import Organisation
from calock.server.tools import seals
from calock.server.tools.keys import Purpose

__all__ = ["Account", "AccountState", "CalendarLink", "PasswordCode", "PasswordTries", "Role", "SealedSince"]


class Role(models.TextChoices):
    MEMBER = "member", "普通成员"
    ORGANISATION_ADMIN = "organisation_admin", "机构管理员"
    OPERATOR = "operator", "平台运营"


class AccountState(models.TextChoices):
    ACTIVE = "active", "正常"
    DISABLED = "disabled", "停用"
    ERASED = "erased", "已注销"


def account_content(
    key: uuid.UUID,
    *,
    username: str,
    role: str,
    state: str,
    password: str,
    enrolment: datetime | None,
    organisation: uuid.UUID | None,
    lock_only: bool | None,
    changed: datetime | None,
    reset: datetime | None,
) -> bytes:
    """What the seal of an account covers: what decides who gets in, and over whom they have power.

    When the password was chosen: by that the trail tells a former one that was put back. Not of operators, whose seals the version
    before reads.
    """
    times = () if role == Role.OPERATOR else (("changed", changed), ("reset", reset))
    return seals.canonical([
        "account", str(key), username, str(role), str(state), password,
        _text(enrolment) if enrolment else "",
        *([f"organisation {organisation}"] if organisation else []),
        *([f"lock only {bool(lock_only)}"] if lock_only is not None else []),
        *(f"{what} {_text(at)}" for what, at in times if at),
    ])  # fmt: skip


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


class AccountQuerySet(models.QuerySet["Account"]):
    def overseen_by(self, actor: Account) -> AccountQuerySet:
        """Accounts whose locks ``actor`` manages: their own, and for an administrator those of the organisation's ordinary members.

        Never an operator's or another administrator's: with a lock bound to such an account one could log in as it.
        """
        return self.overseen(actor.pk, actor.administers)

    def overseen(self, account: Any, organisation: Any) -> AccountQuerySet:
        """The same, by keys: of the account, and of the organisation that it administers if it does."""
        own = Q(pk=account)
        return self.filter(own if organisation is None else own | Q(organisation_id=organisation, role=Role.MEMBER))

    def bindable_by(self, actor: Account) -> AccountQuerySet:
        """Accounts for which ``actor`` may bind a lock: the active ones among :meth:`overseen_by`."""
        return self.overseen_by(actor).filter(state=AccountState.ACTIVE)


class AccountManager(BaseUserManager["Account"].from_queryset(AccountQuerySet)):  # type: ignore[misc]
    def create_account(self, *, username: str, name: str, password: str | None = None, **fields: Any) -> Account:
        account: Account = self.model(username=username, name=name, **fields)
        account.set_password(password)
        account.save(using=self._db)
        return account

    def get_by_natural_key(self, username: str | None) -> Account:
        account: Account = self.get(username=username)
        return account


class Account(SealedRow, AbstractBaseUser):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    username = models.CharField("账户", max_length=64, unique=True)
    name = models.CharField("姓名", max_length=64, db_index=True)
    password = models.CharField(max_length=255, help_text="longer than Django's own: a fast digest of another system inside Argon2")
    external_id = models.CharField(
        "外部编号", max_length=64, blank=True, default="", db_default="", help_text="what the system it was imported from calls it"
    )
    organisation = models.ForeignKey(Organisation, null=True, blank=True, on_delete=models.PROTECT, related_name="members")
    role = models.CharField(max_length=24, choices=Role.choices, default=Role.MEMBER)
    state = models.CharField(max_length=16, choices=AccountState.choices, default=AccountState.ACTIVE)
    enabled_at = models.DateTimeField(null=True, blank=True, help_text="last time; sessions of before do not count again")
    must_change_password = models.BooleanField(default=False)
    password_changed_at = models.DateTimeField(null=True, blank=True)
    password_by_lock = models.ForeignKey(
        "locks.Lock", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False,
        help_text="the lock by which the password was chosen: it falls with it",
    )  # fmt: skip
    lock_only = models.BooleanField(
        null=True, blank=True, help_text="no password login once a lock is bound; null: as organisation or site say"
    )
    lock_enrolment_until = models.DateTimeField(
        null=True, blank=True, help_text="until then an operator may bind a first lock with the password"
    )
    password_reset_at = models.DateTimeField(null=True, blank=True, help_text="when somebody else last had it chosen anew")
    created_at = models.DateTimeField(auto_now_add=True)

    last_login = None  # the audit row says it; one write less on the login path
    objects: ClassVar[AccountManager] = AccountManager()

    USERNAME_FIELD = "username"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["name"]
    PURPOSE: ClassVar[Purpose] = "operators"  # only their rows were sealed once
    SEALED = frozenset({
        "username", "role", "state", "password", "lock_enrolment_until", "organisation", "lock_only",
        "password_changed_at", "password_reset_at",
    })  # fmt: skip

    class Meta:
        verbose_name = verbose_name_plural = "账户"
        indexes = (models.Index(fields=("role", "username")), models.Index(fields=("state", "username")))
        constraints = (
            models.UniqueConstraint(fields=("external_id",), condition=~Q(external_id=""), name="one_account_per_external_id"),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.username})"

    @property
    def is_active(self) -> bool:  # type: ignore[override]
        return self.state == AccountState.ACTIVE

    @property
    def administers(self) -> uuid.UUID | None:
        """The organisation whose ordinary members' locks they manage beside their own; None for whom it is only their own."""
        return self.organisation_id if self.role == Role.ORGANISATION_ADMIN and self.is_believed() else None

    @property
    def is_operator(self) -> bool:
        """Only with a seal that fits: a role written into the database makes nobody an operator."""
        return self.role == Role.OPERATOR and self.is_intact()

    def is_an_operators(self) -> bool:
        return self.role == Role.OPERATOR

    def sealed_content(self) -> bytes:
        return account_content(
            self.pk,
            username=self.username,
            role=self.role,
            state=self.state,
            password=self.password,
            enrolment=self.lock_enrolment_until,
            organisation=self.organisation_id,
            lock_only=self.lock_only,
            changed=self.password_changed_at,
            reset=self.password_reset_at,
        )

    # what django.contrib.admin asks of a user
    @property
    def is_staff(self) -> bool:
        return self.is_operator

    def has_perm(self, perm: str, obj: object | None = None) -> bool:  # noqa: ARG002 - the admin's signature
        return self.is_active and self.is_operator

    def has_module_perms(self, app_label: str) -> bool:  # noqa: ARG002 - the admin's signature
        return self.is_active and self.is_operator


class PasswordCode(SealedRow):
    """A one-time code to choose a password with. Only its SHA-256 is kept. One that was used has no seal."""

    digest = models.CharField(max_length=64, primary_key=True)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="password_codes")
    created_by = models.ForeignKey(Account, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    PURPOSE: ClassVar[Purpose] = "codes"
    SEALED = frozenset({"digest", "account", "expires_at"})

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("account",), condition=Q(used_at__isnull=True), name="one_open_code_per_account"),
        )

    def __str__(self) -> str:
        return f"{self.account_id} {self.created_at:%Y-%m-%d %H:%M}"

    def sealed_content(self) -> bytes:
        return seals.canonical(["password code", self.digest, str(self.account_id), _text(self.expires_at)])


class CalendarLink(models.Model):
    """The secret address under which a calendar program reads when an account's locks expire. Only its SHA-256 is kept."""

    account = models.OneToOneField(Account, primary_key=True, on_delete=models.CASCADE, related_name="calendar_link")
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.digest[:16]


class PasswordTries(models.Model):
    """Wrong passwords in a row, by name and by who tries (:mod:`calock.server.accounts.password_tries`)."""

    key = models.CharField(max_length=64, primary_key=True)
    failures = models.PositiveIntegerField(default=0)
    until = models.DateTimeField(db_index=True, help_text="when they are forgotten")
    told = models.BooleanField(default=False, help_text="the trail says that the count is full")

    def __str__(self) -> str:
        return f"{self.failures} until {self.until:%Y-%m-%d %H:%M}"
