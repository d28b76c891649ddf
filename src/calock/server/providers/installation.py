"""Put a provider into an empty register from the command line, where the server's owner stands himself: no operators exist yet.

On a running platform the console's two operators do this; whoever has the server's key and its command line needs neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from calock.core.refusals import Reason, Refusal
from calock.server.audit.events import Event
from calock.server.providers.certificates import read_ca_certificate
from calock.server.providers.models import CaRecord, CaState, Provider, ProviderState, RevocationSource, SourceKind
from calock.server.providers.services import DESCRIPTION_FIELDS, clean_row, clean_rules, has_anchor, record_change


@dataclass(frozen=True, slots=True)
class CaToInstall:
    """One CA certificate (PEM or DER) with the addresses of its revocation data."""

    certificate: bytes
    anchor: bool
    group: str = ""
    crl_urls: tuple[str, ...] = ()
    ocsp_urls: tuple[str, ...] = ()
    private_network: bool = False


def install_provider(
    *,
    code: str,
    values: Mapping[str, Any],
    rules: object,
    sites: Iterable[str],
    cas: Iterable[CaToInstall] = (),
    allow_expired_binding: bool = False,
) -> Provider:
    """Write a provider with its recognised CAs; enabled when it has an anchor. A provider that exists already is brought to this.

    Raises:
        Refusal: CA_CERTIFICATE_REFUSED, CA_KEY_KNOWN, PROVIDER_RULES_REFUSED, REQUEST_MALFORMED.
    """
    with transaction.atomic():
        provider = Provider.objects.select_for_update().filter(code=code).first() or Provider(code=code)
        for key in DESCRIPTION_FIELDS:
            setattr(provider, key, values.get(key, getattr(provider, key)))
        provider.rules, provider.sites = clean_rules(rules), sorted(sites)
        provider.allow_expired_binding = allow_expired_binding
        provider.state = ProviderState.SUSPENDED
        clean_row(provider)
        provider.save()
        keys = [_install_ca(provider, ca) for ca in cas]
        if has_anchor(provider):
            provider.state = ProviderState.ENABLED
            provider.save()
        details = {"installed": True, "state": str(provider.state), "sites": provider.sites, "ca_keys": keys}
        record_change(Event.PROVIDER_CREATED, provider, None, None, details)
    return provider


def _install_ca(provider: Provider, wanted: CaToInstall) -> str:
    ca = read_ca_certificate(wanted.certificate, at=timezone.now())
    record = CaRecord.objects.filter(spki_sha256=ca.spki_sha256).first() or CaRecord(provider=provider, spki_sha256=ca.spki_sha256)
    if record.provider_id != provider.pk:
        raise Refusal(Reason.CA_KEY_KNOWN, "this key is recorded at another provider")
    record.certificate, record.subject = ca.der, ca.subject
    record.not_before, record.not_after = ca.not_before, ca.not_after
    record.anchor, record.group, record.state = wanted.anchor, wanted.group or provider.code, CaState.RECOGNISED
    record.save()
    for kind, urls in ((SourceKind.CRL, wanted.crl_urls), (SourceKind.OCSP, wanted.ocsp_urls)):
        for url in urls:
            if not RevocationSource.objects.filter(ca_record=record, kind=kind, url=url).exists():
                RevocationSource.objects.create(ca_record=record, kind=kind, url=url, private_network=wanted.private_network)
    return ca.spki_sha256
