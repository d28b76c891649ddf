"""``GET /api/site``: what the page's script must know of the site and its providers."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet, prefetch_related_objects
from django.http import HttpResponse
from django.urls import path

from calock.core.certificates.certificate import Certificate
from calock.server.providers.models import CaState, Provider, ProviderState
from calock.server.sites.profile import Profile
from calock.server.tools.prepared import prepared
from calock.server.web.api import call, reply
from calock.server.web.http import SiteRequest


def offered_providers(site: Profile) -> list[Provider]:
    """Enabled providers that this site recognises, in the profile's order."""
    known = {provider.code: provider for provider in _enabled() if site.code in provider.sites}
    order = site.providers or tuple(known)
    return [known[code] for code in order if code in known]


@prepared
def _enabled() -> QuerySet[Provider]:
    return Provider.objects.filter(state=ProviderState.ENABLED).defer("rules")


def _provider(provider: Provider) -> dict[str, Any]:
    records = [record for record in provider.ca_records.all() if record.state == CaState.RECOGNISED]
    return {
        "code": provider.code,
        "name": provider.name,
        "shortName": provider.short_name,
        "issuerKeyIds": sorted({key_id for record in records for key_id in _key_ids(bytes(record.certificate))}),
        "hotline": provider.hotline,
        "unlockUrl": provider.unlock_url,
        "renewUrl": provider.renew_url,
    }


def _key_ids(certificate: bytes) -> list[str]:
    key_id = Certificate.parse(certificate).subject_key_id
    return [key_id] if key_id else []


@call("GET")
def site(request: SiteRequest) -> HttpResponse:
    """Nothing here is about a person; it may be read without a session."""
    profile = request.site
    providers = offered_providers(profile)
    prefetch_related_objects(providers, "ca_records")
    return reply(
        {
            "code": profile.code,
            "providers": [_provider(provider) for provider in providers],
            "pinEntry": profile.pin_entry,
            "driver": {"minVersion": profile.driver.min_version},
        }
    )


urlpatterns = [path("site", site)]
