"""What a window of EEG costs, from five seconds to ten minutes: LuMamba, and the same with attention over time.

python benchmarks/eeg_cost.py

22 channels at 256 Hz, one window at a time, without gradients, one thread. The rival has transformer layers of the same
width (Q E = 384) and number in the place of the Mamba layers, all else being equal. Multiply-adds are counted from the
formulas of the layers, since counters of tools do not see inside a scan; seconds are the median of five answers, memory
is what a fresh process needs beyond its imports, weights and data.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from _memory import forget_peak, memory
from _records import markdown, surroundings, write

RESULTS = Path(__file__).parent / "results" / "eeg_cost.json"
SECONDS = (5, 15, 30, 60, 150, 300, 600)
CHANNELS, RATE, PATCH, WIDTH, QUERIES, LAYERS, STATES, TAPS, EXPAND = 22, 256, 40, 64, 6, 2, 16, 4, 2
MODELS = ("LuMamba", "transformer")


def multiply_adds(model: str, seconds: float) -> dict[str, int]:
    """Multiply-adds of the parts for one window, from their formulas."""
    S, E, Q, C, P = int(seconds * RATE) // PATCH, WIDTH, QUERIES, CHANNELS, PATCH
    d, places, maps = Q * E, 4, WIDTH // 4
    bins = 2 * (P // 2 + 1)
    convolutions = places * maps * (P // 2 - 1) + 2 * places * maps * 3 * maps
    front = C * S * (convolutions + P * bins + bins * 4 * bins + 4 * bins * E)
    cross = S * (2 * C * E * E + 2 * Q * C * E + 2 * Q * E * E)
    over_queries = S * (Q * 8 * E * E + 3 * Q * (4 * E * E + 8 * E * E + 2 * Q * E))
    D, R = EXPAND * d, -(-d // 16)
    one = d * 2 * D + D * TAPS + D * (R + 2 * STATES) + R * D + 4 * D * STATES + D * d
    mixing = LAYERS * S * 2 * one if model == "LuMamba" else LAYERS * S * (12 * d * d + 2 * S * d)
    return {"channels": front + cross + over_queries, "time": mixing}


def make(model: str) -> Any:
    """An encoder, with attention over time in one of the two forms."""
    import torch

    from tsrec.layers.attention import AttentionLayer
    from tsrec.layers.lumamba import LuMamba

    class OverTime(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            options = {"dropout": 0.0, "generator": torch.Generator().manual_seed(0)}
            self.layers = torch.nn.ModuleList(AttentionLayer(QUERIES * WIDTH, 6, **options) for _ in range(LAYERS))

        def forward(self, x: torch.Tensor, **_: Any) -> tuple[torch.Tensor, None]:
            for layer in self.layers:
                x = layer(x)
            return x, None

    encoder = LuMamba()
    if model == "transformer":
        encoder.mixer = OverTime()
    return encoder.eval()


def measure(model: str, seconds: float, what: str) -> None:
    """Print parameters, and seconds or memory of one answer."""
    import torch

    torch.set_num_threads(1)
    encoder = make(model)
    x, points = torch.randn(1, int(seconds * RATE), CHANNELS), torch.rand(1, CHANNELS, 3)
    with torch.inference_mode():
        encoder(x[:, : 10 * PATCH], points)
        if what == "memory":
            forget_peak()
            before = memory("VmRSS")
            encoder(x, points)
            found = {"MiB": round(1024 * (memory("VmHWM") - before), 1)}
        else:
            times = []
            for _ in range(5):
                began = time.perf_counter()
                encoder(x, points)
                times.append(time.perf_counter() - began)
            found = {"seconds": round(sorted(times)[2], 4)}
    print(json.dumps({"parameters": sum(p.numel() for p in encoder.parameters()), **found}))


def main() -> None:
    """Measure each case in processes of its own."""
    if len(sys.argv) > 1:
        measure(sys.argv[1], float(sys.argv[2]), sys.argv[3])
        return
    rows = []
    for seconds in SECONDS:
        for model in MODELS:
            parts = multiply_adds(model, seconds)
            row = {"window": seconds, "model": model, "GFLOP": round(2 * sum(parts.values()) / 1e9, 3)}
            row["GFLOP over time"] = round(2 * parts["time"] / 1e9, 3)
            for what in ("time", "memory"):
                asked = [sys.executable, __file__, model, str(seconds), what]
                answer = subprocess.run(asked, stdout=subprocess.PIPE, text=True, check=True)
                row |= json.loads(answer.stdout.strip().splitlines()[-1])
            rows.append(row)
            print(row, flush=True)
    write(RESULTS, json.dumps({**surroundings(None, 1), "results": rows}, indent=1) + "\n")
    head = list(rows[0])
    print(markdown(head, [[str(row[key]) for key in head] for row in rows]))


if __name__ == "__main__":
    main()
