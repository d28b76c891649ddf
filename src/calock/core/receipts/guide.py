"""``核验说明.txt``: what a receipt shows, and the commands that check it, for somebody who has never heard of this program."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from calock.core.receipts.record import Record

NO_EXTERNAL_TIME = "NO_EXTERNAL_TIME"
_PURPOSES = {"login": "登录", "bind": "绑定 CA 锁", "unbind": "解除绑定 CA 锁", "stepup": "确认身份", "resume": "恢复使用 CA 锁"}
_TIME = """4. 时间 Time：外部时间戳机构（RFC 3161）为审计树头 audit/stamped-head.json 加盖的时间戳；
   audit/later-heads.jsonl 是其间的树头，每行的 previous 是上一行的 SHA-256。请向该机构核对 timestamp-ca.pem
   {}"""
_NO_TIME = f"{NO_EXTERNAL_TIME}：没有外部时间戳。时间只由平台服务器的时钟与审计链说明，不能单独对抗平台自身。"


def guide(record: Record, commands: Sequence[str], *, time: str, names: Mapping[str, str]) -> str:
    """The whole text. ``time``: the command that checks the time-stamp; empty when there is none."""
    said = json.loads(record.statement)
    signature, chain, inclusion = commands
    named = "，".join(f"{name} {value}" for name, value in sorted(names.items()))
    return f"""存证回执 核验说明
Receipt: how to check it without the platform

事项 Act        {_PURPOSES.get(said["purpose"], said["purpose"])}（{said["purpose"]}）
站点 Site       {record.origin}
时间 Time       {record.at}
名称 Names      {named or "-"}（制作本文件时平台登记的名称，不在签名之内 not covered by the signature）
陈述 Statement  statement.json，其 SHA-256 在 challenge.txt 的第 5 段（base64url）

需要 Needed: OpenSSL 3（openssl version）。解开本文件，在该目录中逐条执行；每条都须成功。
Unpack this file and run each command in its folder; each must succeed.

1. 签名 Signature：CA 锁的私钥签署了网站地址与挑战文本
   {signature}

2. 证书链 Chain：按事发时刻核验，与证书今天是否过期无关；请向 CA 机构核对锚证书（最后一张）的指纹
   {chain}

3. 审计位置 Inclusion：该事项的审计记录在已签名的审计树头之下；记录中的 receipt 等于 receipt.json 的 SHA-256
   {inclusion}

{_TIME.format(time) if time else _NO_TIME}

吊销信息 Revocation：revocation/ 中是当时判定所依据的 CRL 或 OCSP 应答；未收入的只留散列值（receipt.json 的 revocation）。
全面核验 Everything at once: calock evidence verify FILE
"""
