"""The web server of the browser view: viser, on the address that was asked for and no other."""

from __future__ import annotations

import errno
import logging
import os
import socket
from typing import Any

LABEL = 'KineDiff3D'
"""Title of the page's panel."""


def serve(host: str, port: int) -> Any:
    """A viser server that listens on a port of an address of this machine.

    Args:
        port: 0 lets the system choose.

    Raises:
        ValueError: viser is not installed, or the address cannot be listened on; one line that
            says what would be right.
    """
    try:
        import viser
    except ImportError as error:
        raise ValueError('the page is served by viser, which is not installed; install it '
                         'with "pip install viser"') from error
    _require_free(host, port)
    # Browsers open connections that they never use; each would be a traceback on the terminal.
    logging.getLogger('websockets.server').setLevel(logging.CRITICAL)
    server = viser.ViserServer(host, port, label=LABEL, verbose=False)
    if port and server.get_port() != port:  # taken since it was checked; viser took the next one
        server.stop()
        raise ValueError(_in_use(host, port))
    return server


def url_of(server: Any) -> str:
    """Address of the page in a browser on this machine."""
    host = {'0.0.0.0': '127.0.0.1', '::': '[::1]'}.get(server.get_host(), server.get_host())
    return f'http://{host}:{server.get_port()}'


def collect_garbage(server: Any) -> None:
    """Forget what the page removed: viser keeps a record of it until the next browser connects.

    A page that is left open, with objects that come and go, would grow for ever. No public
    function of viser 1.1 does this.
    """
    server._run_garbage_collector()


def _require_free(host: str, port: int) -> None:
    """Raise ValueError if the address cannot be listened on: viser then tries ports for ever."""
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM,
                                       flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise ValueError(f'--host {host} is no known address: '
                         f'{getattr(error, "strerror", None) or error}') from error
    for family, kind, protocol, _, address in addresses:
        with socket.socket(family, kind, protocol) as probe:
            if os.name == 'posix':  # as asyncio does: connections that just ended do not count
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as error:
                raise ValueError(_reason(error, host, port)) from error


def _reason(error: OSError, host: str, port: int) -> str:
    """Why an address cannot be listened on, and what would be right."""
    if error.errno == errno.EADDRINUSE:
        return _in_use(host, port)
    if error.errno == errno.EADDRNOTAVAIL:
        return (f'{host} is not an address of this machine; use --host 127.0.0.1 for this machine '
                'only, or 0.0.0.0 for all networks')
    if error.errno == errno.EACCES:
        return f'port {port} needs privileges; use one from 1024'
    return f'cannot listen on {host}:{port}: {error.strerror or error}'


def _in_use(host: str, port: int) -> str:
    return f'port {port} of {host} is in use; choose another one, as --port {port % 65535 + 1}'
