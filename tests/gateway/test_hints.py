"""The hints for operators about each reason."""

import pytest

from gateway import hints
from gateway.errors import REASONS, Fault


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_has_a_hint_in_one_line(reason: str) -> None:
    text = hints.hint(reason)
    assert text
    assert text.endswith(".")
    assert "\n" not in text


def test_all_hints_belong_to_reasons() -> None:
    assert set(hints._TABLE) <= set(REASONS)  # noqa: SLF001 - a misspelt key would never be shown
    assert hints.hint("completed") is None


def test_common_setup_errors_have_specific_hints() -> None:
    """Symptom: `no-credentials` without a hint."""
    met = {r for r, info in REASONS.items() if info.fault is Fault.CREDENTIALS}
    met |= {"connect-refused", "endpoint-not-found", "tls-untrusted", "model-not-found"}
    assert met <= set(hints._TABLE)  # noqa: SLF001 - as above
