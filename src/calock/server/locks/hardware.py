"""Whether a lock's CA says that its key is in hardware. Nothing here attests it."""

from __future__ import annotations

import uuid
from datetime import datetime

from calock.core.certificates.certificate import Certificate
from calock.core.checks.profile import is_of_hardware as certified_so
from calock.server.locks.models import LockCertificate
from calock.server.providers.trust import current_register


def is_of_hardware(lock: uuid.UUID | None, *, proved_at: datetime) -> bool:
    """Whether the certificate of a lock that was proved at that time has a policy that its provider's rules name.

    The rules are ``hardware_policies``. A certificate that took its place since then says nothing about what was proved: no.

    Raises:
        Refusal: the register cannot be read, or the stored certificate does not open.
    """
    policies = {trust.code: trust.policy for trust in current_register().providers if trust.policy.hardware_policies}
    if not policies:
        return False
    rows = LockCertificate.objects.select_related("ca_record__provider").filter(lock=lock, superseded_at__isnull=True)
    row = rows.filter(ca_record__provider__code__in=policies, current_since__lte=proved_at).first()
    return row is not None and certified_so(Certificate.parse(row.der), policies[row.ca_record.provider.code])
