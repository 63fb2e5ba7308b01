#!/usr/bin/env python3
"""A rival of Rondo's for `bench --peers`: peers.py PEER FOLDER.

FOLDER holds problem.json (a workload and the shapes of its weights, under the names of the Rondo model) and the arrays as raw f32:
x [B, T, I], y [B, T, H], every weight. Prints "ready VALUE GNORM NOTE", "skip WHY" (not there) or "pass" (not its kind of work);
then for every line "run SECONDS" a count and that many times of a call in milliseconds. For a compile workload a call is a new
process, from the defined function to the first gradients (imports not counted)."""
import json
import math
import os
import subprocess
import sys
import time

PEER, FOLDER = sys.argv[1], sys.argv[2]
P = json.load(open(os.path.join(FOLDER, "problem.json")))
MODEL, MODE = P["model"], P["mode"]
B, T, I, H, L = (P[k] for k in ("B", "T", "I", "H", "layers"))
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC"):
    os.environ[name] = str(P["threads"])
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
if P["threads"] == 1:
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"
STEPS = 200


class Pass(Exception):
    """Not this peer's kind of work."""


def array(name, shape):
    import numpy as np
    return np.fromfile(os.path.join(FOLDER, name), np.float32).reshape(shape)


def weights():
    return {k: array(k, s) for k, s in P["weights"].items()}


def stacked(w, layer, kind, order):
    import numpy as np
    return np.concatenate([w["%s.%s%s" % (layer, kind, g)] for g in order])


def layer_names():
    return ["lstm", "h"] if L == 2 else ["h"]


def stock(order):
    """Per layer: W [G H, I], U [G H, H], b [G H] and the GRU's second bias of the candidate."""
    w = weights()
    out = []
    for name in layer_names():
        if MODEL == "rnn":
            out.append((w[name + ".W"], w[name + ".U"], w[name + ".b"], None))
            continue
        out.append(tuple(stacked(w, name, k, order) for k in "WUb") + (w.get(name + ".cn"),))
    return out


# ---- JAX: the cell in a scan, everything inside -----------------------------------------------------------------------------

def jax_cells():
    import jax
    import jax.numpy as jnp
    sig, tanh = jax.nn.sigmoid, jnp.tanh

    def ln(v, g, b):
        d = v - v.mean(-1, keepdims=True)
        return d / jnp.sqrt((d * d).mean(-1, keepdims=True) + 1e-5) * g + b

    def split(v, n):
        return jnp.split(v, n, -1)

    def lstm(p, s, x):
        h, c = s
        i, f, g, o = split(x @ p["W"].T + h @ p["U"].T + p["b"], 4)
        c = sig(f) * c + sig(i) * tanh(g)
        return sig(o) * tanh(c), c

    def gru(p, s, x):
        h = s[0]
        wr, wz, wn = split(x @ p["W"].T + p["b"], 3)
        ur, uz, un = split(h @ p["U"].T, 3)
        n = tanh(wn + sig(wr + ur) * (un + p["cn"]))
        return (n + sig(wz + uz) * (h - n),)

    def rnn(p, s, x):
        return (tanh(x @ p["W"].T + s[0] @ p["U"].T + p["b"]),)

    def lnlstm(p, s, x):
        h, c = s
        z = ln(x @ p["W"].T, p["g1"], p["b1"]) + ln(h @ p["U"].T, p["g2"], p["b2"]) + p["b"]
        i, f, g, o = split(z, 4)
        c = sig(f) * c + sig(i) * tanh(g)
        return sig(o) * tanh(ln(c, p["g3"], p["b3"])), c

    def ligru(p, s, x):
        z, a = split(x @ p["W"].T + s[0] @ p["U"].T + p["b"], 2)
        z = sig(z)
        return (z * s[0] + (1 - z) * jax.nn.relu(a),)

    def fastgrnn(p, s, x):
        q = x @ p["W"].T + s[0] @ p["U"].T
        z = sig(q + p["bz"])
        return ((sig(p["zeta"]) * (1 - z) + sig(p["nu"])) * tanh(q + p["bh"]) + z * s[0],)

    def mingru(p, s, x):
        z, a = split(x @ p["W"].T + p["b"], 2)
        z = sig(z)
        return ((1 - z) * s[0] + z * a,)

    def indrnn(p, s, x):
        return (jax.nn.relu(x @ p["W"].T + p["u"] * s[0] + p["b"]),)

    def slstm(p, s, x):
        h, c, n, m = s
        i, f, z, o = split(x @ p["W"].T + h @ p["R"].T + p["b"], 4)
        lf = jax.nn.log_sigmoid(f) + m
        m = jnp.maximum(lf, i)
        ie, fe = jnp.exp(i - m), jnp.exp(lf - m)
        c, n = fe * c + ie * tanh(z), fe * n + ie
        return sig(o) * c / n, c, n, m

    def cfc(p, s, x):
        k = 1.7159 * tanh(0.666 * (x @ p["Wx"].T + s[0] @ p["Wh"].T + p["bb"]))
        a, b, ta, tb = split(k @ p["Wk"].T + p["bk"], 4)
        t = sig(ta + tb)
        return (tanh(a) * (1 - t) + t * tanh(b),)

    one = {"gru": gru, "rnn": rnn, "ligru": ligru, "fastgrnn": fastgrnn, "mingru": mingru, "indrnn": indrnn, "cfc": cfc}
    cells = {k: (v, 1) for k, v in one.items()}
    cells.update(lstm=(lstm, 2), lstm2=(lstm, 2), lnlstm=(lnlstm, 2), slstm=(slstm, 4))
    return cells


