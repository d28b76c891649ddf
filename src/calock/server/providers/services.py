"""What operators do with providers.

Everything that changes whom this platform trusts waits for a second operator, except the emergency stop of a provider: one person
may pull it, and two must undo it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils import timezone

from calock.core.policy import Policy, PolicyError
from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account
from calock.server.approvals.kinds import Change
from calock.server.approvals.models import Approval
from calock.server.approvals.services import clean_reason, propose, require_operator
from calock.server.audit.events import Event
from calock.server.providers.emergencies import own_keys, require_bounded, running
from calock.server.providers.enforcement import enforce, has_anchor
from calock.server.providers.models import CaRecord, Provider, ProviderState, open_register
from calock.server.providers.register_audit import record_change
from calock.server.providers.shared_keys import require_own_on_each_site
from calock.server.providers.validators import MAX_PROVIDERS, clean_links, clean_sites, refuse_more_than
from calock.server.sessions.context import RequestContext

DESCRIPTION_FIELDS = ("name", "short_name", "legal_name", "order")
"""What one operator may change: what people read, nothing that decides trust."""
LINK_FIELDS = ("hotline", "website", "renew_url", "unlock_url")
"""Where people are sent: two operators (``links.py``)."""

PROVIDER_TRUST = "provider.trust"


def clean_rules(rules: object) -> dict[str, Any]:
    """Rules as kept: the whole policy, defaults included, so that a later default changes nothing behind the operators' back.

    Raises:
        Refusal: PROVIDER_RULES_REFUSED, naming the field.
    """
    try:
        return Policy.from_json(rules).to_json()
    except (PolicyError, OverflowError) as error:
        raise Refusal(Reason.PROVIDER_RULES_REFUSED, str(error)) from error


def rule_changes(before: object, after: object, name: str = "") -> Iterator[tuple[str, Change]]:
    """What differs between two sets of rules, by the dotted name of the smallest part that does."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in {**before, **after}:
            yield from rule_changes(before.get(key), after.get(key), f"{name}.{key}" if name else key)
    elif before != after:
        words = ("默认" if value is None else json.dumps(value, ensure_ascii=False) for value in (before, after))
        yield name, Change(*words, alarming=name in GRAVE_RULES)


GRAVE_RULES = ("grace_days", "legacy", "revocation.mode", "revocation.emergencies")
"""What lets in more than the strict default does."""


def rule_facts(before: object, after: object) -> list[tuple[str, str]]:
    """The same for a second operator: label and value, what is grave set apart."""
    return [(f"规则 {name}", change) for name, change in rule_changes(before, after)]


def clean_row(row: models.Model, *, without: frozenset[str] = frozenset()) -> None:
    """Field rules of the model as a refusal: REQUEST_MALFORMED, naming the field."""
    try:
        row.full_clean(exclude={"mac", "rules", "sites", *without})
    except ValidationError as error:
        labels = {field.name: str(getattr(field, "verbose_name", "")) for field in row._meta.get_fields()}  # noqa: SLF001 - public
        text = "；".join(f"{labels.get(name, '')} {' '.join(texts)}".strip() for name, texts in error.message_dict.items())
        raise Refusal(Reason.REQUEST_MALFORMED, text[:300]) from error


def locked_provider(provider: Provider, version: int) -> Provider:
    """The provider's row, locked, still the one that was read.

    Raises:
        Refusal: VERSION_CHANGED.
    """
    fresh = Provider.objects.select_for_update(no_key=True).get(pk=provider.pk)
    if fresh.version != version:
        raise Refusal(Reason.VERSION_CHANGED, "the provider changed since the page was opened")
    return fresh


def create_provider(*, code: str, values: dict[str, Any], by: Account, context: RequestContext | None) -> Provider:
    """A new provider, suspended and recognised on no site: enabling it takes an anchor and two operators.

    Raises:
        Refusal: NOT_ALLOWED, REQUEST_MALFORMED.
    """
    with transaction.atomic():
        operator = require_operator(by.pk)
        open_register()
        refuse_more_than(MAX_PROVIDERS, Provider.objects.count(), "服务商")
        known = {key: values[key] for key in DESCRIPTION_FIELDS if key in values}
        provider = Provider(code=code, state=ProviderState.SUSPENDED, rules=clean_rules({}), **known)
        clean_row(provider)
        provider.save(force_insert=True)
        record_change(Event.PROVIDER_CREATED, provider, operator, context, {"values": known})
    return provider


