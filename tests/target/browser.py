"""Drive a headless Chromium by the DevTools protocol over a pipe: no port, no other program, no library.

The protocol is JSON, each message ended by a NUL, read from descriptor 3 and written to 4 (Chromium,
content/browser/devtools/devtools_pipe_handler.cc); https://chromedevtools.github.io/devtools-protocol/.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import select
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from typing import Any

__all__ = ["Tab", "find_chromium", "open_chromium"]

#: in seconds; an answer that takes longer does not come
_TIMEOUT = 60

_OPTIONS = (
    "--headless",
    # tests run as root in containers, and open their own pages only
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-pipe",
)

#: name → code, virtual key code, text
_KEYS = {
    "Tab": ("Tab", 9, ""),
    "Enter": ("Enter", 13, "\r"),
    " ": ("Space", 32, " "),
    "Escape": ("Escape", 27, ""),
    "End": ("End", 35, ""),
    "Home": ("Home", 36, ""),
    "ArrowLeft": ("ArrowLeft", 37, ""),
    "ArrowUp": ("ArrowUp", 38, ""),
    "ArrowRight": ("ArrowRight", 39, ""),
    "ArrowDown": ("ArrowDown", 40, ""),
}


def find_chromium() -> str | None:
    """Return the command, if there is one."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((found for name in names if (found := shutil.which(name))), None)


class Tab:
    """A tab: what is called on it waits until it is done; *events* are what came meanwhile."""

    def __init__(self, reading: int, writing: int) -> None:
        self._reading, self._writing = reading, writing
        self._numbers = itertools.count(1)
        self._rest = b""
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call *method* and return its result."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._writing, data) :]
        while True:
            answer = self._next()
            if answer.get("id") == number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            if not select.select([self._reading], [], [], _TIMEOUT)[0]:
                raise AssertionError("the browser does not answer")
            piece = os.read(self._reading, 1 << 20)
            if not piece:
                raise AssertionError("the browser has ended")
            self._rest += piece
        data, _, self._rest = self._rest.partition(b"\0")
        answer: dict[str, Any] = json.loads(data)
        if "method" in answer:
            self.events.append(answer)
        return answer

    def open(self, url: str) -> None:
        """Load *url*, and forget what came before."""
        self.events.clear()
        # from elsewhere, so that an address with another fragment is loaded too
        self.call("Page.navigate", url=url)
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._next()

    def run(self, script: str) -> Any:
        """Return the value of the expression *script* in the page."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def press(self, key: str, *, shift: bool = False) -> None:
        """Press and release *key*."""
        code, number, text = _KEYS[key]
        common = {"key": key, "code": code, "windowsVirtualKeyCode": number, "modifiers": 8 * shift}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def accessible(self) -> list[dict[str, Any]]:
        """Return what assistive technology sees: role, name and whether the focus can go there."""
        found = []
        for node in self.call("Accessibility.getFullAXTree")["nodes"]:
            if node.get("ignored"):
                continue
            properties = {each["name"]: each["value"].get("value") for each in node.get("properties", ())}
            found.append(
                {
                    "role": node["role"]["value"],
                    "name": node.get("name", {}).get("value", ""),
                    "focusable": bool(properties.get("focusable")),
                }
            )
        return found

    def screen(self, width: int, height: int, *, scale: float = 1) -> None:
        """Let the page have a screen of that size, in CSS pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=False,
        )

    def prefer(self, **features: str) -> None:
        """Emulate media features, such as ``prefers_color_scheme="dark"``; those that are not named end."""
        pairs = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.call("Emulation.setEmulatedMedia", features=pairs)


@contextlib.contextmanager
def open_chromium(command: str) -> Iterator[Tab]:
    """Start the browser with a profile of its own and yield a tab; both are gone in the end."""
    to_browser, from_browser = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(prefix="zipstrap-browser-", ignore_cleanup_errors=True) as profile:
        script = f'exec "$@" 3<&{to_browser[0]} 4>&{from_browser[1]}'
        process = subprocess.Popen(
            ["/bin/bash", "-c", script, "sh", command, *_OPTIONS, f"--user-data-dir={profile}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(to_browser[0], from_browser[1]),
            env={**os.environ, "HOME": profile},
        )
        os.close(to_browser[0])
        os.close(from_browser[1])
        try:
            yield Tab(from_browser[0], to_browser[1])
        finally:
            # it ends when nobody is there to speak to
            os.close(to_browser[1])
            try:
                process.wait(_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            os.close(from_browser[0])
