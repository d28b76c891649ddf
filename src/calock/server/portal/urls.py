"""Pages of both sites. Which of them a site links, and under which words, its profile says."""

from __future__ import annotations

from django.urls import path
from django.views.i18n import set_language

from calock.server.portal.views import (
    account,
    appearance,
    bindings,
    confirm,
    downloads,
    login,
    members,
    notices,
    personal,
    platform,
    public,
    receipts,
    suspension,
)

app_name = "portal"

urlpatterns = [
    path("", public.home, name="home"),
    path("guide/", public.guide, name="guide"),
    path("guide/downloads/", downloads.area, name="downloads"),
    path("guide/downloads/ca/", downloads.application, name="ca_downloads"),
    path("downloads/", downloads.drivers, name="drivers"),
    path("help/", public.help_centre, name="help"),
    path("help/driver/", public.help_page, {"page": "help_driver"}, name="help_driver"),
    path("help/binding/", public.help_page, {"page": "help_binding"}, name="help_binding"),
    path("help/login/", public.help_page, {"page": "help_login"}, name="help_login"),
    path("help/certificate/", public.help_certificate, name="help_certificate"),
    path("help/failures/", public.help_failures, name="help_failures"),
    path("help/versions/", public.versions, name="versions"),
    path("contact/", public.contact, name="contact"),
    path("legal/", public.legal, name="legal"),
    path("legal/privacy/", public.privacy, name="privacy"),
    path("check/", public.check, name="check"),
    path("login/", login.login, name="login"),
    path("logout/", login.logout, name="logout"),
    path("apps/", platform.apps, name="apps"),
    path("user-center/", platform.user_center, name="user_center"),
    path("system/", platform.system, name="system"),
    path("system/ca/", bindings.binding_list, name="bindings"),
    path("system/ca/<uuid:binding_id>/", bindings.binding_detail, name="binding"),
    path("personal-data/", personal.personal_data, name="personal_data"),
    path("personal-data/download/", personal.download, name="personal_data_download"),
    path("sessions/", account.sessions, name="sessions"),
    path("sessions/end/", account.end_session, name="session_end"),
    path("password/", account.password, name="password"),
    path("password/code/", account.password_code, name="password_code"),
    path("confirm/", confirm.confirm, name="confirm"),
    path("system/ca/<uuid:binding_id>/certificate/", bindings.certificate, name="binding_certificate"),
    path("system/ca/claims/<uuid:claim_id>/withdraw/", bindings.withdraw, name="claim_withdraw"),
    path("system/ca/<uuid:binding_id>/confirm/", bindings.confirm, name="binding_confirm"),
    path("system/ca/<uuid:binding_id>/suspend/", suspension.suspend, name="binding_suspend"),
    path("system/ca/<uuid:binding_id>/resume/", suspension.resume, name="binding_resume"),
    path("system/members/", members.members, name="members"),
    path("system/members/way-in/", members.way_in, name="members_way_in"),
    path("system/members/<uuid:key>/", members.step, name="member_step"),
    path("receipts/", receipts.receipts, name="receipts"),
    path("receipts/<str:number>/", receipts.receipt, name="receipt"),
    path("receipts/<str:number>/file/", receipts.receipt_file, name="receipt_file"),
    path("verify/", receipts.verify, name="verify"),
    path("notices/", notices.notices, name="notices"),
    path("notices/<uuid:key>/dismiss/", notices.dismiss, name="notice_dismiss"),
    path("language/", set_language, name="language"),
    path("appearance/", appearance.appearance, name="appearance"),
]
