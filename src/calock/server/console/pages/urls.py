"""Addresses of the console's own pages, below those of Django's admin."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpResponse

from calock.server.console.pages import applications, approvals, dashboard, egress, expiry, failures, outbox, people, providers

View = Callable[..., HttpResponse]

PAGES: tuple[tuple[str, View, str], ...] = (
    ("trust/", dashboard.dashboard, "dashboard"),
    ("failures/", failures.failures, "failures"),
    ("expiry/", expiry.expiry, "expiry"),
    ("providers/", providers.overview, "providers"),
    ("providers/new/", providers.new, "provider_new"),
    ("providers/propose/", providers.propose, "provider_propose"),
    ("providers/<uuid:key>/", providers.detail, "provider"),
    ("providers/<uuid:key>/edit/", providers.edit, "provider_edit"),
    ("providers/<uuid:key>/links/", providers.links, "provider_links"),
    ("providers/<uuid:key>/trust/", providers.trust, "provider_trust"),
    ("providers/<uuid:key>/step/", providers.step, "provider_step"),
    ("applications/", applications.overview, "applications"),
    ("applications/new/", applications.new, "application_new"),
    ("applications/<uuid:key>/", applications.detail, "application"),
    ("applications/<uuid:key>/edit/", applications.edit, "application_edit"),
    ("applications/<uuid:key>/step/", applications.step, "application_step"),
    ("accounts/new/", people.account_new, "account_new"),
    ("organisations/new/", people.organisation_new, "organisation_new"),
    ("outbox/", outbox.overview, "outbox"),
    ("egress/", egress.overview, "egress"),
    ("approvals/", approvals.overview, "approvals"),
    ("approvals/<uuid:key>/", approvals.decide, "approval"),
)
