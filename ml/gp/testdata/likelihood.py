"""What BenchmarkLikelihood does, in numpy: the log marginal likelihood of a Gaussian process with a Matern 5/2 kernel and
its gradient, 500 rows of 20 features. Prints the least CPU time of 30 evaluations, all threads together.

    python3 ml/gp/testdata/likelihood.py
"""

import time

import numpy as np

rng = np.random.default_rng(1)
n, d = 500, 20
x = rng.normal(size=(n, d))
y = np.sin(2 * x).sum(axis=1)
theta = np.ones(d + 2)
theta[-1] = -3


def likelihood(theta):
    variance, noise = np.exp(theta[d]), np.exp(theta[d + 1])
    scaled = x * np.exp(-theta[:d])
    norms = (scaled * scaled).sum(axis=1)
    r2 = np.maximum(norms[:, None] + norms[None, :] - 2 * scaled @ scaled.T, 0)
    s = np.sqrt(5 * r2)
    e = np.exp(-s)
    plain = variance * (1 + s + s * s / 3) * e
    lower = np.linalg.cholesky(plain + noise * np.eye(n))
    inverse = np.linalg.inv(lower)
    inverse = inverse.T @ inverse
    ones = inverse.sum(axis=1)
    mean = (inverse @ y).sum() / ones.sum()
    alpha = inverse @ (y - mean)
    value = -(y - mean) @ alpha / 2 - np.log(np.diag(lower)).sum() - n / 2 * np.log(2 * np.pi)
    w = np.outer(alpha, alpha) - inverse
    grad = np.empty(d + 2)
    slope = w * (variance * 5 / 3 * (1 + s) * e)
    # sum over pairs of w (a-b)² for each feature, without the differences of all pairs
    grad[:d] = (scaled * scaled * slope.sum(axis=1)[:, None]).sum(axis=0) - (scaled * (slope @ scaled)).sum(axis=0)
    grad[d] = (w * plain).sum() / 2
    grad[d + 1] = noise * np.trace(w) / 2
    return value, grad


value, grad = likelihood(theta)
for i in (0, d, d + 1):  # the gradient is one
    step = np.zeros(d + 2)
    step[i] = 1e-5
    assert abs((likelihood(theta + step)[0] - likelihood(theta - step)[0]) / 2e-5 - grad[i]) < 1e-3 * (1 + abs(grad[i]))
times = []
for _ in range(30):
    begin = time.process_time()
    likelihood(theta)
    times.append(time.process_time() - begin)
print(f"numpy {np.__version__}: {min(times) * 1e3:.1f} ms of CPU")
