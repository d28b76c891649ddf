"""LemonLDAP::NG, a single sign-on of its own, as a relying party: its people prove themselves at the platform.

By CAS. Its 2.16 of Debian 12 speaks OpenID Connect without PKCE, which the platform asks of everybody.
"""

from __future__ import annotations

import json
import os
import shutil

from serving import free_port

PORTAL = "/usr/share/lemonldap-ng/portal/htdocs/index.psgi"
INI = """
[all]
logLevel = warn
[configuration]
type = File
dirName = {place}/conf
localStorage = Cache::FileCache
localStorageOptions = {{ 'namespace' => 'config', 'cache_root' => '{place}/cache', 'cache_depth' => 3 }}
[portal]
staticPrefix = /static
templateDir = /usr/share/lemonldap-ng/portal/templates
languages = en
"""


def test_lemonldap_ng_lets_a_lock_in_and_logs_it_out(platform, tmp_path):
    plackup, port = shutil.which("plackup"), free_port()
    assert plackup, "LemonLDAP::NG is among tools/system-packages"
    origin = f"http://127.0.0.1:{port}"
    platform.register(
        client_id="lemonldap", protocols=["cas"], redirect_uris=[], post_logout_redirect_uris=[], offline=False, resources=[],
        cas_services=[f"{origin}/"], entry_url=f"{origin}/",
    )  # fmt: skip
    for folder in ("conf", "cache", "sessions/lock"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "lemonldap.ini").write_text(INI.format(place=tmp_path))
    (tmp_path / "conf" / "lmConf-1.json").write_text(json.dumps(_configuration(platform.origin, origin, tmp_path)))
    environment = {**os.environ, "LLNG_DEFAULTCONFFILE": str(tmp_path / "lemonldap.ini")}
    command = [plackup, "--host", "127.0.0.1", "--port", str(port), PORTAL]
    platform.start(command, port=port, log=tmp_path / "log", environment=environment)
    person = platform.surfer()
    person.open(f"{origin}/")
    assert _who(person, origin) == "zhangsan", person.client.get(f"{origin}/session/my/global").text
    page = person.client.get(f"{origin}/?logout=1")
    assert "cas/logout" in page.text or str(page.url).startswith(platform.origin), page.text[:3000]
    assert _who(person, origin) == ""


def _who(person, origin: str) -> str:
    """Who is in, as the portal says itself."""
    answer = person.client.get(f"{origin}/session/my/global", headers={"Accept": "application/json"})
    return answer.json().get("_user", "") if answer.status_code == 200 else ""


def _configuration(issuer: str, origin: str, place) -> dict[str, object]:
    files = {"Directory": f"{place}/sessions", "LockDirectory": f"{place}/sessions/lock"}
    return {
        "cfgNum": 1, "cfgDate": 1, "cfgAuthor": "test", "cfgVersion": "2.16.1", "portal": f"{origin}/",
        "domain": "127.0.0.1", "securedCookie": 0,
        "cookieName": "lemonldap", "key": "practice-key-0123", "authentication": "CAS", "userDB": "Same", "passwordDB": "Null",
        "registerDB": "Null", "whatToTrace": "_user", "globalStorage": "Apache::Session::File", "globalStorageOptions": files,
        "restSessionServer": 1,
        "casSrvMetaDataOptions": {"calock": {"casSrvMetaDataOptionsUrl": f"{issuer}/cas"}},
        "casSrvMetaDataExportedVars": {"calock": {}}, "portalSkin": "bootstrap", "groups": {}, "macros": {},
        "exportedAttr": "+ _user", "exportedVars": {}, "locationRules": {}, "exportedHeaders": {}, "loginHistoryEnabled": 0,
    }  # fmt: skip
