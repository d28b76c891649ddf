"""The files of the download centre, and what a driver asks about newer versions. The pages are the portal's."""

from __future__ import annotations

import uuid

import msgspec
from django.http import HttpResponse, HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_safe

from calock.core.refusals import Reason, Refusal
from calock.server.downloads.models import DriverPackage, PackageState
from calock.server.downloads.sending import send
from calock.server.downloads.services import count_download, release_of
from calock.server.web.http import SiteRequest, context_of


def _address(package: DriverPackage) -> str:
    return reverse("downloads:file", args=[package.pk])


@require_safe
def file(request: SiteRequest, package_id: uuid.UUID) -> HttpResponseBase:
    """One package file, addressed by its id.

    Raises:
        Refusal: NOT_FOUND (also a draft, and another site's), PACKAGE_WITHDRAWN with the newer one, PACKAGE_DAMAGED.
    """
    package = DriverPackage.objects.filter(pk=package_id).first()
    if package is None or package.state == PackageState.DRAFT or not package.offered_by(request.site.code):
        raise Refusal(Reason.NOT_FOUND, "no such package")
    if package.state == PackageState.WITHDRAWN:
        newer = DriverPackage.objects.newest_like(package)
        facts: dict[str, str | int | bool] = {}
        if newer is not None:
            facts = {"newer_url": request.site_origin + _address(newer), "newer_version": newer.version}
        raise Refusal(Reason.PACKAGE_WITHDRAWN, f"{package.code} {package.version} was withdrawn", facts)
    context = context_of(request)
    return send(request, package, begun=lambda: count_download(package=package, context=context))


@require_safe
def release(request: SiteRequest, code: str, os: str, arch: str) -> HttpResponse:
    """The newest published package of one code and system, with its signed manifest: what the driver's update check reads.

    Raises:
        Refusal: NOT_FOUND.
    """
    site = request.site.code
    offered = DriverPackage.objects.published().filter(code=code, os=os, arch=arch)
    newest = max((package for package in offered if package.offered_by(site)), key=lambda package: package.order, default=None)
    if newest is None:
        raise Refusal(Reason.NOT_FOUND, "no such package")
    response = HttpResponse(msgspec.json.encode(release_of(newest, _address(newest))), content_type="application/json")
    response["Cache-Control"] = "no-cache"
    return response