def jax_params():
    import numpy as np
    import jax.numpy as jnp
    w = weights()
    order = {"lstm": "ifgo", "lstm2": "ifgo", "gru": "rzn", "ligru": "zh", "mingru": "zh"}.get(MODEL)
    out = []
    for name in layer_names():
        p = {k[len(name) + 1:]: v for k, v in w.items() if k.startswith(name + ".")}
        if order:
            p = {k: np.concatenate([p[k + g] for g in order]) for k in "WUb" if k + order[0] in p}
            if name + ".cn" in w:
                p["cn"] = w[name + ".cn"]
        elif MODEL == "cfc":
            p = {"Wx": p["Wb"][:, :I], "Wh": p["Wb"][:, I:], "bb": p["bb"], "Wk": np.concatenate([p[k] for k in ("W1", "W2", "Wa", "Wt")]),
                 "bk": np.concatenate([p[k] for k in ("b1", "b2", "ba", "bt")])}
        out.append({k: jnp.asarray(v) for k, v in p.items()})
    return out


def jax_problem():
    import jax
    import jax.numpy as jnp
    cell, n = jax_cells()[MODEL]
    x = jnp.asarray(array("x", (B, T, I)).transpose(1, 0, 2))
    y = jnp.asarray(array("y", (B, T, H)).transpose(1, 0, 2))

    def forward(ps, x):
        for p in ps:
            def step(s, v, p=p):
                s = cell(p, s, v)
                return s, s[0]
            x = jax.lax.scan(step, (jnp.zeros((B, H), jnp.float32),) * n, x)[1]
        return x

    def loss(ps, x, y):
        return ((forward(ps, x) - y) ** 2).mean()
    return cell, n, forward, loss, jax_params(), x, y


def jax_norm(grads):
    return math.sqrt(sum(float((g.astype("float64") ** 2).sum()) for p in grads for g in map(as_numpy, p.values()) if g.ndim == 2))


def as_numpy(v):
    import numpy as np
    return np.asarray(v)


def peer_jax():
    import jax
    if MODE == "compile":
        return compile_jax()
    cell, n, forward, loss, ps, x, y = jax_problem()
    note = "jax %s, jit of lax.scan, everything inside the scan" % jax.__version__
    if MODE == "forward":
        run = jax.jit(forward)
        return (lambda: run(ps, x).block_until_ready()), 1, float((as_numpy(run(ps, x)) ** 2).mean()), math.nan, note
    if MODE == "train":
        run = jax.jit(jax.value_and_grad(loss))
        v, g = run(ps, x, y)
        return (lambda: jax.block_until_ready(run(ps, x, y))), 1, float(v), jax_norm(g), note
    step = jax.jit(cell)
    import jax.numpy as jnp
    s = (jnp.zeros((B, H), jnp.float32),) * n

    def steps():
        t = s
        for _ in range(STEPS):
            t = step(ps[0], t, x[0])
        jax.block_until_ready(t)
    return steps, STEPS, float((as_numpy(step(ps[0], s, x[0])[0]) ** 2).mean()), math.nan, "jit of one step, a call from Python each"


