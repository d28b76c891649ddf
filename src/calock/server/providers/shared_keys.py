"""One CA under several providers: each on sites of its own, so that on no site it is a question whose rules hold.

Platforms that recognise the same CAs (互认) each have their provider, with their rules and sources; the CA is the same.
"""

from __future__ import annotations

from collections.abc import Collection

from calock.core.refusals import Reason, Refusal
from calock.server.providers.models import CaRecord, CaState, Provider
from calock.server.sites.registry import sites as all_sites


def require_own_on_each_site(provider: Provider, *, sites: Collection[str] | None = None, keys: Collection[str] = ()) -> None:
    """Return when no other provider of one of its sites has one of its CA keys, or of ``keys``, whatever became of it there.

    ``sites``: those that it is to have instead of its own. A record that waits for its second operator does not count: it is asked
    again when that one decides.

    Raises:
        Refusal: CA_KEY_KNOWN, naming the key, the other provider and the sites.
    """
    here = set(Provider.objects.values_list("sites", flat=True).get(pk=provider.pk) if sites is None else sites)
    recorded = CaRecord.objects.exclude(state=CaState.PENDING)
    own = {*keys, *recorded.filter(provider=provider).values_list("spki_sha256", flat=True)}
    for record in recorded.filter(spki_sha256__in=own).exclude(provider=provider).select_related("provider").order_by("pk"):
        both = sorted(here & set(record.provider.sites))
        if both:
            facts = {"subject": record.subject, "owner": record.provider.name, "sites": "、".join(map(_site_name, both))}
            detail = f"CA key {record.spki_sha256[:16]} stands at provider {record.provider.code} for {', '.join(both)}"
            raise Refusal(Reason.CA_KEY_KNOWN, detail, facts)


def _site_name(code: str) -> str:
    known = all_sites().get(code)
    return str(known.names.platform) if known else code
