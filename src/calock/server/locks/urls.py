from __future__ import annotations

from django.urls import path

from calock.server.locks import views

urlpatterns = [
    path("bindings", views.bindings),
    path("bindings/<uuid:binding>/end", views.end),
    path("bindings/<uuid:binding>/resume", views.resume),
    path("step-up", views.step_up),
]
