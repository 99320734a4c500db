"""A headless Chromium, spoken to over a pair of pipes in its DevTools protocol: no port, no driver."""

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import time


class Browser:
    """One page. What it logs as a warning or an error, and each exception that nobody caught, is kept in `complaints`; the addresses
    that it asked since it was opened are in `asked`."""

    def __init__(self, folder):
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        if not program:
            raise FileNotFoundError("chromium is not on PATH")
        to_read, self.write_end = os.pipe()
        self.read_end, to_write = os.pipe()
        # The browser reads descriptor 3 and writes 4. They may be in each other's way: both move far up first.
        def set_up():
            up = [os.dup2(to_read, 103), os.dup2(to_write, 104)]
            os.dup2(up[0], 3)
            os.dup2(up[1], 4)
            os.setpgid(0, 0)

        self.log = open(os.path.join(str(folder), "browser.log"), "wb")
        self.process = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
             "--remote-debugging-pipe", f"--user-data-dir={folder}/browser", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, close_fds=False, preexec_fn=set_up)
        os.close(to_read)
        os.close(to_write)
        self.buffer, self.number, self.session = b"", 0, None
        self.complaints, self.asked, self.loaded = [], [], False
        target = next(t for t in self.ask("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self.session = self.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(domain + ".enable")
        self.ask("Emulation.setFocusEmulationEnabled", enabled=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Its helpers are in its group.
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        os.close(self.read_end)
        os.close(self.write_end)
        self.log.close()

    def ask(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params, **({"sessionId": self.session} if self.session else {})}
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.write_end, data):]
        number, limit = self.number, time.monotonic() + 60
        while True:
            answer = self.next_message(limit)
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def next_message(self, limit):
        while b"\0" not in self.buffer:
            if not select.select([self.read_end], [], [], max(0, limit - time.monotonic()))[0]:
                raise TimeoutError("the browser does not answer")
            piece = os.read(self.read_end, 1 << 20)
            if not piece:
                raise RuntimeError(f"the browser ended, see {self.log.name}")
            self.buffer += piece
        data, self.buffer = self.buffer.split(b"\0", 1)
        message = json.loads(data)
        params = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description", details["text"]))
        elif message.get("method") == "Log.entryAdded" and params["entry"]["level"] in ("warning", "error"):
            self.complaints.append(params["entry"]["text"] + " " + params["entry"].get("url", ""))
        elif message.get("method") == "Runtime.consoleAPICalled" and params["type"] in ("warning", "error", "assert"):
            self.complaints.append(str([a.get("value", a.get("description")) for a in params["args"]]))
        elif message.get("method") == "Network.requestWillBeSent" and params["request"]["url"].startswith("http"):
            self.asked.append(params["request"]["url"])
        elif message.get("method") == "Page.loadEventFired":
            self.loaded = True
        return message

    def open(self, url, width, height=900, dark=False):
        self.asked = []
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.loaded = False
        self.ask("Page.navigate", url=url)
        limit = time.monotonic() + 60
        while not self.loaded:
            self.next_message(limit)

    def value(self, expression):
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait_for(self, expression, seconds=60):
        limit = time.monotonic() + seconds
        while not self.value(expression):
            if time.monotonic() > limit:
                raise TimeoutError(f"never came true: {expression}; {self.complaints}")
            time.sleep(0.1)

    def key(self, name):
        for kind in ("rawKeyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=name, code=name)

    def screenshot(self, file):
        """The whole page, however long."""
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        picture = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True,
                           clip={"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1})["data"]
        with open(file, "wb") as f:
            f.write(base64.b64decode(picture))
