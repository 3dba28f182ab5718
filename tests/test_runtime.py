"""Settings of the process: made by `prepare_process`, and by nothing else in the package."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import showtell

SOURCE = Path(showtell.__file__).parent
PAGES = 80 * 2**20 // 4096
FREED_MEMORY = """
import resource
import torch
from showtell.runtime import keep_freed_memory
torch.set_num_threads(1)
for keep in (False, True):
    if keep:
        keep_freed_memory()
    for _ in range(40):
        torch.empty(20 * 2**20).fill_(1.0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.empty(20 * 2**20).fill_(1.0)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 10)
"""
GIVEN_BACK = """
from pathlib import Path
from showtell.runtime import give_back_freed_memory, keep_freed_memory
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1])
keep_freed_memory()
print(resident())
blocks = [bytearray(2**20) + b"x" for _ in range(80)]
del blocks
print(resident())
give_back_freed_memory()
print(resident())
"""
LEFT_OUT = """
import gc
from showtell.runtime import keep_all_objects
kept = [[i] for i in range(200_000)]
keep_all_objects()
print(len(gc.get_objects()))
"""
PREPARED = """
import os, signal, sys, warnings
from showtell.runtime import prepare_process
os.environ.pop("OMP_WAIT_POLICY")  # what the person set is kept; here it is what `conftest.py` set
if sys.argv[1] == "torch first":
    import torch
prepare_process()
assert sys.argv[1] == "torch first" or "torch" not in sys.modules
import torch, threading
assert signal.getsignal(signal.SIGPIPE) == signal.SIG_DFL
assert os.environ["GOMP_SPINCOUNT"] == "2000"
assert sys.stdout.errors == "backslashreplace"
small = torch.tensor([1e-40])
found = [float(small * 1)]
thread = threading.Thread(target=lambda: found.append(float(small * 1)))
thread.start(); thread.join()
assert found == [0, 0], found
"""
UNTOUCHED = """
import os, signal, sys, warnings
from pathlib import Path
import torch, numpy, PIL.Image, showtell
for library in ["tokenizers", "lancedb", "pyarrow", "sklearn", "torch.distributed.fsdp", "torch._dynamo"]:
    __import__(library)  # what other libraries do to the process is theirs

def state():
    return {
        "signals": {n: signal.getsignal(n) for n in signal.valid_signals()},
        "warnings": list(warnings.filters),
        "environment": dict(os.environ),
        "importing": list(map(str, sys.meta_path)),
        "denormals": float(torch.tensor([1e-40]) * 1),
        "threads": torch.get_num_threads(),
        "umask": (umask := os.umask(0o22), os.umask(umask))[0],
        "streams": (sys.stdout, sys.stderr, sys.stdout.encoding, sys.stdout.errors),
        "telemetry": "openvino_telemetry" in sys.modules,
    }

before = state()
import importlib, pkgutil
for module in pkgutil.walk_packages(showtell.__path__, "showtell."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
from support.checkpoints import tiny_checkpoint
from support.toy import CONFIG, Line, error, finish, load_batch
from showtell.train.loop import train
output, system = Path(sys.argv[1]), Line()
train(system, load_batch, CONFIG, output / "run", finish=finish(system), validate=error)
model = showtell.load_model(tiny_checkpoint(output / "model"))
PIL.Image.new("RGB", (50, 40), "red").save(output / "red.png")
showtell.index(output, output / "library", model)
after = state()
assert before["denormals"] > 0
for name in before:
    assert before[name] == after[name], (name, before[name], after[name])
"""


def python(program: str, *arguments: object) -> str:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    path = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **path})
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a parameter of glibc")
def test_a_large_tensor_is_faulted_in_once() -> None:
    given_back, kept = map(int, python(FREED_MEMORY).split())
    if given_back < PAGES // 2:
        pytest.skip("this C library keeps large blocks anyway")
    assert kept < given_back / 10


def test_freed_memory_is_given_back() -> None:
    if not Path("/proc/self/statm").exists():
        pytest.skip("the memory of a process is read from Linux's /proc")
    before, kept, given_back = map(int, python(GIVEN_BACK).split())
    if kept - before < PAGES // 2:
        pytest.skip("this C library keeps no freed memory")
    assert kept - given_back > PAGES // 2


@pytest.mark.parametrize("order", ["torch first", "torch later"])
def test_a_prepared_process_flushes_denormals_in_every_thread(order: str) -> None:
    python(PREPARED, order)


def test_the_library_changes_nothing_of_the_process(tmp_path: Path) -> None:
    """Every module is imported, a system trained, a model loaded, an image indexed."""
    python(UNTOUCHED, tmp_path)


EFFECTS = re.compile(
    r"set_flush_denormal|mallopt|filterwarnings|signal\.signal\(|redirect_std|reconfigure\(|basicConfig|os\.umask"
    r"|os\.environ\[.*\] *=|environ\.(setdefault|update)|set_num_threads|set_default_dtype|faulthandler"
)
ALLOWED = {"runtime.py", "train/signals.py"}
"""The second puts back what it found when a run ends."""


def test_one_file_holds_what_changes_the_process() -> None:
    found = {
        str(path.relative_to(SOURCE)): match[0]
        for path in SOURCE.rglob("*.py")
        if path.relative_to(SOURCE).parts[0] != "cli" and (match := EFFECTS.search(path.read_text()))
    }
    assert found.keys() == ALLOWED, found


def test_what_a_server_has_loaded_is_left_out_of_garbage_collections() -> None:
    found = subprocess.run([sys.executable, "-c", LEFT_OUT], stdout=subprocess.PIPE, text=True, check=True)
    assert int(found.stdout) < 1000
