#!/usr/bin/python3
"""Measures one training step and one inference of Madu's network here and in PyTorch, in turns on the same machine.

Needs Go and Debian 12's python3-torch (1.13.1):  apt-get install python3-torch
Run from anywhere:  hack/madu-pytorch/measure.py [rounds]

The network is that of model/forecast/neural: n = 60, m = 5, 32 cells, stochastic attention with weights for each
position, Gaussian likelihood, gradients clipped, Adam. PyTorch has its fused LSTM for the encoder, all positions of
attention in one operation, and the better of one thread and two threads that wait passively. Each figure is the least
of all rounds, so that other work on the machine matters little: here of means over 5 steps (50 inferences), in PyTorch of
single ones, which is in its favour.
"""
import json
import os
import re
import subprocess
import sys
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
N, M, HIDDEN, FEATURES = 60, 5, 32, 4


def network(torch):
    nn = torch.nn

    class Madu(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.LSTM(FEATURES, HIDDEN)
            self.decoder = nn.LSTMCell(2 + HIDDEN, HIDDEN)
            self.wa = nn.Linear(HIDDEN, HIDDEN, bias=False)
            self.ua = nn.Linear(HIDDEN, HIDDEN, bias=False)
            # Mean and deviation of the scores, for each position: (position, inside, 2) and (position, 1, 2).
            self.score = nn.Parameter(torch.randn(N, HIDDEN, 2) * 0.2)
            self.bias = nn.Parameter(torch.zeros(N, 1, 2))
            self.head = nn.Linear(HIDDEN, 2)

        def forward(self, x, draw):
            states, (h, c) = self.encoder(x)  # (n, batch, hidden)
            h, c = h[0], c[0]
            uh = self.ua(states)
            mu, sigma = x[-1, :, 0:1], torch.zeros(x.shape[1], 1)
            mus, sigmas = [], []
            for _ in range(M):
                s = torch.tanh(uh + self.wa(h)) @ self.score + self.bias  # (n, batch, 2)
                scores = s[:, :, 0]
                if draw:
                    scores = scores + s[:, :, 1] * torch.randn_like(scores)
                alpha = torch.softmax(scores, 0)
                context = (alpha.unsqueeze(2) * states).sum(0)
                h, c = self.decoder(torch.cat([mu, sigma, context], 1), (h, c))
                out = self.head(h)
                mu, sigma = out[:, 0:1], torch.nn.functional.softplus(out[:, 1:2]) + 1e-3
                mus.append(mu)
                sigmas.append(sigma)
            return torch.cat(mus, 1), torch.cat(sigmas, 1)

    return Madu()


def in_torch(threads):
    """What one process with that many threads takes, in seconds."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    net = network(torch)
    opt = torch.optim.Adam(net.parameters(), lr=1e-3)
    x, y = torch.randn(N, 32, FEATURES), torch.randn(32, M)

    def step():
        opt.zero_grad(set_to_none=True)
        mu, sigma = net(x, True)
        loss = (((y - mu) / sigma) ** 2 / 2 + torch.log(sigma)).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5)
        opt.step()

    one = x[:, :1].contiguous()

    def infer():
        with torch.no_grad():
            net(one, False)

    def least(f, times):
        best = float("inf")
        for _ in range(times):
            began = time.perf_counter()
            f()
            best = min(best, time.perf_counter() - began)
        return best

    weights = sum(p.numel() for p in net.parameters())
    print(json.dumps({"train": least(step, 60), "infer": least(infer, 500), "weights": weights, "version": torch.__version__}))


def torch_round(threads):
    env = dict(os.environ, OMP_NUM_THREADS=str(threads), OMP_WAIT_POLICY="PASSIVE")
    return json.loads(subprocess.run([sys.executable, __file__, "--torch", str(threads)], env=env, check=True, capture_output=True, text=True).stdout)


def go_round(binary):
    out = {}
    for name, key, times in (("MaduTrainStep/batch32", "train", 5), ("MaduInfer", "infer", 50)):
        text = subprocess.run([binary, "-test.run", "^$", "-test.bench", f"^Benchmark{name}$".replace("/", "$/^"), "-test.benchtime", f"{times}x", "-test.count", "12"],
                              check=True, capture_output=True, text=True).stdout
        out[key] = min(map(float, re.findall(r"(\S+) ns/op", text))) / 1e9
    return out


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    binary = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"foresail-neural-{os.getpid()}.test")
    subprocess.run(["go", "test", "-c", "-o", binary, "./model/forecast/neural"], cwd=ROOT, check=True)
    best = {}
    load = [os.getloadavg()[0]]
    try:
        for _ in range(rounds):
            for name, r in (("go", go_round(binary)), ("torch1", torch_round(1)), ("torch2", torch_round(2))):
                for key, value in r.items():
                    best[name, key] = min(best.get((name, key), value), value) if isinstance(value, float) else value
            load.append(os.getloadavg()[0])
    finally:
        os.remove(binary)
    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "unknown")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    print(f"commit {commit}, {os.cpu_count()} cores of {cpu}, load average {min(load):.1f} to {max(load):.1f}, {rounds} rounds, "
          f"PyTorch {best['torch1', 'version']} ({best['torch1', 'weights']} weights)")
    for key, most in (("train", 0.4), ("infer", 0.15)):
        theirs = min(best["torch1", key], best["torch2", key])
        ours = best["go", key]
        print(f"{key}: {ours * 1e3:.3f} ms here, {best['torch1', key] * 1e3:.3f} ms in PyTorch with one thread, "
              f"{best['torch2', key] * 1e3:.3f} ms with two: {ours / theirs:.3f} of its time (at most {most} is wanted)")
        if ours > most * theirs:
            sys.exit(1)


if len(sys.argv) > 1 and sys.argv[1] == "--torch":
    in_torch(int(sys.argv[2]))
else:
    main()
