"""What tests share. One thread for the tiny models: more of them only wait for each other."""

import signal
from collections.abc import Callable, Iterator

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def fresh_processes() -> Iterator[None]:
    """What accelerate remembers of one run, and how it takes SIGTERM, must not reach the next."""
    from processes import forget_processes  # the model's tests do without accelerate

    handler = signal.getsignal(signal.SIGTERM)
    yield
    forget_processes()
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def waiting_is_an_error() -> Iterator[Callable[[], None]]:
    """Gives a function to call before what must not wait for the device."""
    yield lambda: torch.cuda.set_sync_debug_mode("error")
    torch.cuda.set_sync_debug_mode("default")


@pytest.fixture
def small_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within it benchmarks measure the peak of the device with a product that takes no time."""
    monkeypatch.setattr("benchmarks.peak.SIDES", {"cpu": (64,)})
