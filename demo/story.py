"""The demo's steps with their times, and checks that end it when one fails."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.table import Table

T = TypeVar("T")
console = Console(highlight=False)


class DidNotHappenError(Exception):
    """A step of the demo failed."""


def expect(what: str, *, happened: bool) -> None:
    """End the demo unless it happened.

    Raises:
        DidNotHappenError: naming what did not.
    """
    if not happened:
        raise DidNotHappenError(what)


def until(what: str, look: Callable[[], T | None], *, seconds: float = 300, every: float = 0.25) -> T:
    """Wait for something to be there.

    Raises:
        DidNotHappenError: when it is not in time.
    """
    end = time.monotonic() + seconds
    while (result := look()) is None:
        if time.monotonic() > end:
            raise DidNotHappenError(f"{what} (waited {seconds:.0f} s)")
        time.sleep(every)
    return result


@dataclass
class Story:
    """The steps so far."""

    legs: list[tuple[str, str, float]] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    """Seconds of what is measured besides the legs."""

    @contextmanager
    def leg(self, title: str, command: str) -> Iterator[list[str]]:
        """One leg: its title and command on the screen, its result and time for the closing table."""
        console.print(f"\n[bold]{len(self.legs) + 1}. {title}[/]  [dim]{command}[/]")
        started, result = time.monotonic(), list[str]()
        yield result
        self.legs.append((title, "; ".join(result), time.monotonic() - started))

    def leave(self, file: Path) -> None:
        """Write the times as JSON."""
        legs = {title: round(seconds, 2) for title, _, seconds in self.legs}
        file.write_text(json.dumps({"legs": legs} | self.figures), encoding="utf-8")

    def close(self) -> None:
        """The closing table."""
        table = Table("leg", "what happened", "seconds", box=None, pad_edge=False, header_style="bold")
        table.columns[2].justify = "right"
        for title, result, seconds in self.legs:
            table.add_row(title, result, f"{seconds:.1f}")
        table.add_section()
        table.add_row("[bold]together[/]", "", f"[bold]{sum(leg[2] for leg in self.legs):.1f}[/]")
        console.print()
        console.print(table)
