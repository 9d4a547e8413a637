"""Trains the network of the method ch_mwcnn and writes its weights, with a card that says how they were made.

A program draws new objects, plates, flaws and noise for each example. The same seed, number of steps and versions of the
libraries give the same weights on one thread. It sees no object that a benchmark reports on, and is judged on objects of
another seed.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from analysis.ghost.wavelet_network import WaveletNetwork
from analysis.ghost.weights import SHIPPED, load_weights, save_weights
from training.examples import Examples, make_examples

SIZES = (32, 64)
SHARES = (0.65, 0.35)
BATCH = 16
PLATES, EACH, PASSES = 4, 128, 3
"""Examples are made for so many plates at a time, so many behind each, and shown so often."""

LEARNING_RATE = 1e-3
SPREAD_WEIGHT = 0.1
_VALIDATION = 1_000_003  # of other seeds than training
JUDGED_PLATES = 20


def main() -> None:
    """Train, judge and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=SHIPPED, help="NPZ file to write (default: the weights that ship)")
    parser.add_argument("--start", type=Path, help="NPZ file of weights to go on from, at half the rate (default: new weights)")
    parser.add_argument("--steps", type=int, default=12000, help=f"training steps of {BATCH} examples (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of objects, plates, noise and first weights (default: %(default)s)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    started = time.process_time()
    network, rate, before = new_network(arguments.seed), LEARNING_RATE, None
    if arguments.start is not None:
        start, _ = load_weights(arguments.start)
        network.load_state_dict({name: torch.from_numpy(array) for name, array in start.items()})
        rate, before = LEARNING_RATE / 2, json.loads(arguments.start.with_suffix(".json").read_text(encoding="utf-8"))
    train(network, arguments.steps, rate, np.random.default_rng(arguments.seed))
    arrays = {name: value.numpy() for name, value in network.state_dict().items()}
    # what is judged is what is written: weights in half precision
    network.load_state_dict({name: torch.from_numpy(array.astype(np.float16)) for name, array in arrays.items()})
    card = {
        "method": "ch_mwcnn",
        "steps": arguments.steps,
        "seed": arguments.seed,
        "started_from": before,
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
        "cpu_s": round(time.process_time() - started),
        "judged": judged(network, arguments.seed + _VALIDATION),
    }
    sha256 = save_weights(arguments.out, arrays, card)
    tqdm.write(f"{arguments.out}: {sha256}\n{card['judged']}")


def train(network: WaveletNetwork, steps: int, learning_rate: float, rng: np.random.Generator) -> None:
    """Train a network for so many steps, with a learning rate that rises to the given one and falls to nearly 0."""
    network.to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, total_steps=steps, pct_start=0.1)
    source = batches(rng)
    told = tqdm(range(steps), mininterval=5.0)
    recent = 0.0
    for _ in told:
        batch = next(source)
        # the order of channels and the short numbers make it 1.6 times as fast
        with torch.autocast("cpu", torch.bfloat16):
            images, spreads = network(batch.inputs)
        # the logarithm makes a clean image count as much as a noisy one: else noisy ones alone decide, and all get smoothed
        loss = (relative_errors(images, batch) + 1e-3).log().mean()
        likely = unlikelihood(spreads, (images - batch.targets).detach(), batch)
        optimiser.zero_grad()
        (loss + SPREAD_WEIGHT * likely).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        recent += 0.01 * (float(loss.detach()) - recent)
        told.set_postfix(loss=f"{recent:.3f}", refresh=False)


def new_network(seed: int) -> WaveletNetwork:
    """Return a network with first weights of a seed, that changes its input hardly at all."""
    network = WaveletNetwork()
    generator = torch.Generator().manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight, a=0.1, generator=generator)
            torch.nn.init.zeros_(layer.bias)
    for block in network.up:
        block[-1].weight.data *= 0.1
    return network


def unlikelihood(spreads: torch.Tensor, errors: torch.Tensor, examples: Examples) -> torch.Tensor:
    """Return the mean of minus the logarithm of the likelihood of normal errors with these standard errors."""
    known = ~examples.shuffled
    return (spreads[known].log() + 0.5 * (errors[known] / spreads[known]).square()).mean()


def relative_errors(images: torch.Tensor, examples: Examples) -> torch.Tensor:
    """Return the squared error of each image, (B,), over the variance of the object and a tenth of that of the input.

    The tenth is for objects that drown in noise, or whose buckets were shuffled: it says what there may remain of the noise.
    """
    errors = (images - examples.targets).square().mean(dim=(1, 2))
    return errors / (examples.targets.square().mean(dim=(1, 2)) + 0.1)


def batches(rng: np.random.Generator) -> Iterator[Examples]:
    """Yield batches of one size each, for ever."""
    while True:
        made = [make_examples(int(rng.choice(SIZES, p=SHARES)), EACH, rng) for _ in range(PLATES)]
        groups = []
        for size in SIZES:
            of_size = [one for one in made if one.inputs.shape[-1] == size]
            if not of_size:
                continue
            joined = Examples.join(of_size)
            for _ in range(PASSES):
                order = rng.permutation(EACH * len(of_size)).reshape(-1, BATCH)
                groups += [joined.part(chosen) for chosen in order]
        for index in rng.permutation(len(groups)):
            yield groups[index]


def judged(network: WaveletNetwork, seed: int) -> dict[str, dict[str, float]]:
    """Return, for each size, median relative errors of the network and of its least-squares input, and the spread's coverage.

    The coverage is the part of the true errors that lies within the 90 % interval of the spread.
    """
    found = {}
    for size in SIZES:
        rng = np.random.default_rng((seed, size))
        after, before, covered = [], [], []
        for _ in range(JUDGED_PLATES):
            examples = make_examples(size, EACH, rng)
            with torch.no_grad():
                images, spreads = network(examples.inputs)
            after.append(relative_errors(images, examples))
            before.append(relative_errors(examples.inputs[:, 1], examples))
            inside = (images - examples.targets).abs() <= 1.645 * spreads
            covered.append(inside[~examples.shuffled].float().mean())
        quantities = {"network": after, "least_squares": before}
        found[str(size)] = {name: round(float(torch.cat(errors).median()), 4) for name, errors in quantities.items()}
        found[str(size)]["coverage"] = round(float(torch.stack(covered).mean()), 3)
    return found


if __name__ == "__main__":
    main()
