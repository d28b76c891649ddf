from __future__ import annotations

from django.apps import AppConfig


class ContactsConfig(AppConfig):
    name = "calock.server.contacts"
    label = "contacts"
    verbose_name = "联系方式"
