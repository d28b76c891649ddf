"""Apache's modules for OpenID Connect and CAS, as Debian has them, before pages that know no login at all."""

from __future__ import annotations

import shutil
from pathlib import Path

from serving import free_port

APACHE = shutil.which("apache2", path="/usr/sbin:/usr/bin")
MODULES = Path("/usr/lib/apache2/modules")
COMMON = """
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
ServerRoot {place}
PidFile {place}/pid
ErrorLog {place}/error.log
LogLevel warn
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
OIDCRedirectURI http://127.0.0.1:{port}/protected/callback
OIDCCryptoPassphrase practice-passphrase
OIDCScope "openid profile"
OIDCPKCEMethod S256
OIDCRemoteUserClaim preferred_username
OIDCCacheType file
OIDCCacheDir {place}/cache
<Location /protected>
  AuthType openid-connect
  Require claim acr:urn:calock:acr:lock
  Header set X-User "expr=%{{REMOTE_USER}}"
  Header set X-Level "%{{OIDC_CLAIM_acr}}e"
</Location>
"""
CAS = """
LoadModule auth_cas_module {modules}/mod_auth_cas.so
CASCookiePath {place}/cache/
CASLoginURL {issuer}/cas/login
CASValidateURL {issuer}/cas/serviceValidate
CASSSOEnabled On
CASRootProxiedAs http://127.0.0.1:{port}
<Location /protected>
  AuthType CAS
  Require valid-user
  Header set X-User "expr=%{{REMOTE_USER}}"
</Location>
"""


def apache(platform, place: Path, more: str, port: int, secret: str = "") -> str:
    """Start an Apache with one protected folder; its origin."""
    assert APACHE, "Apache is among tools/system-packages"
    (place / "pages" / "protected").mkdir(parents=True)
    (place / "pages" / "protected" / "index.html").write_text("inside")
    (place / "cache").mkdir()
    config = place / "apache.conf"
    config.write_text((COMMON + more).format(port=port, place=place, modules=MODULES, issuer=platform.origin, secret=secret))
    platform.start([APACHE, "-X", "-f", config], port=port, log=place / "out.log")
    return f"http://127.0.0.1:{port}"


def test_mod_auth_openidc_lets_a_lock_in_and_hears_when_the_session_ends(platform, tmp_path):
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    secret = platform.register(
        client_id="apache", redirect_uris=[f"{origin}/protected/callback"], entry_url=f"{origin}/protected/",
        logout_url=f"{origin}/protected/callback?logout=backchannel", logout_private=True,
    )  # fmt: skip
    apache(platform, tmp_path, OPENID, port, secret)
    person = platform.surfer()
    page = person.open(f"{origin}/protected/")
    assert (page.status_code, page.text) == (200, "inside"), (page.url, page.text, (tmp_path / "error.log").read_text())
    assert (page.headers["X-User"], page.headers["X-Level"]) == ("zhangsan", "urn:calock:acr:lock")
    person.log_out()
    platform.deliver()
    again = person.client.get(f"{origin}/protected/")
    assert str(again.url).startswith(f"{platform.origin}/login/")


def test_mod_auth_cas_lets_a_lock_in_and_hears_when_the_session_ends(platform, tmp_path):
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    platform.register(
        client_id="apache-cas", protocols=["cas"], redirect_uris=[], post_logout_redirect_uris=[], offline=False, resources=[],
        cas_services=[f"{origin}/protected/"], logout_url=f"{origin}/protected/", logout_private=True,
    )  # fmt: skip
    apache(platform, tmp_path, CAS, port)
    person = platform.surfer()
    page = person.open(f"{origin}/protected/")
    assert (page.status_code, page.text, page.headers.get("X-User")) == (200, "inside", "zhangsan"), (page.url, page.text)
    person.log_out()
    platform.deliver()
    again = person.client.get(f"{origin}/protected/")
    assert str(again.url).startswith(f"{platform.origin}/login/")
