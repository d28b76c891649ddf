"""Make the sample applications known to the practice platform, where both of them stand now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from joserfc.jwk import ECKey

from calock.demo.applications.settings import Registration, SampleSettings
from calock.demo.place import Place

SITES = {"shanxi": "山西政府采购平台", "zcy": "政采云平台"}
ALL = ["supplier", "purchaser", "agency", "regulator", "expert"]


def _key(path: Path) -> dict[str, Any]:
    """The public key of the application, as JWK; the private one lies beside it in PEM and never leaves this folder."""
    if not path.exists():
        path.touch(mode=0o600)
        made = ec.generate_private_key(ec.SECP256R1())
        path.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    loaded = load_pem_private_key(path.read_bytes(), None)
    public = loaded.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return dict(ECKey.import_key(public).as_dict(private=False))


def _settings(name: str, port: int, host: str, platform_port: int, clients: dict[str, str]) -> SampleSettings:
    registrations = tuple(
        Registration(site=site, platform=SITES[site], issuer=f"http://{site}.localhost:{platform_port}", client_id=client)
        for site, client in clients.items()
    )
    return SampleSettings(name=name, origin=f"http://{host}.localhost:{port}", port=port, registrations=registrations)


def register_procurement(place: Place, *, port: int, platform_port: int) -> list[str]:
    """Register 项目采购 on both sites; the arguments to start it with."""
    from calock.server.applications.installation import install_application  # noqa: PLC0415 - needs Django set up

    folder = place.root / "demo" / "applications"
    folder.mkdir(mode=0o700, exist_ok=True)
    key, file = folder / "procurement.pem", folder / "procurement.json"
    jwk = _key(key)
    settings = _settings("项目采购", port, "caigou", platform_port, {"shanxi": "caigou-shanxi", "zcy": "caigou-zcy"})
    for found in settings.registrations:
        base = f"{settings.origin}/{found.site}"
        install_application({
            "site": found.site, "client_id": found.client_id, "name": settings.name, "note": "示例应用（OpenID Connect）",
            "icon": "list", "order": 10, "protocols": ["oidc"], "audience": ALL, "entry_url": f"{base}/login",
            "redirect_uris": [f"{base}/callback"], "post_logout_redirect_uris": [f"{base}/left"],
            "logout_url": f"http://127.0.0.1:{port}/{found.site}/backchannel", "logout_private": True,
            "auth_method": "private_key_jwt", "jwks": [jwk],
        })  # fmt: skip
    file.write_bytes(msgspec.json.encode(settings))
    return [str(file), str(key)]


def register_mall(place: Place, *, port: int, platform_port: int) -> list[str]:
    """Register 电子卖场 on both sites; the arguments to start it with."""
    from calock.server.applications.installation import install_application  # noqa: PLC0415 - needs Django set up

    file = place.root / "demo" / "applications" / "mall.json"
    settings = _settings("电子卖场", port, "maichang", platform_port, {"shanxi": "maichang-shanxi", "zcy": "maichang-zcy"})
    for found in settings.registrations:
        base = f"{settings.origin}/{found.site}"
        install_application({
            "site": found.site, "client_id": found.client_id, "name": settings.name, "note": "示例应用（CAS）",
            "icon": "grid", "order": 20, "protocols": ["cas"], "audience": ALL, "entry_url": f"{base}/login",
            "cas_services": [f"{base}/"], "logout_url": f"http://127.0.0.1:{port}/{found.site}/ended", "logout_private": True,
        })  # fmt: skip
    file.write_bytes(msgspec.json.encode(settings))
    return [str(file)]
