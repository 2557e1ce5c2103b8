"""The fitting step of an explainer in PyTorch, from what main.rs wrote: times and losses as JSON; or, with
--forward, the forward pass of a performer with random weights; with --conv, a conv-layer with its ReLU forwards and
backwards.

The gradient of the filter loss is added where it acts, by a hook on the maps; all else is autograd. Batch of
one category, so that every image is a member of every filter.
"""

import argparse
import json
import math
import resource
import time
from pathlib import Path

import numpy
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

# FitConfig's defaults.
PUSH = (0.3, 10.0)
TRACE, BETA, WINDOW, READING = 0.7, 4.0, 0.4, 6.0
MOMENTUM, LEAST_ALPHA = 0.1, 0.01
RATES = {
    "interpretable.layers": 3e-7,
    "ordinary.convs": 2e-5,
    "decoder.layers.0.weight": 3e-4,
    "decoder": 1e-4,
    "share_logit": 1e-2,
}


def templates(n):
    """T/τ: n² positive templates, then the negative one, [n² + 1, n²]."""
    at = torch.arange(n)
    rows, columns = (grid.flatten() for grid in torch.meshgrid(at, at, indexing="ij"))
    distance = (rows[:, None] - rows).abs() + (columns[:, None] - columns).abs()
    positive = (1 - BETA * distance / n).clamp_min(-1)
    return torch.cat([positive, -torch.ones(1, n * n)])


def median(values):
    """The middle of what lies between the halves of each row's sum."""
    sums = values.cumsum(1)
    half = sums[:, -1:] / 2
    first, last = (sums < half).sum(1), (sums <= half).sum(1).clamp_max(sums.shape[1] - 1)
    return (first + last) // 2


class Windows:
    """Star windows: for what is carried, and for what is read."""

    def __init__(self, n, offsets, votes, direction, middle):
        self.n, self.side = n, 3 * n - 2
        self.votes, self.direction, self.middle = votes, direction, middle
        offsets = offsets.long()
        self.anchors = offsets[..., 0] * self.side + offsets[..., 1]
        centers = torch.arange(self.side) - (n - 1)
        along = (centers[:, None] - torch.arange(n)).abs()
        distance = along[:, None, :, None] + along[None, :, None, :]
        self.tables = [
            (1 - beta * distance / length).clamp_min(0).reshape(self.side**2, n * n)
            for beta, length in ((WINDOW, n), (READING, max(n, 12)))
        ]

    @torch.no_grad()
    def __call__(self, maps):
        votes = (maps * self.votes).sum(1)
        row, column = median(votes.sum(2)), median(votes.sum(1))
        places = (row + self.n - 1) * self.side + column + self.n - 1
        facing = ((maps * self.direction).sum((1, 2, 3)) > self.middle).long()
        centers = places[:, None] + self.anchors[facing]
        return [table[centers].reshape(maps.shape) for table in self.tables]


class FilterLoss:
    """Released gradient, of members, on maps of mean energy."""

    def __init__(self, n):
        self.templates = templates(n)

    def __call__(self, maps):
        batch, filters, n, _ = maps.shape
        x = maps.reshape(batch, filters, n * n)
        size = (x.square().sum((0, 2), keepdim=True) / batch).sqrt()
        live = (size > 0).float()
        inverse = live / (size + (1 - live))
        x = x * inverse
        traces = TRACE * (x @ self.templates.T)
        conditional = traces - (torch.logsumexp(traces, 0) - math.log(batch))
        marginal = torch.logsumexp(conditional, 2, keepdim=True) - math.log(n * n + 1)
        information = (conditional.exp() * (conditional - marginal)).mean((0, 2))

        target = x.argmax(2, keepdim=True)
        exponents = traces.gather(2, target)
        ratio = exponents - (torch.logsumexp(exponents, 0) - math.log(batch))
        strengths = ratio.exp() * (ratio + 1)
        gradient = -strengths / strengths.mean(0) * self.templates[target[..., 0]]

        along = (gradient * x).sum((0, 2), keepdim=True) / batch
        return -information.mean(), ((gradient - along * x) * inverse).reshape(maps.shape)


