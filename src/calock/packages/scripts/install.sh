#!/bin/sh
# 安装 CA 驱动：不需要管理员权限，不需要网络。 Install the CA driver: no administrator, no network.
# 用法 usage: sh install.sh
set -eu
cd "$(dirname "$0")"
for python in python3.14 python3.13 python3.12 python3.11 python3; do
    if command -v "$python" >/dev/null 2>&1 &&
        "$python" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
        exec "$python" -I -B installer "$@"
    fi
done
echo "未找到 Python 3.11 或更新版本，驱动无法安装。" >&2
echo "请安装 python3（3.11 以上），然后重新运行本脚本。" >&2
echo "No Python 3.11 or newer was found. Please install python3, then run this script again." >&2
exit 1