def edit_provider(
    *, provider: Provider, version: int, values: dict[str, Any], by: Account, context: RequestContext | None
) -> Provider:
    """Change what people read of a provider. Keys other than DESCRIPTION_FIELDS are refused, not dropped.

    Raises:
        Refusal: NOT_ALLOWED, VERSION_CHANGED, REQUEST_MALFORMED.
    """
    unknown = set(values) - set(DESCRIPTION_FIELDS)
    if unknown:
        raise Refusal(Reason.REQUEST_MALFORMED, f"not to be changed here: {', '.join(sorted(unknown))[:200]}")
    with transaction.atomic():
        operator = require_operator(by.pk)
        open_register()
        fresh = locked_provider(provider, version)
        changed = {key: [getattr(fresh, key), value] for key, value in values.items() if getattr(fresh, key) != value}
        if not changed:
            return fresh
        for key, value in values.items():
            setattr(fresh, key, value)
        clean_row(fresh, without=frozenset({"code"}))  # an older version let codes through that cannot be changed any more
        fresh.save()
        record_change(Event.PROVIDER_CHANGED, fresh, operator, context, {"changed": changed})
    return fresh


def suspend_provider(*, provider: Provider, reason: str, by: Account, context: RequestContext | None) -> int:
    """Emergency stop by one operator: no login with its locks any more, and the sessions they opened end. Returns how many.

    Also of a provider that is stopped already: what waits for a second operator to start it again was proposed before this.

    Raises:
        Refusal: NOT_ALLOWED, REASON_MISSING.
    """
    with transaction.atomic():
        operator = require_operator(by.pk)
        text = clean_reason(reason)
        open_register()
        fresh = Provider.objects.select_for_update(no_key=True).get(pk=provider.pk)
        fresh.state = ProviderState.SUSPENDED
        fresh.save()
        ended: int = enforce(fresh, timezone.now())["sessions_ended"]
        record_change(Event.PROVIDER_SUSPENDED, fresh, operator, context, {"reason": text, "sessions_ended": ended})
    return ended


def propose_trust(
    *,
    provider: Provider,
    version: int,
    state: str,
    sites: list[str],
    rules: object,
    allow_expired_binding: bool,
    reason: str,
    by: Account,
    context: RequestContext | None,
    links: Mapping[str, Any] | None = None,
) -> Approval:
    """Ask for another state, other sites or other rules of a provider; for its ``links`` as well where they are one decision.

    Raises:
        Refusal: PROVIDER_RULES_REFUSED, REQUEST_MALFORMED, PROVIDER_WITHOUT_ANCHOR, VERSION_CHANGED, CA_KEY_KNOWN for a site on
            which another provider has one of its CA keys, or as ``approvals.services.propose``.
    """
    payload: dict[str, Any] = {
        "state": ProviderState(state).value,
        "sites": clean_sites(sites),
        "rules": clean_rules(rules),
        "allow_expired_binding": allow_expired_binding,
    }
    asked = clean_links(links or {})
    with transaction.atomic():
        require_operator(by.pk)
        open_register()
        fresh = locked_provider(provider, version)
        require_bounded(payload["rules"], own_keys(fresh), since=timezone.now())
        require_own_on_each_site(fresh, sites=payload["sites"])
        if asked:
            payload["links"] = asked
            for name, value in asked.items():
                setattr(fresh, name, value)
            clean_row(fresh, without=frozenset({"code"}))
        if payload["state"] == ProviderState.ENABLED and not has_anchor(fresh):
            raise Refusal(Reason.PROVIDER_WITHOUT_ANCHOR, "no recognised anchor")
        return propose(
            kind=PROVIDER_TRUST,
            target=str(fresh.pk),
            target_version=fresh.version,
            payload=payload,
            summary=f"变更“{fresh.name}”的状态、站点或规则",
            reason=reason,
            by=by,
            context=context,
        )


def propose_emergency(*, record: CaRecord, hours: int, reason: str, by: Account, context: RequestContext | None) -> Approval:
    """Ask to lift the age limits of one CA's revocation data for some hours; its other rules stay, and other CAs' emergencies.

    Raises:
        Refusal: as :func:`propose_trust`.
    """
    provider, at = record.provider, timezone.now()
    rules = clean_rules(provider.rules)
    others = [str(item) for item in running(provider, at=at) if item.record.pk != record.pk]
    end = (at + timedelta(hours=hours)).replace(microsecond=0)
    rules["revocation"]["emergencies"] = [*others, f"{record.spki_sha256}:{end.isoformat()}"]
    return propose_trust(
        provider=provider,
        version=provider.version,
        state=provider.state,
        sites=provider.sites,
        rules=rules,
        allow_expired_binding=provider.allow_expired_binding,
        reason=reason,
        by=by,
        context=context,
    )
