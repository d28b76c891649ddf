"""The sample applications' pages: plain, in their own colours, so that one sees that this is another site."""

from __future__ import annotations

from html import escape

from starlette.responses import HTMLResponse

STYLE = """
body{margin:0;font:16px/1.6 system-ui,"Noto Sans CJK SC",sans-serif;color:#1d2b26;background:#f3f6f4}
header{background:#0b6b4f;color:#fff;padding:14px 24px;display:flex;justify-content:space-between;gap:16px;flex-wrap:wrap}
header b{font-size:18px}header span{opacity:.85}main{max-width:760px;margin:32px auto;padding:0 16px}
section{background:#fff;border-radius:8px;padding:24px;box-shadow:0 1px 3px #0002;margin-bottom:16px}
h1{font-size:22px;margin:0 0 12px}dl{display:grid;grid-template-columns:max-content 1fr;gap:8px 20px;margin:0}
dt{color:#5b6b65}dd{margin:0;overflow-wrap:anywhere}
.acts{display:flex;gap:12px;flex-wrap:wrap;margin:20px 0 0}
.button{display:inline-block;background:#0b6b4f;color:#fff;border:1px solid #0b6b4f;border-radius:6px;padding:8px 18px;
font:inherit;text-decoration:none;cursor:pointer}.button.plain{background:#fff;color:#0b6b4f}
.button:focus-visible{outline:3px solid #f5b301;outline-offset:2px}
.bad{border-left:4px solid #b42318}
"""


def _link(label: str, address: str, plain: str = "") -> str:
    return f'<a class="button{plain}" href="{escape(address)}">{escape(label)}</a>'


def page(name: str, origin: str, body: str, status: int = 200) -> HTMLResponse:
    """One page of the application ``name``."""
    text = (
        f'<!doctype html><html lang="zh-CN"><head><meta charset="utf-8"><title>{escape(name)}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{STYLE}</style></head><body>'
        f"<header><b>{escape(name)}（示例应用）</b><span>{escape(origin)}</span></header><main>{body}</main></body></html>"
    )
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'", "Cache-Control": "no-store"}
    return HTMLResponse(text, status, headers)


def welcome(platforms: list[tuple[str, str]]) -> str:
    """Before the login: ``platforms`` by name, with the address that begins the login there."""
    links = "".join(_link(f"用{platform}账户登录", address) for platform, address in platforms)
    return f'<section><h1>您还没有登录</h1><p>本应用没有自己的账户和密码，由平台统一登录。</p><p class="acts">{links}</p></section>'


def logged_in(facts: dict[str, str], acts: list[tuple[str, str]]) -> str:
    """After it: what the platform said of the person, and what they can do."""
    rows = "".join(f"<dt>{escape(label)}</dt><dd>{escape(value)}</dd>" for label, value in facts.items())
    links = "".join(_link(label, address, "" if number == 0 else " plain") for number, (label, address) in enumerate(acts))
    return f'<section><h1>您好，{escape(facts.get("姓名", ""))}</h1><dl>{rows}</dl><p class="acts">{links}</p></section>'


def refused(text: str, again: str) -> str:
    """When the login came to nothing."""
    return (
        f'<section class="bad"><h1>没有登录成功</h1><p>{escape(text)}</p><p class="acts">{_link("再试一次", again)}</p></section>'
    )
