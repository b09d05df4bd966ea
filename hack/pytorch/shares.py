#!/usr/bin/python3
"""Trains the network of model/callgraph/shares/neural in PyTorch and holds it against ours: the same series, inputs, folds and epochs.

Needs Go, Debian 12's python3-torch (1.13.1) and the artefact's shares:  apt-get install python3-torch
Run from anywhere:  hack/pytorch/shares.py graph-shares.csv.gz [folds] [folds to train] [seeds]

Each fold's error is of the same series on both sides. Weights begin as PyTorch has them, and examples come in another order,
so errors differ as those of seeds do: both are trained with several, two unless told otherwise. Both have one thread. Times are of the processor;
ours holds reading and predicting too.
"""
import csv
import gzip
import json
import math
import os
import resource
import subprocess
import sys
import time

import torch

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
WINDOW, CELLS, BATCH, EPOCHS, RATE = 10, 64, 100, 30, 1e-3


def read(path):
    series = {}
    with gzip.open(path, "rt") as f:
        for row in csv.DictReader(f):
            series.setdefault(row["segment"], []).append([float(v) for k, v in row.items() if k not in ("segment", "step")])
    return [[[v / sum(r) for v in r] for r in rows] for rows in series.values()]


def examples(series):
    x, y = [], []
    for rows in series:
        steps, last, since = [], None, 0
        for r in rows:
            d = [0.0] * len(r) if last is None else [a - b for a, b in zip(r, last)]
            since = 0 if max(map(abs, d)) > 1e-3 else since + 1
            steps.append(r + d + [math.log1p(since) / 5])
            last = r
        for t in range(len(rows) - 1):
            x.append([steps[max(t - WINDOW + 1 + k, 0)] for k in range(WINDOW)])
            y.append(rows[t + 1])
    return torch.tensor(x), torch.tensor(y)


class Net(torch.nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.lstm = torch.nn.LSTM(2 * classes + 1, CELLS, 2, batch_first=True)
        self.query, self.head = torch.nn.Linear(CELLS, CELLS), torch.nn.Linear(CELLS, classes)

    def forward(self, x):
        h, _ = self.lstm(x)
        alpha = torch.softmax((h @ self.query(h[:, -1]).unsqueeze(2)).squeeze(2), 1)
        return torch.softmax(self.head((alpha.unsqueeze(2) * h).sum(1)), 1)


def train(pool, test, seed):
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    x, y = examples(pool)
    net = Net(y.shape[1])
    opt = torch.optim.Adam(net.parameters(), lr=RATE)
    began = time.process_time()
    for _ in range(EPOCHS):
        order = torch.randperm(len(x))
        for at in range(0, len(x), BATCH):
            some = order[at:at + BATCH]
            opt.zero_grad(set_to_none=True)
            torch.nn.functional.mse_loss(net(x[some]), y[some]).backward()
            opt.step()
    took = time.process_time() - began
    x, y = examples(test)
    with torch.no_grad():
        return ((net(x) - y) ** 2).mean().item(), ((x[:, -1, :y.shape[1]] - y) ** 2).mean().item(), took


def write(path, series):
    with gzip.open(path, "wt") as f:
        f.write("segment,step," + ",".join(f"p{i}" for i in range(len(series[0][0]))) + "\n")
        for i, rows in enumerate(series):
            for t, r in enumerate(rows):
                f.write(f"{i},{t}," + ",".join(repr(v) for v in r) + "\n")


def ours(binary, pool, test, seed):
    a, b = (os.path.join(os.environ.get("TMPDIR", "/tmp"), f"foresail-shares-{os.getpid()}-{n}.csv.gz") for n in ("pool", "test"))
    try:
        write(a, pool)
        write(b, test)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        out = subprocess.run([binary, "callgraph", "evaluate", "--data", b, "--train", a, "--method", "lstm", "--seed", str(seed), "--json"],
                             check=True, capture_output=True, text=True, env=dict(os.environ, GOMAXPROCS="1")).stdout
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    finally:
        for path in (a, b):
            if os.path.exists(path):
                os.remove(path)
    return json.loads(out)["rows"][0]["mse"], after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    series = read(sys.argv[1])
    folds, some, seeds = (int(sys.argv[i]) if len(sys.argv) > i else n for i, n in ((2, 7), (3, 1), (4, 2)))
    binary = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"foresail-shares-{os.getpid()}")
    subprocess.run(["go", "build", "-o", binary, "./cmd/foresail"], cwd=ROOT, check=True)
    try:
        for fold in range(min(folds, some)):
            pool, test = [s for i, s in enumerate(series) if i % folds != fold], series[fold::folds]
            here = [ours(binary, pool, test, seed) for seed in range(1, seeds + 1)]
            there = [train(pool, test, seed) for seed in range(1, seeds + 1)]
            print(f"fold {fold + 1}, mean square error {', '.join(f'{e:.4g}' for e, _ in here)} here, {', '.join(f'{e:.4g}' for e, _, _ in there)} in PyTorch "
                  f"{torch.__version__}, {there[0][1]:.4g} of the last value; trained in {min(t for _, t in here):.0f} s of CPU here, "
                  f"{min(t for _, _, t in there):.0f} s in PyTorch", flush=True)
    finally:
        os.remove(binary)


if __name__ == "__main__":
    main()