def compile_jax():
    if "--once" in sys.argv:
        import jax
        _, _, _, loss, ps, x, y = jax_problem()
        t = time.perf_counter()
        v, g = jax.block_until_ready(jax.jit(jax.value_and_grad(loss))(ps, x, y))
        print(1e3 * (time.perf_counter() - t), float(v), jax_norm(g))
        sys.exit()
    env = dict(os.environ, JAX_ENABLE_COMPILATION_CACHE="false")

    def once():
        return [float(v) for v in subprocess.run([sys.executable, __file__, PEER, FOLDER, "--once"], check=True, env=env,
                                                 stdout=subprocess.PIPE, text=True).stdout.split()]
    v = once()
    return (lambda: once()[0]), 0, v[1], v[2], "jit(value_and_grad) of lax.scan, to the first gradients, new process"


# ---- PyTorch: nn.LSTM, nn.GRU, nn.RNN; other cells in a Python loop -----------------------------------------------------------

def peer_torch():
    import torch
    if MODEL not in ("lstm", "lstm2", "gru", "rnn") or MODE == "compile":
        raise Pass
    torch.set_num_threads(P["threads"])
    ls = [[None if v is None else torch.from_numpy(v) for v in l] for l in stock("rzn" if MODEL == "gru" else "ifgo")]
    kind = {"lstm2": "LSTM"}.get(MODEL, MODEL.upper())
    x = torch.from_numpy(array("x", (B, T, I))).transpose(0, 1).contiguous()
    y = torch.from_numpy(array("y", (B, T, H))).transpose(0, 1).contiguous()
    m = getattr(torch.nn, kind + ("Cell" if MODE == "step" else ""))(*((I, H) if MODE == "step" else (I, H, L)))
    with torch.no_grad():
        for k, (W, U, b, cn) in enumerate(ls):
            end = "" if MODE == "step" else "_l%d" % k
            bh = torch.zeros_like(b)
            if cn is not None:
                bh[-H:] = cn
            for n, v in (("weight_ih", W), ("weight_hh", U), ("bias_ih", b), ("bias_hh", bh)):
                getattr(m, n + end).copy_(v)
    note = "torch %s, nn.%s" % (torch.__version__, kind)
    if MODE == "train":
        def train():
            m.zero_grad(set_to_none=True)
            v = ((m(x)[0] - y) ** 2).mean()
            v.backward()
            return v
        v = float(train().detach())
        g = math.sqrt(sum(float(p.grad.double().square().sum()) for p in m.parameters() if p.dim() == 2))
        return train, 1, v, g, note
    if MODE == "forward":
        def forward():
            with torch.inference_mode():
                return m(x)[0]
        return forward, 1, float(forward().square().mean()), math.nan, note

    def steps():
        with torch.inference_mode():
            s = None
            for _ in range(STEPS):
                s = m(x[0], s)
    with torch.inference_mode():
        s = m(x[0])
    return steps, STEPS, float((s[0] if kind == "LSTM" else s).square().mean()), math.nan, note + "Cell, a call from Python each"


# ---- ONNX Runtime and OpenVINO, from one ONNX model ---------------------------------------------------------------------------

