"""Apache's modules for OpenID Connect and CAS, as Debian has them, before pages that know no login: two applications, one login."""

from __future__ import annotations

import shutil
from pathlib import Path

from serving import free_port

from calock.server.jobs.all import all_jobs

APACHE = shutil.which("apache2", path="/usr/sbin:/usr/bin")
MODULES = Path("/usr/lib/apache2/modules")
COMMON = """
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
ServerRoot {place}
PidFile {place}/pid
ErrorLog {place}/error.log
LogLevel warn
KeepAlive Off
StartServers 1
MinSpareServers 1
LoadModule mpm_prefork_module {modules}/mod_mpm_prefork.so
LoadModule authn_core_module {modules}/mod_authn_core.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule authz_user_module {modules}/mod_authz_user.so
LoadModule headers_module {modules}/mod_headers.so
LoadModule env_module {modules}/mod_env.so
LoadModule dir_module {modules}/mod_dir.so
DocumentRoot {place}/pages
DirectoryIndex index.html
"""
OPENID = """
LoadModule auth_openidc_module {modules}/mod_auth_openidc.so
OIDCProviderMetadataURL {issuer}/.well-known/openid-configuration
OIDCClientID apache
OIDCClientSecret {secret}
OIDCRedirectURI {origin}/inner/callback
OIDCCryptoPassphrase practice-passphrase
OIDCScope "openid profile"
OIDCPKCEMethod S256
OIDCRemoteUserClaim preferred_username
OIDCCacheType file
OIDCCacheDir {place}/cache
<Location /inner>
  AuthType openid-connect
  Require claim acr:urn:calock:acr:lock
  Header set X-User "expr=%{{REMOTE_USER}}"
  Header set X-Level "%{{OIDC_CLAIM_acr}}e"
</Location>
<Location /inner/callback>
  Require valid-user
</Location>
"""
CAS = """
LoadModule auth_cas_module {modules}/mod_auth_cas.so
CASCookiePath {place}/cache/
CASLoginURL {issuer}/cas/login
CASValidateURL {issuer}/cas/serviceValidate
CASSSOEnabled On
CASRootProxiedAs {origin}
<Location /inner>
  AuthType CAS
  Require valid-user
  Header set X-User "expr=%{{REMOTE_USER}}"
</Location>
"""
NONE = {"redirect_uris": [], "post_logout_redirect_uris": [], "offline": False, "resources": []}


def apache(platform, place: Path, more: str, port: int, secret: str = "") -> None:
    """Start an Apache with one folder, which a module protects. One for each module: together they read each other's messages."""
    assert APACHE, "Apache is among tools/system-packages"
    (place / "pages" / "inner").mkdir(parents=True)
    (place / "pages" / "inner" / "index.html").write_text("inside")
    (place / "cache").mkdir()
    config = place / "apache.conf"
    values = {"port": port, "origin": f"http://127.0.0.1:{port}", "place": place, "modules": MODULES, "issuer": platform.origin}
    config.write_text((COMMON + more).format(**values, secret=secret))
    platform.start([APACHE, "-X", "-f", config], port=port, log=place / "out.log")


def start_openid(platform, place: Path) -> str:
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    secret = platform.register(
        client_id="apache", redirect_uris=[f"{origin}/inner/callback"], entry_url=f"{origin}/inner/",
        logout_url=f"{origin}/inner/callback?logout=backchannel", logout_private=True,
    )  # fmt: skip
    apache(platform, place, OPENID, port, secret)
    return f"{origin}/inner/"


def start_cas(platform, place: Path) -> str:
    port = free_port()
    address = f"http://127.0.0.1:{port}/inner/"
    platform.register(
        client_id="apache-cas", protocols=["cas"], cas_services=[address], **NONE, logout_url=address, logout_private=True
    )
    apache(platform, place, CAS, port)
    return address


def test_one_lock_opens_both_applications_and_reported_lost_is_out_of_both_within_a_minute(platform, tmp_path):
    openid, cas = start_openid(platform, tmp_path / "openid"), start_cas(platform, tmp_path / "cas")
    person = platform.surfer()
    for address in (openid, cas):
        page = person.open(address)
        assert (page.status_code, page.text, page.headers.get("X-User")) == (200, "inside", "zhangsan"), (page.url, page.text)
    assert person.client.get(openid).headers["X-Level"] == "urn:calock:acr:lock"
    platform.report_lost()
    turns = platform.deliver()
    assert turns * next(job.every for job in all_jobs() if job.name == "outbox") < 60
    for address in (openid, cas):
        assert str(person.client.get(address).url).startswith(f"{platform.origin}/login/"), address
