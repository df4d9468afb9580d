"""Serving and exporting the page of the explorer."""

__all__ = ["export_page", "serve_page"]

import secrets
import socket
import sys
import webbrowser
from pathlib import Path

from ...explorer import server
from ...explorer.export import export_copy
from ...explorer.session import Explorer
from ...stages import Stage, finish
from .console import counted, note, print_line, stderr


def serve_page(explorer: Explorer, listening: socket.socket, browser: bool) -> None:
    """Prints the URL, opens it in the browser if asked to, and serves it until Ctrl-C."""
    token = secrets.token_urlsafe(24)
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/?token={token}"
    print_line(url)
    sys.stdout.flush()  # for programs that read it while the server runs
    note(f"{counted(explorer.codes.total, 'sentence')}; stop with Ctrl-C")
    if browser:
        webbrowser.open(url)
    server.serve(explorer, listening, token)


def export_page(explorer: Explorer, folder: Path, points: int) -> None:
    """Writes a copy of the page with a progress display, and prints its path."""
    with stderr.status("exporting") as status:

        def show(stage: Stage) -> None:
            status.update(f"{stage.name}: {stage.done:,} of {stage.total:,}")

        count = finish(export_copy(explorer, folder, points), show)
    print_line(str(folder / "index.html"))
    note(
        f"{counted(explorer.codes.total, 'sentence')}, {count:,} of them with reconstructions and "
        "neighbours"
    )
