"""Measures benchmarks of this module beside the same work in PyTorch, in turns on the same machine.

PyTorch has the better of one thread and two threads that wait passively, and no gradients where none are needed. Each figure
is the least of all rounds, so that other work on the machine matters little: here of means over some steps, in PyTorch of
single ones, which is in its favour.
"""
import json
import os
import re
import subprocess
import sys
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def least(f, times):
    best = float("inf")
    for _ in range(times):
        began = time.perf_counter()
        f()
        best = min(best, time.perf_counter() - began)
    return best


def in_torch(works, threads):
    """Prints what one process with that many threads takes, in seconds."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    out = {"version": torch.__version__}
    for key, (weights, work, times) in works(torch).items():
        out[key], out[key + " weights"] = least(work, times), weights
    print(json.dumps(out))


def torch_round(threads):
    env = dict(os.environ, OMP_NUM_THREADS=str(threads), OMP_WAIT_POLICY="PASSIVE")
    return json.loads(subprocess.run([sys.executable, sys.argv[0], "--torch", str(threads)], env=env, check=True, capture_output=True, text=True).stdout)


def go_round(binary, wanted):
    out = {}
    for key, (name, times, _) in wanted.items():
        pattern = "/".join(f"^{part}$" for part in ("Benchmark" + name).split("/"))
        text = subprocess.run([binary, "-test.run", "^$", "-test.bench", pattern, "-test.benchtime", f"{times}x", "-test.count", "12"],
                              check=True, capture_output=True, text=True).stdout
        out[key] = min(map(float, re.findall(r"(\S+) ns/op", text))) / 1e9
    return out


def main(package, wanted, works):
    """Measures and prints all that is wanted, of the form key: (benchmark, steps of it, most of PyTorch's time), and ends with
    1 when something takes more. works(torch) gives for each key the number of weights, what to call, and how often."""
    if len(sys.argv) > 2 and sys.argv[1] == "--torch":
        in_torch(works, int(sys.argv[2]))
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    binary = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"foresail-pytorch-{os.getpid()}.test")
    subprocess.run(["go", "test", "-c", "-o", binary, package], cwd=ROOT, check=True)
    best, load = {}, [os.getloadavg()[0]]
    try:
        for _ in range(rounds):
            for name, r in (("go", go_round(binary, wanted)), ("torch1", torch_round(1)), ("torch2", torch_round(2))):
                for key, value in r.items():
                    best[name, key] = min(best.get((name, key), value), value) if isinstance(value, float) else value
            load.append(os.getloadavg()[0])
    finally:
        os.remove(binary)
    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "unknown")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    print(f"commit {commit}, {os.cpu_count()} cores of {cpu}, load average {min(load):.1f} to {max(load):.1f}, {rounds} rounds, "
          f"PyTorch {best['torch1', 'version']}")
    over = False
    for key, (_, _, most) in wanted.items():
        ours, theirs = best["go", key], min(best["torch1", key], best["torch2", key])
        over = over or ours > most * theirs
        print(f"{key} ({best['torch1', key + ' weights']} weights): {ours * 1e3:.3f} ms here, {best['torch1', key] * 1e3:.3f} ms in PyTorch with one thread, "
              f"{best['torch2', key] * 1e3:.3f} ms with two: {ours / theirs:.3f} of its time (at most {most} is wanted)")
    sys.exit(over)
