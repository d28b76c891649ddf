"""CA records: every step of one takes two operators. The steps themselves are in ``decisions.py``."""

from __future__ import annotations

import base64
import re

from django.db import transaction
from django.utils import timezone

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account
from calock.server.approvals.models import Approval
from calock.server.approvals.services import propose, require_operator
from calock.server.providers.certificates import CaFile, read_ca_certificate
from calock.server.providers.models import CaRecord, CaState, Provider, Role, open_register
from calock.server.providers.shared_keys import require_own_on_each_site
from calock.server.providers.validators import LINE_PATTERN, MAX_CAS, MAX_SHORT, refuse_more_than
from calock.server.sessions.context import RequestContext

CA_RECOGNISE, CA_SUSPEND, CA_WITHDRAW, CA_RESUME = "ca.recognise", "ca.suspend", "ca.withdraw", "ca.resume"

FROM_STATES = {
    CA_SUSPEND: {CaState.RECOGNISED},
    CA_WITHDRAW: {CaState.RECOGNISED, CaState.SUSPENDED},
    CA_RESUME: {CaState.SUSPENDED},
}
"""From which states each step may be taken; recognising is judged by the certificate."""


def _record_for(provider: Provider, ca: CaFile, role: Role) -> CaRecord:
    """The record this key has here, or a new pending one. One key stands here for one use only."""
    require_own_on_each_site(provider, keys=(ca.spki_sha256,))
    record = provider.ca_records.select_for_update(no_key=True).filter(spki_sha256=ca.spki_sha256).first()
    if record is not None and drop_pending(record):
        record = None
    if record is None:
        refuse_more_than(MAX_CAS, provider.ca_records.count(), "CA 证书")
        return CaRecord(
            provider=provider,
            group="",
            anchor=role == Role.ANCHOR,
            crl_signer=role == Role.CRL_SIGNER,
            spki_sha256=ca.spki_sha256,
            certificate=ca.der,
            subject=ca.subject,
            state=CaState.PENDING,
            not_before=ca.not_before,
            not_after=ca.not_after,
        )
    if record.crl_signer != (role == Role.CRL_SIGNER):
        raise Refusal(Reason.CA_KEY_KNOWN, "this key is recorded here for another use")
    same = bytes(record.certificate) == ca.der
    if same and record.state in (CaState.RECOGNISED, CaState.SUSPENDED):
        raise Refusal(Reason.CA_KEY_KNOWN, "this certificate is recorded already")
    return record


def locked_record(record: CaRecord) -> CaRecord:
    """The record as it stands now, and its provider.

    Raises:
        Refusal: NOT_FOUND; one that was only proposed goes with its proposal, also from a page that still shows it.
    """
    rows = CaRecord.objects.select_for_update(no_key=True).select_related("provider")
    fresh: CaRecord | None = rows.filter(pk=record.pk).first()
    if fresh is None:
        raise Refusal(Reason.NOT_FOUND, "the CA record is gone")
    return fresh


def drop_pending(record: CaRecord) -> bool:
    """Remove a record that was only ever proposed, when no proposal about it is open any more; whether it was one."""
    waiting = Approval.objects.open_at(timezone.now()).filter(kind=CA_RECOGNISE, target=str(record.pk))
    if record.state != CaState.PENDING or waiting.exists():
        return False
    record.delete()
    return True


def _group(wanted: str, record: CaRecord, provider: Provider) -> str:
    """The CA group asked for; else the one the record has, since a renewed lock keeps its binding only inside one group."""
    group = wanted.strip() or record.group or provider.code
    if len(group) > MAX_SHORT or not re.match(LINE_PATTERN, group):
        raise Refusal(Reason.REQUEST_MALFORMED, f"group: one line of at most {MAX_SHORT} characters")
    return group


def propose_ca(
    *,
    provider: Provider,
    certificate: bytes,
    anchor: bool,
    group: str,
    reason: str,
    by: Account,
    context: RequestContext | None,
    crl_signer: bool = False,
) -> Approval:
    """Ask to recognise a CA certificate (PEM or DER), or a newer certificate of a CA key that is recorded here already.

    ``anchor``: trust ends at it; ``crl_signer``: its key signs CRLs alone; neither: a CA below an anchor. An empty ``group``
    leaves a recorded key in the group it has.

    Raises:
        Refusal: CA_CERTIFICATE_REFUSED, CA_KEY_KNOWN, REQUEST_MALFORMED, or as ``approvals.services.propose``.
    """
    if anchor and crl_signer:
        raise Refusal(Reason.REQUEST_MALFORMED, "a key that signs CRLs alone is no anchor")
    role = Role.ANCHOR if anchor else Role.CRL_SIGNER if crl_signer else Role.INTERMEDIATE
    ca = read_ca_certificate(certificate, at=timezone.now(), crl_signer=crl_signer)
    with transaction.atomic():
        require_operator(by.pk)
        open_register()
        record = _record_for(provider, ca, role)
        group = _group(group, record, provider)
        if record._state.adding:  # noqa: SLF001 - Django's own way to say so
            record.group = group
            record.save(force_insert=True)
        return propose(
            kind=CA_RECOGNISE,
            target=str(record.pk),
            target_version=record.version,
            payload={
                "certificate": base64.b64encode(ca.der).decode(),
                "cert_sha256": ca.sha256,
                "spki_sha256": ca.spki_sha256,
                "anchor": anchor,
                "crl_signer": crl_signer,
                "group": group,
            },
            summary=f"互认 CA 证书：{provider.name} · {ca.subject}",
            reason=reason,
            by=by,
            context=context,
        )


def propose_ca_state(
    *, record: CaRecord, version: int, kind: str, reason: str, by: Account, context: RequestContext | None
) -> Approval:
    """Ask to suspend, withdraw or resume a CA record (``kind``: CA_SUSPEND, CA_WITHDRAW, CA_RESUME).

    Raises:
        Refusal: REQUEST_MALFORMED for a step its state does not allow, VERSION_CHANGED, NOT_FOUND, or as
            ``approvals.services.propose``.
    """
    verb = {CA_SUSPEND: "暂停", CA_WITHDRAW: "撤回", CA_RESUME: "恢复"}.get(kind)
    if verb is None:
        raise Refusal(Reason.REQUEST_MALFORMED, "unknown step")
    with transaction.atomic():
        require_operator(by.pk)
        open_register()
        fresh = locked_record(record)
        if fresh.version != version:
            raise Refusal(Reason.VERSION_CHANGED, "the CA record changed since the page was opened")
        if fresh.state not in FROM_STATES[kind]:
            raise Refusal(Reason.REQUEST_MALFORMED, f"a {fresh.state} record cannot take this step")
        return propose(
            kind=kind,
            target=str(fresh.pk),
            target_version=fresh.version,
            payload={"spki_sha256": fresh.spki_sha256},
            summary=f"{verb} CA 证书：{fresh.provider.name} · {fresh.subject}",
            reason=reason,
            by=by,
            context=context,
        )
