"""A headless browser that tells what a page does: requests, console, screenshots, hands on it.

Speaks the DevTools protocol through two pipes; no package needed. Tests skip where no browser is installed.
"""

import base64
import fcntl
import json
import os
import select
import subprocess
import tempfile
import time
from pathlib import Path

from designtwin.report.browser import FLAGS, find_browser

BROWSER = find_browser()
SOFTWARE = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")
"""WebGL without a graphics card."""
NONE = ("--disable-3d-apis", "--disable-gpu")


class Browser:
    """One page in a headless browser; a context manager.

    Parameters
    ----------
    path : Path
        The page.
    size : (width, height)
        Pixels.
    flags : tuple of str
        Of graphics: `SOFTWARE` or `NONE`.
    touch : bool
        A phone instead of a desk.
    """

    def __init__(self, path, size=(1200, 900), flags=SOFTWARE, touch=False, dense=1):
        self.path, self.size, self.flags, self.touch, self.dense = Path(path), size, flags, touch, dense
        self.events, self.count, self.buffer = [], 0, b""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="browser", ignore_cleanup_errors=True)
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        self.out, self.inp = ours_out, ours_in
        command = [BROWSER, *FLAGS, *self.flags, "--remote-debugging-pipe"]
        command += [f"--user-data-dir={self.folder.name}", f"--window-size={self.size[0]},{self.size[1]}"]
        # The protocol is spoken at descriptors 3 and 4 of the browser; ours are moved out of the way first.
        high_in, high_out = (fcntl.fcntl(one, fcntl.F_DUPFD, 10) for one in (theirs_in, theirs_out))

        def connect():
            os.dup2(high_in, 3)
            os.dup2(high_out, 4)

        self.process = subprocess.Popen(
            command, preexec_fn=connect, pass_fds=(3, 4), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for one in (theirs_in, theirs_out, high_in, high_out):
            os.close(one)
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = None
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for room in ("Page", "Network", "Runtime", "Log"):
            self.send(f"{room}.enable")
        width, height = self.size
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=self.dense, mobile=self.touch,
        )  # fmt: skip
        if self.touch:
            self.send("Emulation.setTouchEmulationEnabled", enabled=True)
        self.send("Page.navigate", url=self.path.resolve().as_uri())
        self.until("document.readyState === 'complete'")
        return self

    def __exit__(self, *_):
        try:
            self.session = None
            self.send("Browser.close")
        except (OSError, TimeoutError):
            pass
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.out)
        os.close(self.inp)
        self.folder.cleanup()

    # The protocol

    def send(self, method, **params):
        self.count += 1
        message = {"id": self.count, "method": method, "params": params}
        if getattr(self, "session", None):
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        wanted = self.count
        while True:
            answer = self.receive(60.0)
            if answer.get("id") == wanted:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self.events.append(answer)

    def receive(self, seconds):
        end = time.monotonic() + seconds
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.inp], [], [], max(end - time.monotonic(), 0))
            if not ready:
                raise TimeoutError("the browser is silent")
            piece = os.read(self.inp, 1 << 20)
            if not piece:
                raise TimeoutError("the browser has gone")
            self.buffer += piece
        text, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(text)

    # What a reader and a page do

    def ask(self, expression):
        """The value of an expression, or of what it promises."""
        answer = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, expression, seconds=60.0):
        end = time.monotonic() + seconds
        while not self.ask(expression):
            assert time.monotonic() < end, f"in {seconds} s not: {expression}"
            time.sleep(0.05)

    def settle(self):
        """Wait until what was asked for is drawn."""
        self.ask("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

    def mouse(self, kind, x, y, **more):
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def drag(self, start, end):
        self.mouse("mousePressed", *start, button="left", buttons=1, clickCount=1)
        for share in (0.25, 0.5, 0.75, 1.0):
            x, y = (a + share * (b - a) for a, b in zip(start, end))
            self.mouse("mouseMoved", x, y, button="left", buttons=1)
        self.mouse("mouseReleased", *end, button="left", buttons=0, clickCount=1)
        self.settle()

    def screenshot(self, path=None, whole=False):
        """PNG bytes of what is in sight, or of the whole page."""
        data = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        png = base64.b64decode(data)
        if path is not None:
            Path(path).write_bytes(png)
        return png

    def pdf(self, path=None):
        data = self.send("Page.printToPDF", preferCSSPageSize=True, printBackground=True)["data"]
        pdf = base64.b64decode(data)
        if path is not None:
            Path(path).write_bytes(pdf)
        return pdf

    @property
    def requests(self):
        """Addresses the page asked for, but the page itself and what is inside it."""
        found = [
            e["params"]["request"]["url"]
            for e in self.events
            if e.get("method") == "Network.requestWillBeSent"
        ]
        own = self.path.resolve().as_uri()
        return [url for url in found if not url.startswith(("data:", "blob:", "about:", own))]

    @property
    def complaints(self):
        """Errors and warnings of the console and of the page's scripts."""
        out = []
        for event in self.events:
            method, params = event.get("method"), event.get("params", {})
            if method == "Runtime.exceptionThrown":
                out.append(params["exceptionDetails"].get("exception", {}).get("description", str(params)))
            elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
                out.append(str([a.get("value", a.get("description")) for a in params["args"]]))
            elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
                out.append(params["entry"]["text"])
        return out