class Explainer(torch.nn.Module):
    def __init__(self, state, length, pool):
        super().__init__()
        windows = "interpretable.layers.1.windows."
        names = ("offsets", "votes", "direction", "middle")
        self.windows = Windows(length, *(state.pop(windows + name) for name in names))
        self.weights = torch.nn.ParameterDict({name.replace(".", "/"): value for name, value in state.items()})
        self.pool = pool
        self.loss = FilterLoss(length)
        self.information = [None, None]
        self.masses = {}

    def weight(self, name):
        return self.weights[name.replace(".", "/")]

    def conv(self, x, name):
        return F.relu(F.conv2d(x, self.weight(name + ".weight"), self.weight(name + ".bias"), padding=1))

    def linear(self, x, name):
        return F.relu(F.linear(x, self.weight(name + ".weight"), self.weight(name + ".bias")))

    def pushed(self, maps, layer, window=1):
        """Adds the gradient of the filter loss on what `window` leaves where the gradient of all else arrives."""

        def push(arriving):
            with torch.no_grad():
                active = (maps > 0).float()
                value, gradient = self.loss(maps * window)
                gradient = gradient * window * active
                scale = PUSH[layer] * (arriving * active).norm() / gradient.norm()
                self.information[layer] = value
                return arriving + scale * gradient

        maps.register_hook(push)
        return maps

    def pooled(self, maps, track):
        pooled = F.max_pool2d(maps, *self.pool)
        self.masses[track] = pooled.detach().clamp_min(0).sum((0, 2, 3)) / len(pooled)
        return pooled / self.weight(track + "_norm.alpha")[:, None, None]

    def follow(self):
        """Moves the norm-layers' α towards the masses of the batch."""
        with torch.no_grad():
            for track, mass in self.masses.items():
                alpha = self.weight(track + "_norm.alpha")
                alpha.lerp_(mass, MOMENTUM)
                alpha.clamp_min_(LEAST_ALPHA * alpha.mean())

    def forward(self, target):
        first = self.pushed(self.conv(target, "interpretable.layers.0.conv"), 0)
        second = self.conv(first, "interpretable.layers.1.conv")
        carried, read = self.windows(second)
        parts = self.pushed(second, 1, read) * carried
        ordinary = self.conv(target, "ordinary.convs.0") * (1 - carried)
        share = torch.sigmoid(self.weight("share_logit"))
        encoded = share * self.pooled(parts, "interpretable") + (1 - share) * self.pooled(ordinary, "ordinary")
        fc1 = self.linear(encoded.flatten(1), "decoder.layers.0")
        return [fc1, self.linear(fc1, "decoder.layers.1")]


