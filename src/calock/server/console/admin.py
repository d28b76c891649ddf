"""The console's lists, gathered where Django's admin looks for them."""

from __future__ import annotations

from calock.server.console.account_admin import AccountAdmin
from calock.server.console.audit_admin import AuditEventAdmin
from calock.server.console.claim_admin import PendingBindingAdmin
from calock.server.console.lock_admin import BindingAdmin, LockAdmin
from calock.server.console.organisation_admin import OrganisationAdmin
from calock.server.console.package_admin import DriverPackageAdmin

__all__ = [
    "AccountAdmin",
    "AuditEventAdmin",
    "BindingAdmin",
    "DriverPackageAdmin",
    "LockAdmin",
    "OrganisationAdmin",
    "PendingBindingAdmin",
]
