"""Check and time all Triton kernels on a CUDA card in one go, under eight minutes; the record is a JSON file.

    python benchmarks/gpu_check.py [--out FILE] [--quick] [--only SECTION ...]
    python benchmarks/gpu_check.py --interpret      (no card: small checks, emulated on the CPU)

Sections: checks (every operation and gradient against its float64 reference), large (tensors of more than 2^31
elements), copy (times against the copy bandwidth of the card), conv1d (against torch's depthwise convolution), tcn (a
stack of dilated convolutions against an EMA by FFT), compile (against torch.compile of the references), search (nearest
vectors, against the CPU and reading all once). The exit status is 0 if all checks passed, 1 if one failed, 2 if there
is no card.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

# In this order, and the seconds from the start at which each stops, done or not (which counts as a failure).
SECTIONS = {"checks": 240, "large": 290, "copy": 360, "conv1d": 390, "tcn": 425, "compile": 445, "search": 475}
QUICK_SECTIONS = ("checks", "copy")


def environment(device: torch.device) -> dict:
    """Return what the figures depend on."""
    import triton

    versions = {"torch": torch.__version__, "triton": triton.__version__, "python": sys.version.split()[0]}
    if device.type == "cpu":
        return {"card": "emulated", **versions}
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", f"--id={device.index or 0}"]
    has_query = shutil.which(query[0]) is not None
    card = torch.cuda.get_device_properties(device)
    return {
        "card": card.name,
        "processors": card.multi_processor_count,
        "memory_gib": round(card.total_memory / 2**30, 1),
        "driver": subprocess.run(query, capture_output=True, text=True, check=False).stdout.strip()
        if has_query
        else "",
        "cuda": torch.version.cuda,
        **versions,
    }


def checks(device: torch.device, small: bool) -> Iterator[dict]:
    """Yield the result of each check; an exception is a result too. Memory starts as NaN, so that gaps show."""
    from _gpu_checks import cases, check

    from tsrec.kernels import _memory

    empty = _memory.empty
    _memory.empty = lambda *size, **options: empty(*size, **options).fill_(float("nan"))
    try:
        for case in cases(small):
            try:
                yield check(case, device)
            except Exception as error:
                failure = f"{type(error).__name__}: {str(error)[:300]}"
                yield {"op": case.op, "case": case.label, "ok": False, "failure": failure}
    finally:  # also where time runs out: the timings that follow must not fill memory
        _memory.empty = empty


def sections(device: torch.device, quick: bool) -> dict[str, Callable[[], Iterator[dict]]]:
    """Return what there is to do on a card."""
    import _gpu_tcn
    import _gpu_timing
    from _gpu_large import large_checks
    from _gpu_search import search_on_card

    clock = _gpu_timing.Clock(device, repeats=5 if quick else 15)

    def copy() -> Iterator[dict]:
        bandwidth = _gpu_timing.copy_bandwidth(clock, device)
        yield {"op": "copy of 1 GiB", "gigabytes_per_second": bandwidth / 1e6}
        yield {"op": "host, microseconds per call", **_gpu_timing.launch_cost(device)}
        yield from _gpu_timing.against_copy(clock, bandwidth, device)

    def search() -> Iterator[dict]:
        bandwidth = _gpu_timing.copy_bandwidth(clock, device)
        yield from search_on_card(device, bandwidth, (100_000, 10_000_000))

    return {
        "checks": lambda: checks(device, small=False),
        "large": lambda: large_checks(device),
        "copy": copy,
        "conv1d": lambda: _gpu_timing.against_conv1d(clock, device),
        "tcn": lambda: _gpu_tcn.tcn_against_ema(clock, device),
        "compile": lambda: _gpu_timing.against_compile(clock, device),
        "search": search,
    }


def run(section: Callable[[], Iterator[dict]], deadline: float) -> list[dict]:
    """Collect a section's results, printed as they come; stop at its end, at an error, or when time is up."""
    results: list[dict] = []
    try:
        for result in section():
            results.append(result)
            if not result.get("ok") or "case" not in result:
                print("  " + "  ".join(f"{key}={_short(value)}" for key, value in result.items()), flush=True)
            if time.monotonic() > deadline:
                results.append({"ok": False, "failure": "time was up"})
                break
    except Exception as error:
        results.append({"ok": False, "failure": f"{type(error).__name__}: {str(error)[:300]}"})
    return results


def _short(value: object) -> str:
    if isinstance(value, dict):
        return "{" + " ".join(f"{key}={_short(item)}" for key, item in value.items()) + "}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quick", action="store_true", help=f"only {' and '.join(QUICK_SECTIONS)}, fewer repeats")
    parser.add_argument("--only", nargs="+", choices=SECTIONS)
    parser.add_argument("--interpret", action="store_true")
    args = parser.parse_args()
    os.environ["TSREC_BACKEND"] = "triton"  # an error where triton cannot compute, not another backend
    if args.interpret:
        os.environ["TRITON_INTERPRET"] = "1"
    elif not torch.cuda.is_available():
        print("There is no CUDA device here. --interpret runs small checks on the CPU.", file=sys.stderr)
        return 2
    device = torch.device("cpu" if args.interpret else "cuda")
    todo = {"checks": lambda: checks(device, small=True)} if args.interpret else sections(device, args.quick)
    if args.only and not set(args.only) <= set(todo):
        parser.error(f"an emulated run has {', '.join(todo)} only")
    record: dict = {"environment": environment(device)}
    print(json.dumps(record["environment"], indent=2))
    out = args.out or _default_path(record["environment"]["card"])
    begin = time.monotonic()
    for name in args.only or (QUICK_SECTIONS if args.quick else SECTIONS):
        if name in todo:
            start = time.monotonic()
            record[name] = run(todo[name], begin + SECTIONS[name])
            failed, count = sum(result.get("ok") is False for result in record[name]), len(record[name])
            print(f"{name}: {count} results, {failed} failures, {time.monotonic() - start:.0f} s", flush=True)
            _write(record, out)
    failures = [result for results in list(record.values())[1:] for result in results if result.get("ok") is False]
    print(f"{len(failures)} failures" + (f"; {out}" if out else ""))
    return 1 if failures else 0


def _default_path(card: str) -> Path | None:
    """Name the record after the card; an emulated run leaves none unless asked."""
    name = re.sub(r"\W+", "_", card.lower())
    return None if card == "emulated" else Path(__file__).parent / "results" / f"gpu_{name}.json"


def _write(record: dict, path: Path | None) -> None:
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
