#!/usr/bin/env python3
"""The cells of heads.rondo in JAX, one core: heads.py MODEL MODE B T I N D prints the least and the median time of a call in ms.
What needs no state is one product before the scan; everything else is as a user writes it, einsum inside of lax.scan."""
import os
import sys
import time

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
import jax
import jax.numpy as jnp
import numpy as np

MODEL, MODE = sys.argv[1:3]
B, T, I, N, D = map(int, sys.argv[3:8])
SECONDS = float(os.environ.get("SECONDS_EACH", "0.5"))
rng = np.random.default_rng(0)
normal = lambda *shape: jnp.asarray(rng.normal(0, 0.05, shape), jnp.float32)
sig = jax.nn.sigmoid
zeros = lambda *shape: jnp.zeros(shape, jnp.float32)
INPUTS = {"slstm": 4, "mlstm": 4, "linear": 4, "rwkv": 5, "rglru": 1, "gru": 3}[MODEL]
BLOCKS = {"slstm": 4, "rglru": 2, "gru": 3}.get(MODEL, 0)
w = {"W": normal(INPUTS, N, D, I), "b": normal(4, N, D), "a": normal(2, N, I), "s": normal(2, N)}
if BLOCKS:
    w["R"] = normal(BLOCKS, N, D, D)


def slstm(w, x):
    def step(s, g):
        h, c, n, m = s
        g = g + jnp.einsum("gnij,bnj->gbni", w["R"], h) + w["b"][:, None]
        lf = jax.nn.log_sigmoid(g[1])
        new = jnp.maximum(lf + m, g[0])
        i, f = jnp.exp(g[0] - new), jnp.exp(lf + m - new)
        c, n = f * c + i * jnp.tanh(g[2]), f * n + i
        return (sig(g[3]) * c / n, c, n, new), None
    return jax.lax.scan(step, (zeros(B, N, D),) * 4, x)[0][0]


def mlstm(w, x, g):
    def step(s, t):
        C, n, m = s
        (q, k, v, o), (li, f) = t
        k, lf = k / D**0.5, jax.nn.log_sigmoid(f)
        new = jnp.maximum(lf + m, li)
        i, f = jnp.exp(li - new)[..., None], jnp.exp(lf + m - new)[..., None]
        C = f[..., None] * C + jnp.einsum("bnd,bnk->bndk", i * v, k)
        n = f * n + i * k
        d = jnp.maximum(jnp.abs(jnp.sum(n * q, -1)), jnp.exp(-new))[..., None]
        return (C, n, new), sig(o) * jnp.einsum("bndk,bnk->bnd", C, q) / d
    return jax.lax.scan(step, (zeros(B, N, D, D), zeros(B, N, D), zeros(B, N)), (x, g))[1][-1]


def linear(w, x, g):
    def step(S, t):
        (q, k, v, o), a = t
        S = sig(a[0] + 3)[..., None, None] * S + jnp.einsum("bnd,bnk->bndk", v, k)
        y = jnp.einsum("bndk,bnk->bnd", S, q)
        return S, jax.nn.silu(o) * y / jnp.sqrt(jnp.mean(y * y, -1, keepdims=True) + 1e-6)
    return jax.lax.scan(step, zeros(B, N, D, D), (x, g))[1][-1]


def rwkv(w, x):
    def step(S, t):
        r, k, v, d, g = t
        y = jnp.einsum("bnk,bnkd->bnd", r, S) + jnp.sum(r * w["b"][0] * k, -1, keepdims=True) * v
        S = jnp.exp(-jnp.exp(d - w["b"][1]))[..., None] * S + jnp.einsum("bnk,bnd->bnkd", k, v)
        return S, jax.nn.silu(g) * y
    return jax.lax.scan(step, zeros(B, N, D, D), x)[1][-1]


def rglru(w, x):
    u = x[:, 0]
    r, i = (sig(jnp.einsum("nij,tbnj->tbni", w["R"][k], u) + w["b"][k]) for k in range(2))
    la = -8 * r * jax.nn.softplus(w["b"][2])
    step = lambda h, t: (t[0] * h + t[1], None)
    return jax.lax.scan(step, zeros(B, N, D), (jnp.exp(la), jnp.sqrt(1 - jnp.exp(2 * la)) * i * u))[0]


def gru(w, x):
    def step(h, g):
        u = jnp.einsum("gnij,bnj->gbni", w["R"], h)
        r, z = sig(g[0] + u[0] + w["b"][0]), sig(g[1] + u[1] + w["b"][1])
        n = jnp.tanh(g[2] + r * u[2] + w["b"][2])
        return (1 - z) * n + z * h, None
    return jax.lax.scan(step, zeros(B, N, D), x)[0]


def loss(w, x, y):
    g = jnp.einsum("gndi,tbi->tgbnd", w["W"], x) + (w["b"][:, None] if MODEL == "mlstm" else 0)
    args = (w, g) + ((jnp.einsum("gni,tbi->tgbn", w["a"], x) + w["s"][:, None],) if MODEL in ("mlstm", "linear") else ())
    p = globals()[MODEL](*args).reshape(B, N * D)
    return jnp.mean((p - y) ** 2)


x, y = jnp.asarray(rng.normal(size=(T, B, I)), jnp.float32), jnp.asarray(rng.normal(size=(B, N * D)), jnp.float32)
call = jax.jit(jax.value_and_grad(loss) if MODE == "train" else loss)
for _ in range(3):
    jax.block_until_ready(call(w, x, y))
times, end = [], time.perf_counter() + SECONDS
while time.perf_counter() < end or len(times) < 5:
    start = time.perf_counter()
    jax.block_until_ready(call(w, x, y))
    times.append((time.perf_counter() - start) * 1e3)
print("%.4g %.4g" % (min(times), sorted(times)[len(times) // 2]))
