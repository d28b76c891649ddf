"""Parts of pages that are rendered once for everybody: one for each site, language and given value, with nobody's data."""

from __future__ import annotations

import pytest
from django.template import Context, Template, TemplateSyntaxError
from django.utils.translation import override

from calock.server.sites.registry import sites
from calock.server.web.template_context import of_site


def shown(template, site="shanxi", language="zh-hans", **values):
    with override(language):
        return template.render(Context({**of_site(sites()[site]), **values}))


def test_a_shared_part_shows_nothing_of_the_page_that_it_was_not_given():
    part = Template(
        "{% load shared %}{% shared current=current %}{{ current }}|{{ name }}|{{ request.user.name }}{% endshared %}|{{ name }}"
    )
    assert shown(part, current="home", name="李四", request={"user": {"name": "李四"}}) == "home|||李四"
    assert shown(part, current="home", name="王五") == "home|||王五"


def test_each_site_language_and_given_value_has_its_own():
    part = Template(
        '{% load shared i18n %}{% shared large=look.large %}{{ site.code }} {% translate "登录" %} '
        '{{ large|yesno:"1,0" }}{% endshared %}'
    )
    for _ in range(2):
        assert shown(part, look={"large": True}) == "shanxi 登录 1"
        assert shown(part, look={"large": False}) == "shanxi 登录 0"
        assert shown(part, "zcy", look={"large": True}) == "zcy 登录 1"
        assert shown(part, language="en", look={"large": True}) == "shanxi Log in 1"


def test_it_is_rendered_once():
    part, rendered = Template("{% load shared %}{% shared given=given %}{{ given.seen }}{% endshared %}"), []

    class Given:
        @property
        def seen(self):
            rendered.append(1)
            return "seen"

    given = Given()
    assert [shown(part, given=given) for _ in range(3)] == ["seen"] * 3
    assert len(rendered) == 1


def test_what_is_given_has_a_name():
    with pytest.raises(TemplateSyntaxError):
        Template("{% load shared %}{% shared current %}{% endshared %}")
