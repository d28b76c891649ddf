"""The buttons of a provider's page, each one service call."""

from __future__ import annotations

import uuid
from typing import IO, TypeVar

from django.db.models import Model, QuerySet
from django.http import QueryDict

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account
from calock.server.console.forms import SourceForm
from calock.server.providers.anchors import CA_RESUME, CA_SUSPEND, CA_WITHDRAW, propose_ca, propose_ca_state
from calock.server.providers.certificates import MAX_BYTES
from calock.server.providers.emergencies import CHOICES
from calock.server.providers.models import CaRecord, Provider, RevocationSource, Role
from calock.server.providers.services import propose_emergency, suspend_provider
from calock.server.providers.sources import add_source, propose_private_source, remove_source
from calock.server.sessions.context import RequestContext

T = TypeVar("T", bound=Model)


def _one(rows: QuerySet[T], text: str) -> T:
    try:
        found = rows.filter(pk=uuid.UUID(text) if "-" in text else int(text[:18])).first()
    except ValueError:
        found = None
    if found is None:
        raise Refusal(Reason.NOT_FOUND, "not a part of this provider")
    return found


def _version(form: QueryDict) -> int:
    text = form.get("version", "")
    if not text.isdecimal() or len(text) > 9:
        raise Refusal(Reason.REQUEST_MALFORMED, "version")
    return int(text)


def _hours(form: QueryDict) -> int:
    text = form.get("hours", "")
    if text not in map(str, CHOICES):
        raise Refusal(Reason.REQUEST_MALFORMED, "请选择放宽的时长")
    return int(text)


def _source(form: QueryDict) -> dict[str, str]:
    filled = SourceForm(form)
    if not filled.is_valid():
        errors = (f"{filled.fields[name].label}：{' '.join(map(str, texts))}" for name, texts in filled.errors.items())
        raise Refusal(Reason.REQUEST_MALFORMED, "；".join(errors)[:300])
    return {"kind": filled.cleaned_data["kind"], "url": filled.cleaned_data["url"]}


def _propose(provider: Provider, form: QueryDict, certificate: IO[bytes] | None, *, by: Account, context: RequestContext) -> None:
    pasted = form.get("pem", "").encode(errors="replace")
    role = form.get("role", "")
    if role not in Role.values:
        raise Refusal(Reason.REQUEST_MALFORMED, "请选择该证书的用途")  # none is the default: a wrong one would demote an anchor
    propose_ca(
        provider=provider,
        certificate=certificate.read(MAX_BYTES + 1) if certificate else pasted,
        anchor=role == Role.ANCHOR,
        crl_signer=role == Role.CRL_SIGNER,
        group=form.get("group", ""),
        reason=form.get("reason", ""),
        by=by,
        context=context,
    )


def step_of(form: QueryDict) -> str:
    """Which step the button asks for: an address inside is proposed where another is added."""
    step = form.get("step", "")
    return "propose_source" if step == "add_source" and form.get("private_network") == "on" else step


def take_step(provider: Provider, form: QueryDict, certificate: IO[bytes] | None, *, by: Account, context: RequestContext) -> None:
    """Do what the button says.

    Raises:
        Refusal: REQUEST_MALFORMED, NOT_FOUND (a record or source of another provider), or what the service refuses.
    """
    step, reason = step_of(form), form.get("reason", "")
    records = CaRecord.objects.filter(provider=provider)
    if step == "suspend":
        suspend_provider(provider=provider, reason=reason, by=by, context=context)
    elif step == "propose":
        _propose(provider, form, certificate, by=by, context=context)
    elif step in (CA_SUSPEND, CA_WITHDRAW, CA_RESUME):
        record = _one(records, form.get("record", ""))
        propose_ca_state(record=record, version=_version(form), kind=step, reason=reason, by=by, context=context)
    elif step == "add_source":
        record = _one(records, form.get("record", ""))
        add_source(record=record, **_source(form), private_network=False, by=by, context=context)
    elif step == "propose_source":
        record = _one(records, form.get("record", ""))
        propose_private_source(record=record, **_source(form), reason=reason, by=by, context=context)
    elif step == "emergency":
        record = _one(records.select_related("provider"), form.get("record", ""))
        propose_emergency(record=record, hours=_hours(form), reason=reason, by=by, context=context)
    elif step == "remove_source":
        rows = RevocationSource.objects.filter(ca_record__provider=provider)
        remove_source(source=_one(rows, form.get("source", "")), by=by, context=context)
    else:
        raise Refusal(Reason.REQUEST_MALFORMED, "step")