def onnx_model(length):
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper
    if MODEL not in ("lstm", "gru", "rnn"):
        raise Pass
    (W, U, b, cn), = stock("zrn" if MODEL == "gru" else "iofg")
    rb = np.zeros_like(b)
    if cn is not None:
        rb[-H:] = cn
    init = [numpy_helper.from_array(np.ascontiguousarray(v[None]), n) for n, v in (("W", W), ("R", U), ("B", np.concatenate([b, rb])))]
    states = ["h", "c"] if MODEL == "lstm" else ["h"]
    attrs = {"linear_before_reset": 1} if MODEL == "gru" else {}
    node = helper.make_node(MODEL.upper(), ["x", "W", "R", "B", ""] + [s + "0" for s in states], ["y"] + [s + "n" for s in states],
                            hidden_size=H, **attrs)
    f = TensorProto.FLOAT
    ins = [helper.make_tensor_value_info("x", f, [length, B, I])] + [helper.make_tensor_value_info(s + "0", f, [1, B, H]) for s in states]
    outs = [helper.make_tensor_value_info("y", f, [length, 1, B, H])] + [helper.make_tensor_value_info(s + "n", f, [1, B, H]) for s in states]
    m = helper.make_model(helper.make_graph([node], MODEL, ins, outs, init), opset_imports=[helper.make_opsetid("", 14)])
    m.ir_version = 8
    return m.SerializeToString(), states


def peer_ort():
    import numpy as np
    import onnxruntime as ort
    if MODE not in ("forward", "step"):
        raise Pass
    model, states = onnx_model(T)
    o = ort.SessionOptions()
    o.intra_op_num_threads, o.inter_op_num_threads = P["threads"], 1
    s = ort.InferenceSession(model, o, providers=["CPUExecutionProvider"])
    x = np.ascontiguousarray(array("x", (B, T, I)).transpose(1, 0, 2))
    y = np.zeros((T, 1, B, H), np.float32)
    st = [{n: np.zeros((1, B, H), np.float32) for n in states} for _ in range(2)]
    bind = []
    for k in range(2):  # step: two bindings that swap the state
        b = s.io_binding()
        for n, v in [("x", x)] + [(n + "0", st[k][n]) for n in states]:
            b.bind_input(n, "cpu", 0, np.float32, v.shape, v.ctypes.data)
        for n, v in [("y", y)] + [(n + "n", st[1 - k][n]) for n in states]:
            b.bind_output(n, "cpu", 0, np.float32, v.shape, v.ctypes.data)
        bind.append(b)
    s.run_with_iobinding(bind[0])
    v, note = float((y ** 2).mean()), "onnxruntime %s, IOBinding" % ort.__version__
    used = (x, y, st)  # a binding does not keep them alive
    if MODE == "forward":
        return (lambda used=used: s.run_with_iobinding(bind[0])), 1, v, math.nan, note

    def steps(used=used):
        for k in range(STEPS):
            s.run_with_iobinding(bind[k & 1])
    return steps, STEPS, v, math.nan, note + ", a call from Python each"


def peer_openvino():
    import numpy as np
    import openvino as ov
    if MODE != "forward":
        raise Pass
    model, states = onnx_model(T)
    core = ov.Core()
    c = core.compile_model(core.read_model(model), "CPU", {
        "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": P["threads"], "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False})
    q = c.create_infer_request()
    x = np.ascontiguousarray(array("x", (B, T, I)).transpose(1, 0, 2))
    zero = {n: np.zeros((1, B, H), np.float32) for n in states}
    q.set_tensor("x", ov.Tensor(x, shared_memory=True))
    for n in states:
        q.set_tensor(n + "0", ov.Tensor(zero[n], shared_memory=True))
    q.infer()
    return (lambda used=(x, zero): q.infer()), 1, float((q.get_output_tensor(0).data ** 2).mean()), math.nan, "openvino %s, f32 asked for" % ov.__version__


def main():
    out = os.fdopen(os.dup(1), "w", buffering=1)
    if "--once" not in sys.argv:
        os.dup2(2, 1)  # what libraries print is not for the reader of our lines
    try:
        f, calls, value, norm, note = {"jax-scan": peer_jax, "torch": peer_torch, "ort": peer_ort, "openvino": peer_openvino}[PEER]()
    except Pass:
        return out.write("pass\n")
    except ImportError as e:
        return out.write("skip %s\n" % e)
    out.write("ready %r %r %s\n" % (value, norm, note))
    for line in sys.stdin:
        end, times = time.perf_counter() + float(line.split()[1]), []
        while not times or time.perf_counter() < end:
            t = time.perf_counter()
            v = f()
            times.append(v if calls == 0 else 1e3 * (time.perf_counter() - t) / calls)
        out.write("%d %s\n" % (len(times), " ".join("%.7g" % v for v in times)))


main()
