"""Chinese first: English only for a person who switched to it; the browser's language does not decide."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import translation


class LanguageMiddleware:
    """Activates the language of the language cookie, else Chinese."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        chosen = request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME, "")
        language = chosen if chosen and chosen in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE
        if language == translation.get_language():  # of this thread already, as with nearly every request
            response = self.get_response(request)
        else:
            with translation.override(language):
                response = self.get_response(request)
        response.headers.setdefault("Content-Language", language)
        return response
