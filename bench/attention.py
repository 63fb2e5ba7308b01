#!/usr/bin/env python3
"""The models of attention.rondo in JAX and PyTorch, one core: attention.py jax|torch itself|across forward|train B T I A prints the least
time of a call in ms. Three products, then scores, softmax and weighted sum over whole sequences, as a user writes it."""
import os
import sys
import time

WHO, MODEL, MODE = sys.argv[1:4]
B, T, I, A = map(int, sys.argv[4:8])
SECONDS = float(os.environ.get("SECONDS_EACH", "0.5"))
import numpy as np

rng = np.random.default_rng(0)
normal = lambda *shape: rng.normal(0, 0.05, shape).astype(np.float32)
W, x, t = normal(3, A, I), normal(B, T, I), normal(B, T, A)
m = x if MODEL == "itself" else normal(B, T, I)


def with_jax():
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    import jax
    import jax.numpy as jnp

    def attend(w, x, m):
        q, k, v = x @ w[0].T, m @ w[1].T, m @ w[2].T
        a = jax.nn.softmax(jnp.einsum("bta,bsa->bts", q, k) / A**0.5, axis=-1)
        return jnp.einsum("bts,bsa->bta", a, v)

    f = attend if MODE == "forward" else jax.value_and_grad(lambda w, x, m, t: jnp.mean((attend(w, x, m) - t) ** 2))
    f, data = jax.jit(f), [jnp.asarray(a) for a in ((W, x, m) if MODE == "forward" else (W, x, m, t))]
    return lambda: jax.block_until_ready(f(*data))


def with_torch():
    import torch

    torch.set_num_threads(1)
    w, q, k, y = (torch.tensor(a) for a in (W, x, m, t))
    w.requires_grad_(MODE == "train")

    def attend():
        return torch.nn.functional.scaled_dot_product_attention(q @ w[0].T, k @ w[1].T, k @ w[2].T)

    def train():
        w.grad = None
        ((attend() - y) ** 2).mean().backward()

    def forward():
        with torch.no_grad():
            attend()

    return train if MODE == "train" else forward


call = with_jax() if WHO == "jax" else with_torch()
for _ in range(3):
    call()
best, end = 1e9, time.perf_counter() + SECONDS
while time.perf_counter() < end:
    start = time.perf_counter()
    call()
    best = min(best, time.perf_counter() - start)
print(f"{1000 * best:.3f}")
