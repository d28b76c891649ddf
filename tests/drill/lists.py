"""Lists of another system, as they are brought in."""

from __future__ import annotations

import csv
from pathlib import Path

from authority import CODE


def make_lists(place: Path) -> None:
    """1,000 accounts of 50 organisations, and a lock for each of 300 of them."""
    with (place / "organisations.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["uscc", "name"])
        rows.writerows([uscc(number), f"演练单位{number:02}"] for number in range(50))
    with (place / "accounts.csv").open("w", encoding="gb18030", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["账户", "姓名", "外部编号", "统一社会信用代码"])
        rows.writerows([f"user{number:04}", f"用户{number:04}", f"X{number}", uscc(number % 50)] for number in range(1000))
    with (place / "bindings.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["外部编号", "CA 服务商", "CA锁ID", "来源"])
        rows.writerows([f"X{number}", CODE, f"B-{number:04}", "原系统"] for number in range(300))


def uscc(number: int) -> str:
    """统一社会信用代码 with its check character (GB 32100-2015)."""
    letters = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    body = f"91140100MA0D{number:05}"
    total = sum(letters.index(letter) * 3**place % 31 for place, letter in enumerate(body))
    return body + letters[-total % 31]
