from __future__ import annotations

from pathlib import Path

import pytest

from lamina.local import doctor
from lamina.local.doctor import Verdict


@pytest.mark.parametrize(
    ("text", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_402"', 8),
        ('openjdk version "21"', 21),
        ("", None),
    ],
)
def test_java_major(text: str, major: int | None) -> None:
    assert doctor.java_major(text) == major


def test_absent_java_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    finding = doctor.check_java()
    assert finding.verdict is Verdict.BAD
    assert "install Java 17" in finding.advice


def test_an_environment_that_differs_from_its_lock_is_bad(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text('no-such-package==1.0 \\\n    --hash=sha256:0\nwindows-only==2.0 ; sys_platform == "win32" \\\n')
    finding = doctor.check_packages("environment", lock, None)
    assert finding.verdict is Verdict.BAD
    assert finding.found == "no-such-package missing not 1.0"


def test_every_bad_finding_has_advice() -> None:
    assert all(finding.advice for finding in doctor.examine() if finding.verdict is not Verdict.GOOD)
