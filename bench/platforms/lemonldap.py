"""LemonLDAP::NG as Debian packages it, by the certificate of the TLS connection."""

from __future__ import annotations

import base64
import grp
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from drill_lemonldap import INI
from machines import wait_until
from measuring import children

from platforms.ground import HOST, Ground
from platforms.peer import MissingError, Peer

PACKAGED = Path("/var/lib/lemonldap-ng/conf/lmConf-1.json")
APPLICATION = "http://test1.example.com/"
PORTAL = """
map $ssl_client_s_dn $common_name {{ default ""; ~CN=(?<CN>[^,]+) $CN; }}
server {{
    listen 127.0.0.1:{port} ssl;
    {tls}
    {client}
    root /usr/share/lemonldap-ng/portal/htdocs/;
    rewrite ^/(.*)$ /index.psgi/$1 break;
    location ~ ^(?<sc>/.*\\.psgi)(?:$|/) {{
        include /etc/nginx/fastcgi_params;
        fastcgi_pass unix:{socket};
        fastcgi_param HTTP_HOST $http_host;
        fastcgi_param LLTYPE psgi;
        fastcgi_param SCRIPT_FILENAME $document_root$sc;
        fastcgi_split_path_info ^(.*\\.psgi)(/.*)$;
        fastcgi_param PATH_INFO $fastcgi_path_info;
        fastcgi_param SSL_CLIENT_S_DN_CN $common_name;
    }}
}}
"""


class LemonLdap(Peer):
    def __init__(self, ground: Ground, name: str, **changed: Any) -> None:
        super().__init__(ground)
        self.name = name
        program = shutil.which("llng-fastcgi-server") or "/usr/sbin/llng-fastcgi-server"
        if not Path(program).exists() or not PACKAGED.exists():
            raise MissingError(
                "LemonLDAP::NG was not measured: its Debian packages are not installed (tools/system-packages bench)"
            )
        self._place = ground.place / f"lemonldap-{self.port}"
        for folder in ("conf", "cache", "sessions/lock", "psessions/lock", "notifications"):
            (self._place / folder).mkdir(parents=True)
        (self._place / "lemonldap-ng.ini").write_text(INI.format(place=self._place))
        (self._place / "conf" / "lmConf-1.json").write_text(json.dumps(self._configuration() | changed))
        user: list[str] = []
        if os.geteuid() == 0:  # it refuses to run as root
            user = ["--user", "www-data", "--group", grp.getgrnam("www-data").gr_name]
            subprocess.run(["chown", "-R", "www-data:www-data", str(self._place)], check=True)
        self._socket = self._place / "socket"
        command = [program, "--foreground", "--pid", str(self._place / "pid"), "--socket", str(self._socket), *user]
        self._process = ground.start(
            command,
            self._place / "log",
            LLNG_DEFAULTCONFFILE=str(self._place / "lemonldap-ng.ini"),
            LLNG_DEFAULTLOGGER="Lemonldap::NG::Common::Logger::Std",
        )
        wait_until(self._socket.exists, "LemonLDAP::NG")

    def _configuration(self) -> dict[str, Any]:
        """As packaged, but for where it lies, who it is, and that the certificate says who comes."""
        files = {
            kind: {"Directory": f"{self._place}/{kind}", "LockDirectory": f"{self._place}/{kind}/lock",
                   "generateModule": "Lemonldap::NG::Common::Apache::Session::Generate::SHA256"}
            for kind in ("sessions", "psessions")
        }  # fmt: skip
        packaged: dict[str, Any] = json.loads(PACKAGED.read_text())
        local = packaged["localSessionStorageOptions"] | {"cache_root": f"{self._place}/cache"}
        return packaged | {
            "portal": f"https://{HOST}:{self.port}/", "domain": "example.gov.cn", "authentication": "SSL", "userDB": "Null",
            "passwordDB": "Null", "registerDB": "Null", "SSLVar": "SSL_CLIENT_S_DN_CN", "whatToTrace": "_user",
            "globalStorageOptions": files["sessions"], "persistentStorageOptions": files["psessions"],
            "localSessionStorageOptions": local, "notificationStorageOptions": {"dirName": f"{self._place}/notifications"},
        }  # fmt: skip

    @property
    def servers(self) -> str:
        text = PORTAL.format(port=self.port, tls=self.ground.tls, client=self.ground.client, socket=self._socket)
        return text.replace("common_name", f"common_name_{self.port}")

    def processes(self) -> list[int]:
        return [self._process.pid, *children(self._process.pid)]

    def person(self, person: Any) -> Callable[[], None]:
        path = f"/?{urlencode({'url': base64.b64encode(APPLICATION.encode()).decode()})}"
        return self.by_certificate(person, path, lambda where, browser: where == APPLICATION and "lemonldap" in browser.cookies)
