# 安装 CA 驱动：不需要管理员权限，不需要网络。 Install the CA driver: no administrator, no network.
$ErrorActionPreference = 'Stop'
$here = Split-Path -Parent $MyInvocation.MyCommand.Path
foreach ($version in '3.14', '3.13', '3.12', '3.11') {
    try { & py "-$version" -c 'import venv' 2>$null } catch { continue }
    if ($LASTEXITCODE -eq 0) {
        & py "-$version" -I -B (Join-Path $here 'installer') @args
        exit $LASTEXITCODE
    }
}
Write-Host '未找到 Python 3.11 或更新版本，驱动无法安装。请安装 Python（python.org，勾选 py launcher），然后重新运行。'
Write-Host 'No Python 3.11 or newer was found. Please install Python with its py launcher, then run this again.'
exit 1
