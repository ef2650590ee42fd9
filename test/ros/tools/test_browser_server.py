"""Addresses that the page can be served on, and those that it cannot."""

from __future__ import annotations

import pytest

pytest.importorskip('viser', reason='needs viser')

from kinediff3d_core.cli import main  # noqa: E402
from kinediff3d_ros.tools.browser_server import serve, url_of  # noqa: E402


def test_the_address_is_the_one_that_was_asked_for(page_server) -> None:
    port = page_server.get_port()
    assert url_of(page_server) == f'http://127.0.0.1:{port}'
    with pytest.raises(ValueError, match=f'port {port} of 127.0.0.1 is in use; choose another '
                                         f'one, as --port {port + 1}$'):
        serve('127.0.0.1', port)


@pytest.mark.parametrize('host, reason', (
    ('1.2.3.4', '1.2.3.4 is not an address of this machine; use --host 127.0.0.1'),
    ('no.such.host.invalid', '--host no.such.host.invalid is no known address'),
    ('a' * 80 + '.b', 'is no known address')))
def test_addresses_of_other_machines_are_refused(host: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as refused:
        serve(host, 0)
    assert '\n' not in str(refused.value)


@pytest.mark.parametrize('arguments', (
    ('--port', '99999'), ('--port', '0'), ('--port', '-1'), ('--port', '80a'),
    ('--host', '1.2.3.4')))
def test_the_command_ends_with_one_line(arguments, capsys) -> None:
    try:
        status = main.main(['view', *arguments])
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
