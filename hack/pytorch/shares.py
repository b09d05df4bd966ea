#!/usr/bin/python3
"""Trains the network of model/callgraph/shares/neural in PyTorch and holds it against ours: the same series, inputs, folds and epochs.

Needs Go, Debian 12's python3-torch (1.13.1) and the artefact's shares:  apt-get install python3-torch
Run from anywhere:  hack/pytorch/shares.py graph-shares.csv.gz [folds] [folds to train]

Each fold's error is of the same series on both sides. Weights begin as PyTorch has them, and examples come in another order,
so errors differ as those of two seeds do: ours is trained with two, to show by how much. PyTorch has the better of one thread and two.
"""
import csv
import gzip
import json
import math
import os
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


def train(pool, test, threads):
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    x, y = examples(pool)
    net = Net(y.shape[1])
    opt = torch.optim.Adam(net.parameters(), lr=RATE)
    began = time.perf_counter()
    for _ in range(EPOCHS):
        order = torch.randperm(len(x))
        for at in range(0, len(x), BATCH):
            some = order[at:at + BATCH]
            opt.zero_grad(set_to_none=True)
            torch.nn.functional.mse_loss(net(x[some]), y[some]).backward()
            opt.step()
    took = time.perf_counter() - began
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
        out = subprocess.run([binary, "callgraph", "evaluate", "--data", b, "--train", a, "--method", "lstm", "--seed", str(seed), "--json"],
                             check=True, capture_output=True, text=True).stdout
    finally:
        for path in (a, b):
            if os.path.exists(path):
                os.remove(path)
    row = json.loads(out)["rows"][0]
    return row["mse"], row["train_s"]


def main():
    series = read(sys.argv[1])
    folds = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    binary = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"foresail-shares-{os.getpid()}")
    subprocess.run(["go", "build", "-o", binary, "./cmd/foresail"], cwd=ROOT, check=True)
    try:
        for fold in range(min(folds, int(sys.argv[3]) if len(sys.argv) > 3 else folds)):
            pool, test = [s for i, s in enumerate(series) if i % folds != fold], series[fold::folds]
            a, took = ours(binary, pool, test, 1)
            again, _ = ours(binary, pool, test, 2)
            torches = [train(pool, test, threads) for threads in (1, 2)]
            best = min(t for _, _, t in torches)
            print(f"fold {fold + 1}: mean square error {a:.4g} and {again:.4g} here, {torches[0][0]:.4g} in PyTorch {torch.__version__}, {torches[0][1]:.4g} of the last value; "
                  f"trained in {took:.0f} s here, {best:.0f} s in PyTorch ({took / best:.2f} of its time)", flush=True)
    finally:
        os.remove(binary)


if __name__ == "__main__":
    main()
