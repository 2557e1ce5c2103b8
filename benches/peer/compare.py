"""Runs the fitting step of this library and of PyTorch in turn, and prints their ratios; with --forward the
forward pass of a performer; with --conv a conv-layer of the explainer forwards and backwards; with --losses how far
the losses of a fit in this library, in both of PyTorch's layouts and in PyTorch's `f64` are from one another.

    python benches/peer/compare.py --network vgg16 --batch 32 --threads 2
    python benches/peer/compare.py --network alexnet --batch 32 --threads 2 --forward
    python benches/peer/compare.py --network vgg16 --batch 32 --threads 2 --conv
    python benches/peer/compare.py --network narrow --steps 100 --losses

needs torch, numpy and safetensors (`pip install torch numpy safetensors`); nothing else should run beside it.
Times are medians of the steps of a process without its first two; the spread is over rounds.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
POOL = {"narrow": (2, 2), "alexnet": (3, 2), "vgg16": (2, 2)}
# Channels of the convs, side of the maps, side of the pooled maps, outputs of the FC layers.
SIZES = {"narrow": (64, 8, 4, 128), "alexnet": (256, 13, 6, 1024), "vgg16": (512, 14, 7, 4096)}
WARM_UP = 2


def built():
    """The Rust side, built."""
    command = ["cargo", "bench", "--bench", "peer", "--no-run", "--message-format=json"]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=HERE).stdout.splitlines()
    messages = [json.loads(line) for line in lines]
    return next(
        message["executable"]
        for message in messages
        if message.get("reason") == "compiler-artifact" and message["target"]["name"] == "peer"
    )


def run(command):
    # As `cargo run` has it; PyTorch does not look at it.
    environment = {**os.environ, "MIMALLOC_PURGE_DELAY": "-1"}
    done = subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, env=environment)
    return json.loads(done.stdout)


def operations(batch, channels, side, pooled, width):
    """GFLOP of the convs and of the FC layers of a step by the direct algorithm: every product forwards, for its
    weights, and for its inputs where something is fitted below."""
    conv = 2 * batch * side**2 * 9 * channels**2
    fully = 2 * batch * (pooled**2 * channels * width + width**2)
    return 1e-9 * (2 * 2 * conv + 3 * conv), 1e-9 * 3 * fully


def gflop(network, batch, conv_only):
    """Those of a step, or of a conv-layer both ways, three of the seven products."""
    convs, fully = operations(batch, *SIZES[network])
    return convs * 3 / 7 if conv_only else convs + fully


LOSSES = ("reconstruction", "filter")


def largest_difference(ours, theirs, keys=LOSSES):
    """The largest relative difference of any of these losses at any step."""
    pairs = [
        (a, b)
        for ours, theirs in zip(ours, theirs)
        for key in keys
        for a, b in zip(ours[key], theirs[key])
    ]
    return max(abs(a - b) / abs(b) for a, b in pairs)


def compare_losses(ours, theirs, steps):
    """How far rounding carries the losses of one fit, by who rounds."""
    commands = {
        "ours": ours,
        "PyTorch, channels first": theirs,
        "PyTorch, channels last": [*theirs, "--channels-last"],
        "PyTorch in f64": [*theirs, "--double"],
    }
    losses = {name: run(command)["losses"] for name, command in commands.items()}
    marks = [mark for mark in (1, 6, 10, 20, 50) if mark < steps] + [steps]
    for key in LOSSES:
        print(f"{key}: largest relative difference after steps {', '.join(map(str, marks))}")
        for name, other in itertools.combinations(losses, 2):
            pair = losses[name], losses[other]
            found = [f"{largest_difference(*(half[:mark] for half in pair), [key]):.1e}" for mark in marks]
            print(f"  {name} and {other}: {', '.join(found)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", choices=POOL, default="vgg16")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--forward", action="store_true")
    parser.add_argument("--conv", action="store_true")
    parser.add_argument("--losses", action="store_true")
    args = parser.parse_args()
    program = built()
    common = ["--network", args.network, "--batch", args.batch, "--steps", args.steps, "--threads", args.threads]
    common += ["--forward"] if args.forward else []
    common += ["--conv"] if args.conv else []
    ratios, best, peaks, rates = [], {}, {}, {}
    with tempfile.TemporaryDirectory() as folder:
        ours = [program, "--start", folder, *common]
        theirs = [sys.executable, HERE / "peer.py", "--start", folder, "--pool", *POOL[args.network], *common]
        run(ours)
        if args.losses:
            return compare_losses(ours, theirs, args.steps)
        layouts = [theirs, [*theirs, "--channels-last"]]
        time = lambda result: statistics.median(result["seconds"][WARM_UP:])
        # PyTorch in the layout that suits it better.
        theirs = min(layouts, key=lambda command: time(run(command)))
        print("PyTorch's layout:", "channels last" if theirs is layouts[1] else "channels first")
        for index in range(args.rounds):
            results = {"ours": run(ours), "PyTorch": run(theirs)}
            times = {name: time(result) for name, result in results.items()}
            ratios.append(times["PyTorch"] / times["ours"])
            for name, result in results.items():
                best[name] = min(best.get(name, times[name]), times[name])
                peaks[name] = max(peaks.get(name, 0), result["peak_rss_mib"])
                rates[name] = max(rates.get(name, 0), result["gemm"])
            print(f"round {index + 1}: " + ", ".join(f"{name} {1e3 * time:.1f} ms" for name, time in times.items()))
    print(f"PyTorch's time / ours: median {statistics.median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}")
    if args.forward:
        for name, time in best.items():
            print(f"{name}: {args.batch / time:.1f} images a second; peak {peaks[name]:.0f} MiB")
        return
    work = gflop(args.network, args.batch, args.conv)
    for name, time in best.items():
        share = work / time / rates[name]
        print(
            f"{name}: {1e3 * time:.1f} ms, {work / time:.0f} GFLOP/s of the direct algorithm, {100 * share:.0f} % of "
            f"its own GEMM's {rates[name]:.0f}; peak {peaks[name]:.0f} MiB"
        )
    if args.conv:
        return
    difference = largest_difference(results["ours"]["losses"], results["PyTorch"]["losses"])
    print(f"largest relative difference of a loss over {args.steps} steps: {difference:.1e}")


if __name__ == "__main__":
    main()