def start(folder, batch, pool):
    """The explainer and the features, and the network's sizes, from the folder."""
    dtype = torch.get_default_dtype()
    state = {name: value.to(dtype) for name, value in load_file(folder / "explainer.safetensors").items()}
    for name in state:
        if name.startswith("decoder") and name.endswith("weight"):
            state[name] = state[name].T.contiguous()
    features = [
        torch.from_numpy(numpy.fromfile(folder / f"features-{index}.f32", dtype="<f4").reshape(batch, -1)).to(dtype)
        for index in range(3)
    ]
    channels = state["interpretable.layers.0.conv.weight"].shape[1]
    length = math.isqrt(features[0].shape[1] // channels)
    features[0] = features[0].reshape(batch, channels, length, length)
    explainer = Explainer(state, length, pool)
    for name, parameter in explainer.weights.items():
        parameter.requires_grad_(not name.endswith("alpha"))
    return explainer, features


def groups(explainer):
    found = {}
    for name, parameter in explainer.weights.items():
        if parameter.requires_grad:
            name = name.replace("/", ".")
            prefix = next(prefix for prefix in RATES if name.startswith(prefix))
            found.setdefault(prefix, []).append(parameter)
    return [{"params": parameters, "lr": RATES[prefix]} for prefix, parameters in found.items()]


# Side of the images, rows of `features` (channels, kernel, stride and padding of a conv-layer with its ReLU, or
# kernel and stride of a pool), outputs of the FC layers.
NETWORKS = {
    "narrow": (
        128,
        [row for width, convs in ((8, 2), (16, 2), (32, 3), (64, 3), (64, 3))
         for row in [(width, 3, 1, 1)] * convs + [(2, 2)]],
        (128, 128, 2),
    ),
    "alexnet": (
        224,
        [(64, 11, 4, 2), (3, 2), (192, 5, 1, 2), (3, 2), (384, 3, 1, 1), (256, 3, 1, 1), (256, 3, 1, 1), (3, 2)],
        (4096, 4096, 1000),
    ),
    "vgg16": (
        224,
        [row for width, convs in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
         for row in [(width, 3, 1, 1)] * convs + [(2, 2)]],
        (4096, 4096, 1000),
    ),
}


def performer(name):
    side, rows, widths = NETWORKS[name]
    layers, channels = [], 3
    for row in rows:
        if len(row) == 2:
            layers.append(torch.nn.MaxPool2d(*row))
            side = (side - row[0]) // row[1] + 1
        else:
            width, kernel, stride, padding = row
            layers += [torch.nn.Conv2d(channels, width, kernel, stride, padding), torch.nn.ReLU(inplace=True)]
            side, channels = (side + 2 * padding - kernel) // stride + 1, width
    layers.append(torch.nn.Flatten())
    inputs = channels * side**2
    for width in widths:
        layers += [torch.nn.Linear(inputs, width), torch.nn.ReLU(inplace=True)]
        inputs = width
    return torch.nn.Sequential(*layers[:-1]).eval()


def forward(args):
    network, side = performer(args.network), NETWORKS[args.network][0]
    images = torch.rand(args.batch, 3, side, side)
    if args.channels_last:
        network.to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
    seconds = []
    with torch.inference_mode():
        for _ in range(args.steps):
            started = time.perf_counter()
            network(images)
            seconds.append(time.perf_counter() - started)
    return seconds


# Channels and side of the maps of an explainer's conv-layers.
CONVS = {"narrow": (64, 8), "alexnet": (256, 13), "vgg16": (512, 14)}


def conv(args):
    channels, side = CONVS[args.network]
    layout = torch.channels_last if args.channels_last else torch.contiguous_format
    drawn = lambda *shape: torch.randn(shape).to(memory_format=layout)
    maps, gradient = (drawn(args.batch, channels, side, side) for _ in range(2))
    weight, bias = drawn(channels, channels, 3, 3), torch.zeros(channels)
    maps.requires_grad_(), weight.requires_grad_()
    seconds = []
    for _ in range(args.steps):
        started = time.perf_counter()
        F.relu(F.conv2d(maps, weight, bias, padding=1)).backward(gradient)
        seconds.append(time.perf_counter() - started)
        maps.grad = weight.grad = None
    return seconds


def gemm():
    side = 2048
    a, b = torch.rand(side, side), torch.rand(side, side)
    best = math.inf
    for _ in range(5):
        started = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - started)
    return 2e-9 * side**3 / best


def peak_rss_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--network", choices=NETWORKS, required=True)
    parser.add_argument("--forward", action="store_true")
    parser.add_argument("--conv", action="store_true")
    parser.add_argument("--start", type=Path)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--pool", type=int, nargs=2)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--double", action="store_true", help="in f64, for the losses")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.double:
        torch.set_default_dtype(torch.float64)
    rate = gemm()
    if args.forward or args.conv:
        seconds = conv(args) if args.conv else forward(args)
        print(json.dumps({"seconds": seconds, "gemm": rate, "peak_rss_mib": peak_rss_mib()}))
        return
    explainer, (target, *upper) = start(args.start, args.batch, args.pool)
    if args.channels_last:
        target = target.to(memory_format=torch.channels_last)
        explainer.to(memory_format=torch.channels_last)
    weights = [args.batch / theirs.square().sum() for theirs in upper]
    optimizer = torch.optim.Adam(groups(explainer), betas=(0.9, 0.999), eps=1e-8, fused=True)
    seconds, losses = [], []
    for _ in range(args.steps):
        started = time.perf_counter()
        optimizer.zero_grad()
        own = explainer(target)
        terms = [
            weight * (own - theirs).square().sum() / args.batch
            for own, theirs, weight in zip(own, upper, weights)
        ]
        sum(terms).backward()
        optimizer.step()
        explainer.follow()
        terms = [term.item() for term in terms]
        seconds.append(time.perf_counter() - started)
        losses.append({
            "reconstruction": terms,
            "share": torch.sigmoid(explainer.weight("share_logit")).item(),
            "filter": [value.item() for value in explainer.information],
        })
    print(json.dumps({"seconds": seconds, "losses": losses, "gemm": rate, "peak_rss_mib": peak_rss_mib()}))


if __name__ == "__main__":
    main()
