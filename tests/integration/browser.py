# SPDX-License-Identifier: PostgreSQL
"""A headless Chromium, told what to do over its pipe (the DevTools protocol: JSON, a zero behind each message).

    with Browser(folder) as b:
        page = b.open("http://127.0.0.1:6433/", width=360, dark=True, script=False)
        page.wait("document.body.className == 'live'")
        page.screenshot("phone.png")
        page.faults    # errors of the console, exceptions, violations of the CSP, requests that failed
        page.requests  # addresses"""
import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import time


def find():
    """The program; None: there is none."""
    return shutil.which("chromium-headless-shell") or shutil.which("chromium")


class Browser:
    def __init__(self, folder, program=None):
        low_read, self._to = os.pipe()
        self._from, low_write = os.pipe()
        # Chromium reads descriptor 3 and writes 4: the shell puts them there, from descriptors that are neither.
        to_read, to_write = (fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (low_read, low_write))
        for fd in (low_read, low_write):
            os.close(fd)
        command = [program or find(), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
                   "--disable-background-networking", "--disable-dev-shm-usage", "--force-color-profile=srgb",
                   "--user-data-dir=%s" % folder, "--remote-debugging-pipe", "about:blank"]
        self._process = subprocess.Popen(
            ["/bin/bash", "-c", 'exec "$@" 3<&%d 4>&%d' % (to_read, to_write), "sh"] + command,
            pass_fds=(to_read, to_write), start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(to_write)
        self._id, self._rest, self._events = 0, b"", []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self._to)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # its session is its own
        self._process.wait()
        os.close(self._from)

    def _read(self, deadline):
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._from], [], [], max(0, deadline - time.monotonic()))
            data = os.read(self._from, 1 << 20) if ready else b""
            assert data, "the browser is silent" if not ready else "the browser has ended"
            self._rest += data
        message, self._rest = self._rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, session=None, **params):
        self._id += 1
        asked = {"id": self._id, "method": method, "params": params} | ({"sessionId": session} if session else {})
        os.write(self._to, json.dumps(asked).encode() + b"\0")
        deadline = time.monotonic() + 60
        while True:
            said = self._read(deadline)
            if said.get("id") != self._id:
                self._events.append(said)
                continue
            assert "error" not in said, (method, said["error"])
            return said["result"]

    def events(self, session):
        found = [e for e in self._events if e.get("sessionId") == session]
        self._events = [e for e in self._events if e.get("sessionId") != session]
        return found

    def open(self, address, width=1200, height=900, dark=False, script=True, scale=1):
        return Page(self, address, width, height, dark, script, scale)


class Page:
    def __init__(self, browser, address, width, height, dark, script, scale):
        self.browser, self.faults, self.requests, self.width, self.scale = browser, [], [], width, scale
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(domain + ".enable")
        self.size(width, height)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        self.call("Page.navigate", url=address)
        self.wait("document.readyState == 'complete' && location.href != 'about:blank'")

    def call(self, method, **params):
        result = self.browser.call(method, self.session, **params)
        for event in self.browser.events(self.session):
            self._note(event["method"], event["params"])
        return result

    def _note(self, method, params):
        if method == "Runtime.exceptionThrown":
            self.faults.append(params["exceptionDetails"].get("exception", {}).get("description", str(params)))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.faults.append(str(params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.faults.append("%(text)s (%(url)s)" % ({"url": ""} | params["entry"]))
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    def size(self, width, height):
        self.width = width
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=self.scale, mobile=False)

    def value(self, expression):
        done = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, (expression, done["exceptionDetails"])
        return done["result"].get("value")

    def wait(self, expression, timeout=30):
        end = time.monotonic() + timeout
        while not (found := self.value("(%s) || false" % expression)):
            assert time.monotonic() < end, "never: " + expression
            time.sleep(0.05)
        return found

    def text(self, selector="body"):
        return self.value("(document.querySelector(%s) || {}).innerText" % json.dumps(selector))

    def key(self, key):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode={
                "ArrowLeft": 37, "ArrowRight": 39, "Home": 36, "End": 35, "Escape": 27, "Tab": 9}[key])

    def hover(self, x, y):
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def screenshot(self, file, whole=True):
        """Of the whole page, or of what the window shows."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}, "captureBeyondViewport": True}
        data = self.call("Page.captureScreenshot", format="png", **(clip if whole else {}))["data"]
        with open(file, "wb") as out:
            out.write(base64.b64decode(data))
