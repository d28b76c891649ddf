@rem Double-click me: runs uninstall.ps1 for the current user only.
@powershell -NoProfile -ExecutionPolicy Bypass -File "%~dp0uninstall.ps1" %*
@pause
