"""The rules of `promtool check metrics`, and the tool itself where it is installed.

Source: github.com/prometheus/client_golang, prometheus/testutil/promlint/validations.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

_ABBREVIATED = {"s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d"}
_NOT_BASE = {"minutes", "hours", "days", "weeks", "milliseconds", "kilobytes", "megabytes", "bits"}
_TYPES = {"counter", "gauge", "histogram", "summary"}
_RESERVED = ("_bucket", "_count", "_sum")


def problems(registry: CollectorRegistry) -> list[str]:
    """Return what is wrong with a process's metrics."""
    text = generate_latest(registry).decode()
    found = list(_problems(text))
    if promtool := shutil.which("promtool"):
        command = [promtool, "check", "metrics"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)  # noqa: S603 - from PATH
        found += (done.stdout + done.stderr).splitlines()
    return found


def _problems(text: str) -> Iterator[str]:
    for family in text_string_to_metric_families(text):
        is_counter = family.type == "counter"
        name = f"{family.name}_total" if is_counter else family.name
        parts = set(name.split("_"))
        if not family.documentation:
            yield f"{name}: no help"
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            yield f"{name}: must be in snake_case"
        if not is_counter and name.endswith("_total"):
            yield f"{name}: only a counter ends with _total"
        if parts & (_ABBREVIATED | _NOT_BASE | _TYPES):
            yield f"{name}: must have base units, whole words and no type"
        if name.endswith(_RESERVED):
            yield f"{name}: a reserved suffix"
        for sample in family.samples:
            if family.type != "histogram" and "le" in sample.labels:
                yield f"{name}: the label le is for histograms"
            if any(not re.fullmatch(r"[a-z][a-z0-9_]*", label) for label in sample.labels):
                yield f"{name}: labels must be in snake_case"
