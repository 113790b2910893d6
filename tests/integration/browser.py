"""A page in headless Chromium, moved by its mouse and keyboard: the DevTools protocol by pipes."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shlex
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Chromium reads from the first descriptor and writes to the second.
READS, WRITES = 3, 4
LIMIT = 60
# The middle of the element, once it is shown and its window moves no more.
MIDDLE = """
(() => {
  const element = FOUND;
  if (!element || element.disabled) return null;
  element.scrollIntoView({block: "center", inline: "center", behavior: "instant"});
  const {left, top, width, height} = element.getBoundingClientRect();
  const [x, y] = [left + width / 2, top + height / 2];
  if (!width || !height) return null;
  const shown = document.elementFromPoint(x, y);
  return shown && (element.contains(shown) || shown.contains(element)) ? [x, y] : null;
})()
"""


class Page:
    """What one visitor sees; what is asked of it is waited for."""

    def __init__(self, reader: int, writer: int) -> None:
        self._reader, self._writer = reader, writer
        self._number, self._unread, self._session = 0, b"", ""
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self._ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        self._ask("Page.enable")

    def size(self, width: int, height: int) -> None:
        given = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._ask("Emulation.setDeviceMetricsOverride", **given)

    def open(self, url: str) -> None:
        assert "errorText" not in self._ask("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def evaluate(self, expression: str) -> Any:
        answer = self._ask(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, expression: str) -> Any:
        """The first true value of a JavaScript expression."""
        end = time.monotonic() + LIMIT
        while not (found := self.evaluate(expression)):
            assert time.monotonic() < end, f"not within {LIMIT} s: {expression}"
            time.sleep(0.2)
        return found

    def click(self, element: str) -> None:
        """The element that a JavaScript expression finds."""
        where = None
        while where != (where := self.wait(MIDDLE.replace("FOUND", element))):
            time.sleep(0.2)
        x, y = where
        for kind in ("mousePressed", "mouseReleased"):
            given = {"x": x, "y": y, "button": "left", "clickCount": 1}
            self._ask("Input.dispatchMouseEvent", type=kind, **given)

    def write(self, element: str, text: str) -> None:
        self.click(element)
        self._ask("Input.insertText", text=text)

    def screenshot(self, path: Path) -> None:
        self.wait("document.fonts.status === 'loaded'")
        data = self._ask("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    def _ask(self, method: str, **given: Any) -> Any:
        self._number += 1
        request = {"id": self._number, "method": method, "params": given}
        if self._session:
            request["sessionId"] = self._session
        os.write(self._writer, json.dumps(request).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            pass  # an event
        assert "error" not in answer, f"{method}: {answer}"
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            more = os.read(self._reader, 1 << 20)
            assert more, "chromium ended"
            self._unread += more
        message, _, self._unread = self._unread.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found


@contextmanager
def page(profile: Path) -> Iterator[Page]:
    """A new browser, with nothing in its ``profile``, and its one page."""
    ours, theirs = _pipe(), _pipe()
    # One that runs as root has no sandbox.
    words = [
        *("chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
        *("--remote-debugging-pipe", f"--user-data-dir={profile}"),
    ]
    command = f"exec {shlex.join(words)} {READS}<&{theirs[0]} {WRITES}>&{ours[1]}"
    process = subprocess.Popen(
        ["bash", "-c", command], pass_fds=(theirs[0], ours[1]), stderr=subprocess.DEVNULL
    )
    os.close(theirs[0])
    os.close(ours[1])
    try:
        yield Page(ours[0], theirs[1])
    finally:
        process.terminate()
        process.wait(30)
        os.close(ours[0])
        os.close(theirs[1])


def _pipe() -> tuple[int, int]:
    """Two descriptors beyond those that the browser has them under."""
    low = os.pipe()
    high = tuple(fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 10) for each in low)
    for each in low:
        os.close(each)
    return high[0], high[1]
