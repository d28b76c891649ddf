"""Template words of the console."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import template
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe

register = template.Library()


@register.simple_tag
def labelled(cell: SafeString, headers: Sequence[dict[str, Any]], number: int) -> SafeString:
    """A cell as Django's admin made it, with its column's heading: on a phone it stands beside the value."""
    label = conditional_escape(headers[number]["text"])
    for tag in ("td", "th"):
        if cell.startswith(f"<{tag}"):
            attribute = "" if number == 0 else f' data-label="{label}"'
            return mark_safe(f"<{tag}{attribute}{cell[len(tag) + 1 :]}")  # noqa: S308 - the admin's own markup, and escaped words
    return cell
