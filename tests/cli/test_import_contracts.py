"""The import contract of pure modules: which modules it finds, and what it reports."""

import subprocess
import sys
from pathlib import Path

import pytest

from cli.import_contracts import pure_modules

CONFIG = """
[importlinter]
root_packages =
    shop
include_external_packages = True
contract_types =
    pure: cli.import_contracts.PureContract

[importlinter:contract:pure]
name = Pure code
type = pure
forbidden_modules =
    asyncio
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that can be imported, with an empty docstring."""
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "shop"
    folder.mkdir()
    write(folder / "__init__.py", "A shop.")
    (tmp_path / ".importlinter").write_text(CONFIG)
    return folder


def write(path: Path, docstring: str, code: str = "") -> None:
    path.write_text(f'"""{docstring}"""\n\n{code}\n')


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    tool = str(Path(sys.executable).parent / "lint-imports")
    return subprocess.run(  # noqa: S603 (ours)
        [tool, "--no-cache"], cwd=folder.parent, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("docstring", "is_pure"),
    [
        ("Prices. Pure.", True),
        ("Pure. Prices.", True),
        ("Prices.\nPure: amounts in, prices out.", True),
        ("Prices. Pure; see docs.", True),
        ("Prices.\n\nPure.", False),
        ("Purely prices.", False),
        ('Modules whose docstring says "Pure." do no I/O.', False),
        ("Prices.", False),
    ],
)
def test_mark_is_a_sentence_of_the_first_paragraph(
    shop: Path, docstring: str, is_pure: bool
) -> None:
    write(shop / "prices.py", docstring)
    assert pure_modules(["shop"]) == (["shop.prices"] if is_pure else [])


def test_mark_of_a_package_names_the_package(shop: Path) -> None:
    (shop / "cart").mkdir()
    write(shop / "cart/__init__.py", "A cart. Pure.")
    write(shop / "cart/lines.py", "Lines of a cart.")
    assert pure_modules(["shop"]) == ["shop.cart"]


def test_contract_reports_a_pure_module_that_imports_asyncio(shop: Path) -> None:
    write(shop / "prices.py", "Prices. Pure.", "import asyncio")
    done = lint(shop)
    assert done.returncode == 1
    assert "shop.prices -> asyncio" in done.stdout


def test_contract_reports_an_indirect_import(shop: Path) -> None:
    write(shop / "clock.py", "A clock.", "import asyncio")
    write(shop / "prices.py", "Prices. Pure.", "from shop import clock")
    done = lint(shop)
    assert done.returncode == 1
    assert "shop.prices -> shop.clock" in done.stdout


def test_contract_allows_asyncio_in_modules_without_the_mark(shop: Path) -> None:
    write(shop / "clock.py", "A clock.", "import asyncio")
    write(shop / "prices.py", "Prices. Pure.")
    assert lint(shop).returncode == 0


def test_pure_parts_of_the_product_are_marked() -> None:
    """Symptom: a docstring was rewritten without its mark, and the contract checked less."""
    marked = set(pure_modules(["gateway", "container", "deploy", "cli", "common", "workers"]))
    expected = """
        gateway.admission.breaker gateway.audio gateway.calls.allowance gateway.calls.arrivals
        gateway.calls.replay_buffer gateway.calls.replay_state gateway.calls.silent_model
        gateway.calls.snapshot gateway.carriers common.admin_tokens common.openid
        gateway.publishing.backlog gateway.publishing.event_store gateway.publishing.spool.records
        gateway.publishing.outbox gateway.transcript.encode gateway.transcript.events
        gateway.transcript.keys gateway.transcript.segmenter gateway.transcript.session_timeline
            gateway.upstream.dialects
        gateway.upstream.realtime gateway.upstream.sagemaker.errors
        gateway.upstream.sagemaker.frames
        container.cpu.agreement container.cpu.clock container.cpu.generation
        container.cpu.protocol container.cpu.session container.cpu.slots container.cpu.windows
        deploy.local.sagemaker.ends deploy.local.sagemaker.eventstream
        deploy.local.sagemaker.parts deploy.local.sagemaker.sigv4
        cli.audio.resampler cli.audio.samples cli.audit
        workers.client.events workers.client.transcript
        workers.relay.sign_in.cross_site workers.relay.sign_in.failures
        workers.relay.sign_in.identity workers.relay.sign_in.links
        workers.relay.sign_in.openid_connect workers.relay.sign_in.refusal
        workers.relay.sign_in.sessions workers.relay.sign_in.tokens workers.relay.sign_in.viewer
    """
    assert set(expected.split()) - marked == set()
