"""Put a provider into an empty register from the command line, as the server's owner: no operators exist yet.

On a running platform the console's two operators do this; the owner of the server's key and command line needs neither. What
operators took away stays away: a CA that was suspended or withdrawn comes back only through them.
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
from calock.server.providers.emergencies import own_keys, require_bounded
from calock.server.providers.enforcement import enforce, has_anchor
from calock.server.providers.models import (
    CaRecord,
    CaState,
    Provider,
    ProviderState,
    RevocationSource,
    SourceKind,
    open_register,
)
from calock.server.providers.register_audit import record_change
from calock.server.providers.services import DESCRIPTION_FIELDS, LINK_FIELDS, clean_row, clean_rules
from calock.server.providers.validators import clean_address, clean_links, clean_sites


@dataclass(frozen=True, slots=True)
class CaToInstall:
    """One CA certificate (PEM or DER) with the addresses of its revocation data. ``crl_signer``: its key signs CRLs alone."""

    certificate: bytes
    anchor: bool
    group: str = ""
    crl_urls: tuple[str, ...] = ()
    ocsp_urls: tuple[str, ...] = ()
    private_network: bool = False
    crl_signer: bool = False


def install_provider(
    *,
    code: str,
    values: Mapping[str, Any],
    rules: object,
    sites: Iterable[str],
    cas: Iterable[CaToInstall] = (),
    allow_expired_binding: bool = False,
) -> Provider:
    """Write a provider with its recognised CAs; enabled when it gets its first anchor. One that exists already is brought to this.

    One that operators stopped stays stopped, and sessions that lose their ground end.

    Raises:
        Refusal: CA_CERTIFICATE_REFUSED, CA_KEY_KNOWN (also of a CA that operators suspended or withdrew), PROVIDER_RULES_REFUSED,
            REQUEST_MALFORMED.
    """
    with transaction.atomic():
        open_register()
        provider = Provider.objects.select_for_update(no_key=True).filter(code=code).first() or Provider(
            code=code, state=ProviderState.SUSPENDED
        )
        stopped = provider.state == ProviderState.SUSPENDED and has_anchor(provider)
        links = clean_links(values)
        for key in (*DESCRIPTION_FIELDS, *LINK_FIELDS):
            setattr(provider, key, links.get(key, getattr(provider, key)))
        provider.rules, provider.sites = clean_rules(rules), clean_sites(list(sites))
        provider.allow_expired_binding = allow_expired_binding
        clean_row(provider)
        provider.save()
        keys = [_install_ca(provider, ca) for ca in cas]
        require_bounded(provider.rules, own_keys(provider), since=timezone.now())
        if has_anchor(provider) and not stopped and provider.state != ProviderState.ENABLED:
            provider.state = ProviderState.ENABLED
            provider.save()
        settled = enforce(provider, timezone.now())
        details = {"installed": True, "state": str(provider.state), "sites": provider.sites, "ca_keys": keys, **settled}
        record_change(Event.PROVIDER_CREATED, provider, None, None, details)
    return provider


def _install_ca(provider: Provider, wanted: CaToInstall) -> str:
    at = timezone.now()
    ca = read_ca_certificate(wanted.certificate, at=at, crl_signer=wanted.crl_signer)
    record = provider.ca_records.filter(spki_sha256=ca.spki_sha256).first()
    record = record or CaRecord(provider=provider, spki_sha256=ca.spki_sha256)
    if record.state in (CaState.SUSPENDED, CaState.WITHDRAWN):
        detail = f"CA {ca.spki_sha256} is {record.state}: it comes back in the console, by two operators"
        raise Refusal(Reason.CA_KEY_KNOWN, detail)
    record.certificate, record.subject = ca.der, ca.subject
    record.not_before, record.not_after = ca.not_before, ca.not_after
    record.anchor, record.crl_signer = wanted.anchor, wanted.crl_signer
    record.group = wanted.group or record.group or provider.code
    record.enter(CaState.RECOGNISED, at)
    clean_row(record)
    record.save()
    for kind, urls in ((SourceKind.CRL, wanted.crl_urls), (SourceKind.OCSP, wanted.ocsp_urls)):
        for url in map(clean_address, urls):
            if not RevocationSource.objects.filter(ca_record=record, kind=kind, url=url).exists():
                RevocationSource.objects.create(ca_record=record, kind=kind, url=url, private_network=wanted.private_network)
    return ca.spki_sha256
