"""Parts of pages that are the same for everybody: rendered once for each site and language."""

from __future__ import annotations

from typing import Any

from django import template
from django.template import Context, TemplateSyntaxError
from django.template.base import FilterExpression, Node, NodeList, Parser, Token, token_kwargs
from django.urls import get_script_prefix
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from calock.server.web.template_context import of_site

register = template.Library()


class _Shared(Node):
    def __init__(self, content: NodeList, given: dict[str, FilterExpression]) -> None:
        self._content, self._given = content, given
        self._made: dict[tuple[object, ...], tuple[object, SafeString]] = {}

    def render(self, context: Context) -> SafeString:
        site = context["site"]
        given = {name: expression.resolve(context) for name, expression in self._given.items()}
        key = (site.code, get_language(), get_script_prefix(), *given.values())
        of, text = self._made.get(key, (None, SafeString()))
        if of is not site:
            text = self._anew(context, {**of_site(site), **given})
            self._made[key] = (site, text)
        return text

    def _anew(self, context: Context, values: dict[str, Any]) -> SafeString:
        own = Context(values)
        assert context.template
        with own.bind_template(context.template):
            return self._content.render(own)


@register.tag
def shared(parser: Parser, token: Token) -> _Shared:
    """``{% shared current=current %}…{% endshared %}``: kept for each site, language and value that is given.

    The part sees the site's words and what it is given, and nothing else of the page: nothing of a person or of a request can get
    into what others see. What is given has few values, and none that a visitor can make up.
    """
    words = token.split_contents()[1:]
    given = token_kwargs(words, parser)
    if words:
        raise TemplateSyntaxError("shared takes name=value alone")
    content = parser.parse(("endshared",))
    parser.delete_first_token()
    return _Shared(content, given)
