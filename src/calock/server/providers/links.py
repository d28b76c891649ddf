"""The links and the hotline of a provider: people whose lock is blocked or expires are sent there, so two operators decide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import transaction

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account
from calock.server.approvals.kinds import Change, Kind, register_kind
from calock.server.approvals.models import Approval
from calock.server.approvals.services import propose, require_operator
from calock.server.audit.events import Event
from calock.server.providers.models import Provider, open_register
from calock.server.providers.register_audit import record_change
from calock.server.providers.services import LINK_FIELDS, clean_row, locked_provider
from calock.server.providers.validators import clean_links
from calock.server.sessions.context import RequestContext

PROVIDER_LINKS = "provider.links"
_LABELS = {"hotline": "服务热线", "website": "网站", "renew_url": "续期网址", "unlock_url": "解锁网址"}


def propose_links(
    *, provider: Provider, version: int, values: dict[str, Any], reason: str, by: Account, context: RequestContext | None
) -> Approval:
    """Ask for other links or another hotline.

    Raises:
        Refusal: VERSION_CHANGED, REQUEST_MALFORMED, or as ``approvals.services.propose``.
    """
    if set(values) != set(LINK_FIELDS):
        raise Refusal(Reason.REQUEST_MALFORMED, f"exactly {', '.join(LINK_FIELDS)}")
    values = clean_links(values)
    with transaction.atomic():
        require_operator(by.pk)
        open_register()
        fresh = locked_provider(provider, version)
        changed = [name for name in LINK_FIELDS if getattr(fresh, name) != values[name]]
        if not changed:
            raise Refusal(Reason.REQUEST_MALFORMED, "没有改动")
        assign_links(fresh, values)
        clean_row(fresh, without=frozenset({"code"}))
        return propose(
            kind=PROVIDER_LINKS,
            target=str(fresh.pk),
            target_version=version,
            payload=values,
            summary=f"变更“{fresh.name}”的{'、'.join(_LABELS[name] for name in changed)}",
            reason=reason,
            by=by,
            context=context,
        )


def assign_links(provider: Provider, values: dict[str, Any]) -> None:
    for name in LINK_FIELDS:
        setattr(provider, name, values[name])


def _change(approval: Approval, operator: Account, context: RequestContext | None) -> None:
    found = Provider.objects.filter(pk=approval.target).first()
    if found is None:
        raise Refusal(Reason.NOT_FOUND, "the provider is gone")
    provider, values = locked_provider(found, approval.target_version), approval.payload
    changed = {name: [getattr(provider, name), values[name]] for name in LINK_FIELDS if getattr(provider, name) != values[name]}
    assign_links(provider, values)
    provider.save()
    record_change(Event.PROVIDER_CHANGED, provider, operator, context, {"changed": changed, "approval": str(approval.pk)})


def _facts(approval: Approval) -> list[tuple[str, str]]:
    provider = Provider.objects.filter(pk=approval.target).first()
    if provider is None:
        return [("CA 服务商", "已不存在")]
    return [("CA 服务商", provider.name), *link_facts(provider, approval.payload)]


def link_facts(provider: Provider, values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What a second operator reads of the links that were asked for, what changes set apart."""
    for name, label in _LABELS.items():
        yield label, Change(getattr(provider, name) or "无", values[name] or "无", alarming=True)


def register_kinds() -> None:
    """Name this decision; called once at start-up."""
    register_kind(Kind(PROVIDER_LINKS, "变更服务商的热线与网址", _change, _facts, ahead=open_register))
