"""Headless Chromium without a GPU: opens a page, clicks, and takes pictures of the whole page.

``python test/support/chromium.py URL FILE.png [SECONDS]`` writes a picture of a page after some
seconds.
"""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

CHROMIUM = next(filter(None, map(shutil.which, (
    'chromium', 'chromium-browser', 'google-chrome'))), None)
MISSING = 'needs Chromium (Debian: chromium)'
SOFTWARE_WEBGL = ('--headless=new', '--no-sandbox', '--disable-quic', '--no-first-run',
                  '--disable-background-networking', '--disable-component-update',
                  '--disable-sync', '--use-gl=angle', '--use-angle=swiftshader',
                  '--enable-unsafe-swiftshader', '--remote-debugging-port=0',
                  '--hide-scrollbars')
LIMIT = 150.0
"""Seconds for the browser to start or to answer on a busy machine."""


class Page:
    """A page in the browser, driven by the DevTools protocol."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection, self._numbers = connection, itertools.count(1)

    def call(self, method: str, **parameters: object) -> Any:
        """Result of a method of the protocol."""
        number = next(self._numbers)
        self._connection.send(json.dumps({'id': number, 'method': method, 'params': parameters}))
        while True:
            answer = json.loads(self._connection.recv(LIMIT))
            if answer.get('id') == number:
                assert 'error' not in answer, answer
                return answer['result']

    def evaluate(self, script: str) -> Any:
        """Value of a JavaScript expression in the page."""
        return self.call('Runtime.evaluate', expression=script, returnByValue=True)['result'].get(
            'value')

    @property
    def text(self) -> str:
        """The text that the page shows."""
        return str(self.evaluate('document.body.innerText'))

    def write_picture(self, path: Path) -> None:
        """Write a picture of the whole page as PNG, without the notice that there is no GPU."""
        self.evaluate('document.querySelectorAll("[class*=Notification-root]")'
                      '.forEach(notice => notice.remove())')
        data = self.call('Page.captureScreenshot', format='png')['data']
        path.write_bytes(base64.b64decode(data))


@contextmanager
def open_page(url: str, width: int = 1280, height: int = 1000) -> Iterator[Page]:
    """Open a page in a browser, which ends with the block."""
    assert CHROMIUM is not None, MISSING
    with tempfile.TemporaryDirectory(prefix='chromium-', ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [CHROMIUM, *SOFTWARE_WEBGL, f'--user-data-dir={profile}',
             f'--window-size={width},{height}', url],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            with connect(_debugger(Path(profile)), max_size=None, proxy=None) as connection:
                yield Page(connection)
        finally:
            process.terminate()
            process.wait(20)


def _debugger(profile: Path) -> str:
    """Address of the DevTools of the page, which the browser writes into its profile."""
    end, file = time.monotonic() + LIMIT, profile / 'DevToolsActivePort'
    while time.monotonic() < end:
        if file.exists() and file.read_text().strip():
            port = file.read_text().split()[0]
            address = f'http://127.0.0.1:{port}/json/list'
            with urllib.request.urlopen(address, timeout=20) as answer:
                pages = [p for p in json.load(answer) if p['type'] == 'page']
            if pages:
                return str(pages[0]['webSocketDebuggerUrl'])
        time.sleep(0.1)
    raise TimeoutError('the browser did not start')


if __name__ == '__main__':
    with open_page(sys.argv[1]) as shown:
        time.sleep(float(sys.argv[3]) if len(sys.argv) > 3 else 20.0)
        shown.write_picture(Path(sys.argv[2]))
