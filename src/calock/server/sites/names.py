"""Names that a site's definition takes from a CA vendor's, or a vendor's from a site's: each must exist where it points.

A name that exists nowhere shows itself only as an empty page: a download page without a driver, a list without a CA. So the server
does not start with one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from calock.server.sites.profile import Profile
from calock.wire.folders import DefinitionError
from calock.wire.vendors import Vendor


def check_names(sites: Mapping[str, Profile], vendors: Mapping[str, Vendor]) -> None:
    """Compare the definitions of all sites with those of all vendors.

    Raises:
        DefinitionError: every name that leads nowhere, with the definition and the key in which it stands.
    """
    wrong = [*_of_sites(sites, vendors), *_of_vendors(sites, vendors)]
    if wrong:
        raise DefinitionError("; ".join(wrong))


def _of_sites(sites: Mapping[str, Profile], vendors: Mapping[str, Vendor]) -> Iterator[str]:
    for code, site in sites.items():
        vendor = vendors.get(site.driver.package)
        if vendor is None or vendor.product is None:
            yield f"site {code}: driver.package: no CA vendor {site.driver.package!r} has a driver package"
        elif code not in vendor.product.sites:
            yield f"site {code}: driver.package: the driver package of {vendor.code} is not for this site, see its product.sites"
        for key, named in (("providers", site.providers), ("bindings.provider_labels", site.bindings.provider_labels)):
            yield from (f"site {code}: {key}: there is no CA vendor {name!r}" for name in named if name not in vendors)


def _of_vendors(sites: Mapping[str, Profile], vendors: Mapping[str, Vendor]) -> Iterator[str]:
    for code, vendor in vendors.items():
        yield from (f"CA vendor {code}: sites: there is no site {name!r}" for name in vendor.sites if name not in sites)
        if vendor.product is None:
            continue
        product = vendor.product
        yield from (f"CA vendor {code}: product.sites: there is no site {name!r}" for name in product.sites if name not in sites)
        missing = (name for name in product.providers if name not in vendors)
        yield from (f"CA vendor {code}: product.providers: there is no CA vendor {name!r}" for name in missing)
