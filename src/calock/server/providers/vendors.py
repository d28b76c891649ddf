"""Vendor folders and the register: install one, propose what one says, write one of a provider."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tomli_w
from django.conf import settings
from django.db import transaction

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.providers.anchors import propose_ca
from calock.server.providers.installation import CaToInstall, install_provider
from calock.server.providers.models import CaRecord, CaState, Provider, SourceKind
from calock.server.providers.register_audit import revision
from calock.server.providers.register_rows import read_rows
from calock.server.providers.seal import RegisterDamagedError
from calock.server.providers.services import DESCRIPTION_FIELDS, LINK_FIELDS, clean_rules, create_provider, propose_trust
from calock.server.providers.sources import add_source
from calock.server.sessions.context import RequestContext
from calock.wire.folders import DefinitionError
from calock.wire.vendors import FILE, Vendor, VendorCa, read_vendor, read_vendors, vendor_folders


@contextmanager
def _as_refusal() -> Iterator[None]:
    """A folder that was whole when the server started may be changed while it runs: its operators read what is wrong."""
    try:
        yield
    except DefinitionError as error:
        raise Refusal(Reason.REQUEST_MALFORMED, str(error)) from error


def _vendor(code: str) -> tuple[Path, Vendor]:
    with _as_refusal():
        folder = vendor_folders(settings.CALOCK.vendors).get(code)
        if folder is None:
            raise Refusal(Reason.NOT_FOUND, f"no vendor folder {code!r}")
        return folder, read_vendor(folder)


def vendors_to_propose() -> dict[str, str]:
    """Code and name of each vendor that has a folder and is not in the register.

    Raises:
        Refusal: REQUEST_MALFORMED: a folder cannot be used.
    """
    with _as_refusal():
        vendors = read_vendors(settings.CALOCK.vendors)
    known = set(Provider.objects.values_list("code", flat=True))
    return {code: vendor.name for code, vendor in vendors.items() if code not in known}


def _description(vendor: Vendor | Provider) -> dict[str, Any]:
    return {field: getattr(vendor, field) for field in (*DESCRIPTION_FIELDS, *LINK_FIELDS)}


def install_vendor(code: str) -> Provider:
    """Put a vendor into the register with the CA certificates of its folder; suspended when there are none.

    Raises:
        Refusal: NOT_FOUND, REQUEST_MALFORMED when its folder cannot be used, or as ``install_provider``.
    """
    folder, vendor = _vendor(code)
    cas = [item for ca in vendor.ca for item in _to_install((folder / ca.file).read_bytes(), ca)]
    expired = vendor.allow_expired_binding
    return install_provider(
        code=code, values=_description(vendor), rules=vendor.rules, sites=vendor.sites, cas=cas, allow_expired_binding=expired
    )


def _to_install(certificate: bytes, ca: VendorCa) -> Iterator[CaToInstall]:
    """The CA with its public addresses, and then with those inside a network."""
    for inside in (False, True):
        crl, ocsp = (tuple(url for url in urls if (url in ca.inside) == inside) for urls in (ca.crl, ca.ocsp))
        if not inside or crl or ocsp:
            yield CaToInstall(certificate, ca.anchor, ca.group, crl, ocsp, inside, ca.crl_signer)


def propose_vendor(*, code: str, reason: str, by: Account, context: RequestContext | None) -> Provider:
    """Make a vendor that is not in the register a provider, and ask a second operator for what its folder says.

    The provider is suspended. Its sites, rules and links, and each CA certificate, wait for a decision of their own. Public
    addresses of revocation data are added; one in a private network is proposed once its CA is recognised.

    Raises:
        Refusal: NOT_FOUND, REQUEST_MALFORMED when its folder cannot be used, or as ``create_provider``, ``propose_trust``,
            ``propose_ca`` and ``add_source``. Nothing is kept then.
    """
    folder, vendor = _vendor(code)
    asking: dict[str, Any] = {"by": by, "context": context}
    with transaction.atomic():
        provider = create_provider(code=code, values=_description(vendor), **asking)
        propose_trust(
            provider=provider,
            version=provider.version,
            state=provider.state,
            sites=list(vendor.sites),
            rules=vendor.rules,
            allow_expired_binding=vendor.allow_expired_binding,
            links={field: getattr(vendor, field) for field in LINK_FIELDS},
            reason=reason,
            **asking,
        )
        for ca in vendor.ca:
            use: dict[str, Any] = {"anchor": ca.anchor, "crl_signer": ca.crl_signer, "group": ca.group}
            certificate = (folder / ca.file).read_bytes()
            approval = propose_ca(provider=provider, certificate=certificate, **use, reason=reason, **asking)
            row = CaRecord.objects.get(pk=approval.target)
            addresses = [(SourceKind.CRL, url) for url in ca.crl] + [(SourceKind.OCSP, url) for url in ca.ocsp]
            for kind, url in addresses:
                if url not in ca.inside:
                    add_source(record=row, kind=kind, url=url, private_network=False, **asking)
    return provider


def export_vendor(code: str, directory: Path) -> Path:
    """Write a provider as a vendor folder below ``directory``: its recognised CA certificates and their addresses included.

    What was suspended or withdrawn here stays out, and so do emergencies: a folder says whom to trust, and for how long is decided
    where it is read.

    Raises:
        Refusal: NOT_FOUND, REGISTER_DAMAGED when one of its rows is not the one that was sealed, PROVIDER_RULES_REFUSED for rules
            that an earlier version took.
        DefinitionError: its code is one that an earlier version took, and no folder can have.
        OSError: the folder is there already, or cannot be written.
    """
    provider = next((provider for provider in read_rows().providers if provider.code == code), None)
    if provider is None:
        raise Refusal(Reason.NOT_FOUND, f"no provider {code!r}")
    records = sorted((r for r in provider.ca_records.all() if r.state == CaState.RECOGNISED), key=lambda r: r.spki_sha256)
    for row in (provider, *records, *(source for ca in records for source in ca.revocation_sources.all())):
        if not row.is_intact():
            raise RegisterDamagedError(f"{row._meta.model_name} {row.pk} is not the one that was sealed")  # noqa: SLF001 - Django's
    directory.mkdir(parents=True, exist_ok=True)
    with transaction.atomic(), TemporaryDirectory(dir=directory, prefix=".") as draft:
        details = {"cas": len(records), "revision": revision()}
        record(Event.PROVIDER_EXPORTED, subject=provider.pk, provider=code, details=details)
        folder = Path(draft) / code
        folder.mkdir()
        for ca in records:
            (folder / _file(ca)).write_text(ssl.DER_cert_to_PEM_cert(bytes(ca.certificate)))
        (folder / FILE).write_text(tomli_w.dumps(_said(provider, records)), "utf-8")
        read_vendor(folder)  # as it will be where it is taken
        return folder.rename(directory / code)


def _said(provider: Provider, records: list[CaRecord]) -> dict[str, Any]:
    rules = clean_rules(provider.rules)
    # TOML has no null, which is a default; emergencies are this platform's own, for some hours
    rules["revocation"] = {key: value for key, value in rules["revocation"].items() if value is not None and key != "emergencies"}
    return {
        "code": provider.code,
        **_description(provider),
        "sites": sorted(provider.sites),
        "allow_expired_binding": provider.allow_expired_binding,
        "rules": rules,
        "ca": [_entry(ca) for ca in records],
    }


def _file(ca: CaRecord) -> str:
    return f"{ca.spki_sha256[:16]}.pem"


def _entry(ca: CaRecord) -> dict[str, Any]:
    sources = sorted(ca.revocation_sources.all(), key=lambda source: source.url)
    return {
        "file": _file(ca),
        "anchor": ca.anchor,
        "crl_signer": ca.crl_signer,
        "group": ca.group,
        "crl": [source.url for source in sources if source.kind == SourceKind.CRL],
        "ocsp": [source.url for source in sources if source.kind == SourceKind.OCSP],
        "inside": [source.url for source in sources if source.private_network],
    }
