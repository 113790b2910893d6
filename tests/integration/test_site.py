"""The site of docs/: it is made without a warning, and a browser shows it."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.clouds import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

MKDOCS = Path(sys.executable).with_name("mkdocs")
SHOWN = (
    "index.html", "tutorial/first-test.html", "how-to/clouds.html", "how-to/tests.html",
    "how-to/install.html", "how-to/troubleshooting.html", "explanation/start.html",
    "reference/not-upstream.html", "reference/services.html", "reference/images.html",
    "reference/commands/index.html", "reference/commands/up.html",
    "reference/files/image.yaml.html", "project/changelog.html",
)  # fmt: skip
NARROW, WIDE, HEIGHT = 400, 1400, 1600
SCHEMES = {"dark": 0, "light": 1}
# Tells which pages can be moved sideways as a whole.
MEASURE = """<!doctype html><body><script>
(async () => {
  await Promise.all(PAGES.map(async page => {
    const frame = document.createElement("iframe");
    frame.width = WIDTH; frame.height = 900; frame.src = page;
    const loaded = new Promise(done => frame.onload = done);
    document.body.append(frame); await loaded;
    const width = frame.contentDocument.documentElement.scrollWidth;
    document.body.append(`[${page} ${width}]`);
  }));
})();
</script>"""


def seconds() -> float:
    """Of processor time, which does not depend on what else the machine does."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("site")
    before = seconds()
    done = subprocess.run(
        [MKDOCS, "build", "--site-dir", directory], cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert seconds() - before < 60
    return directory


def test_it_fetches_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 60
    loading = re.compile(r"""<(?:script|img|iframe|link rel="?stylesheet"?)[^>]+https?://[^>]*>""")
    assert [
        (page.name, found) for page in pages if (found := loading.findall(page.read_text()))
    ] == []
    assert "https://" not in (site / "assets/site.css").read_text()


def test_it_has_what_the_program_knows(site: Path) -> None:
    for page, words in {
        "reference/commands/up.html": "--port-base",
        "reference/files/stack.yaml.html": "boot_volume",
        "reference/services.html": "2026.2",
        "reference/patches.html": "scheduler_throttle",
        "reference/errors.html": "no Docker Engine answers",
        "reference/images.html": "NOVA_DBPASS",
        "reference/suites-by-release.html": "ImportCopyImagesTest",
        "explanation/start.html": "nova-api-serving.gate",
        "source/examples.html": "test_evacuation",
    }.items():
        assert words in (site / page).read_text(encoding="utf-8"), page


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where the site is served, for no search works from a disk."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def chromium(*argv: str) -> str:
    # One that runs as root has no sandbox.
    options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
    return subprocess.run(
        ["chromium", *options, "--virtual-time-budget=20000", *argv],
        capture_output=True, text=True, check=True, timeout=120,
    ).stdout  # fmt: skip


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", [NARROW, WIDE])
@pytest.mark.parametrize("page", SHOWN)
def test_it_is_shown(address: str, screenshots: Path, page: str, width: int, scheme: str) -> None:
    name = f"{page.removesuffix('.html').replace('/', '-')}-{width}-{scheme}.png"
    chromium(
        f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}",
        f"--window-size={width},{HEIGHT}", f"--screenshot={screenshots / name}",
        f"{address}/{page}",
    )  # fmt: skip
    assert (screenshots / name).stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.browser
def test_no_page_is_wider_than_a_telephone(address: str, site: Path) -> None:
    script = MEASURE.replace("PAGES", repr(list(SHOWN))).replace("WIDTH", str(NARROW))
    (site / "measure.html").write_text(script, encoding="utf-8")
    said = re.findall(r"\[(\S+\.html) (\d+)\]", chromium("--dump-dom", f"{address}/measure.html"))
    assert len(said) == len(SHOWN)
    assert [(page, width) for page, width in said if int(width) > NARROW] == []
