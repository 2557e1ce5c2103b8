"""How the time and the memory of a fitting step grow with the batch, the filters, the maps, the fully connected layers
and the images: a table, a model of it, what the model says of sizes it was not fitted to, and a plot.

    python benches/peer/growth.py --threads 2 --plot docs/growth.svg

needs numpy and matplotlib; nothing else should run beside it. Times are those of the fastest step.
"""

import argparse

import matplotlib
import matplotlib.pyplot
import numpy

from compare import built, operations, run

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "growth"

BASE = {"batch": 32, "channels": 256, "length": 14, "upper": 1024, "batches": 1}
GROWN = {
    "batch": (4, 8, 16, 32, 64, 128),
    "channels": (32, 64, 128, 256, 512),
    "length": (8, 14, 20, 28),
    "upper": (128, 512, 1024, 2048, 4096),
    "batches": (1, 4, 16),
}
# What the model is asked about and is not fitted to.
ASKED = {
    "VGG-16": {**BASE, "channels": 512, "upper": 4096},
    "VGG-16, batches of 8": {**BASE, "channels": 512, "upper": 4096, "batch": 8},
    "narrow VGG-16": {**BASE, "channels": 64, "length": 8, "upper": 128},
}
NAMES = {
    "batch": "batch",
    "channels": "filters",
    "length": "side of the maps",
    "upper": "width of fc-dec",
    "batches": "batches of images",
}
TIME = ("GFLOP of convs", "GFLOP of FC layers", "M weights", "M numbers of maps", "once")
MEMORY = ("M weights", "M numbers of maps", "M numbers of cached features", "once")


def counts(size):
    """What the model counts, operations by the direct algorithm."""
    batch, channels, length, upper = (size[name] for name in ("batch", "channels", "length", "upper"))
    pooled = length // 2
    convs, fully = operations(batch, channels, length, pooled, upper)
    inputs = channels * pooled**2
    return {
        "GFLOP of convs": convs,
        "GFLOP of FC layers": fully,
        "M weights": 1e-6 * (inputs * upper + upper**2 + 3 * 9 * channels**2),
        "M numbers of maps": 1e-6 * batch * channels * length**2,
        "M numbers of cached features": 1e-6 * batch * size["batches"] * (channels * length**2 + 2 * upper),
        "once": 1.0,
    }


def measured(program, size, threads, steps):
    flags = [word for name, value in size.items() for word in (f"--{name}", value)]
    result = run([program, "--network", "vgg16", "--threads", threads, "--steps", steps, *flags])
    return min(result["seconds"]), result["peak_rss_mib"]


def fitted(sizes, names, values):
    """A coefficient for each name, by least squared relative error; those that would be below 0 are 0."""
    rows, values = numpy.array([[counts(size)[name] for name in names] for size in sizes]), numpy.array(values)
    kept = list(range(rows.shape[1]))
    while True:
        scaled = rows[:, kept] / values[:, None]
        found = numpy.linalg.lstsq(scaled, numpy.ones(len(values)), rcond=None)[0]
        if found.min() >= 0:
            coefficients = numpy.zeros(rows.shape[1])
            coefficients[kept] = found
            return coefficients
        del kept[int(found.argmin())]


def row(found, by_model):
    (seconds, mib), (predicted_seconds, predicted_mib) = found, by_model
    return f"{1e3 * seconds:.1f} | {1e3 * predicted_seconds:.1f} | {mib:.0f} | {predicted_mib:.0f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--plot", help="an SVG file")
    args = parser.parse_args()
    program = built()
    found = {}
    for name, values in GROWN.items():
        for value in values:
            size = {**BASE, name: value}
            key = tuple(size.items())
            if key not in found:
                found[key] = measured(program, size, args.threads, args.steps)
                print(size, f"{1e3 * found[key][0]:.1f} ms, {found[key][1]:.0f} MiB", flush=True)
    sizes = [dict(key) for key in found]
    seconds, mib = zip(*found.values())
    time, memory = fitted(sizes, TIME, seconds), fitted(sizes, MEMORY, mib)
    print("\nms a step: " + ", ".join(f"{1e3 * c:.3f} {name}" for c, name in zip(time, TIME)))
    print("MiB: " + ", ".join(f"{c:.2f} {name}" for c, name in zip(memory, MEMORY)))

    def predicted(size):
        return [sum(c * counts(size)[name] for c, name in zip(*model)) for model in ((time, TIME), (memory, MEMORY))]

    print("\n| | value | ms a step | by the model | MiB | by the model |\n|---|---|---|---|---|---|")
    for name, values in GROWN.items():
        for value in values:
            size = {**BASE, name: value}
            print(f"| {NAMES[name]} | {value} | {row(found[tuple(size.items())], predicted(size))} |")
    for name, size in ASKED.items():
        print(f"| {name} | | {row(measured(program, size, args.threads, args.steps), predicted(size))} |")

    if args.plot:
        figure, axes = matplotlib.pyplot.subplots(2, len(GROWN), figsize=(3 * len(GROWN), 5), constrained_layout=True)
        for column, (name, values) in zip(axes.T, GROWN.items()):
            own = [found[tuple({**BASE, name: value}.items())] for value in values]
            model = [predicted({**BASE, name: value}) for value in values]
            for axis, index, factor, label in ((column[0], 0, 1e3, "ms a step"), (column[1], 1, 1, "peak MiB")):
                axis.plot(values, [factor * row[index] for row in model], color="0.6", label="model")
                axis.plot(values, [factor * row[index] for row in own], "o", color="black", label="measured")
                axis.set(xscale="log", yscale="log", xlabel=NAMES[name], ylabel=label)
                axis.set_xticks(values, list(map(str, values)), minor=False)
                axis.minorticks_off()
        axes[0][0].legend()
        figure.savefig(args.plot, metadata={"Date": None})


if __name__ == "__main__":
    main()
