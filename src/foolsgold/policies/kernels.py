"""What stands between the matrix products of a decoder on the CPU, each step in one pass over memory.

Arrays of bfloat16 come as their bits, uint16; every kernel takes those or float32. Letters: S tokens, D width,
F width inside the SwiGLU, H query heads, K key-value heads, g = H / K, E size of a head, B rows of T tokens.
Kernels work on the tokens or rows from `start` to `stop`, so that threads can share the work.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic as numba_intrinsic

from foolsgold.compiled import kernel

intrinsic: Any = numba_intrinsic
"""Untyped, as what it makes is called with one argument fewer than it is written with."""

FAST = {"reassoc", "contract", "arcp", "nsz"}
"""Sums may be reordered; NaN and infinity keep their meaning."""


NEVER = np.float32(-1e30)
"""Score of what is not seen: its exponential is too small to count."""


@intrinsic
def wide(context, x):
    """A float32 from a float32 or from the bits of a bfloat16."""

    def generate(context, builder, signature, arguments):
        (value,) = arguments
        if signature.args[0] == types.float32:
            return value
        bits = builder.shl(builder.zext(value, ir.IntType(32)), ir.Constant(ir.IntType(32), 16))
        return builder.bitcast(bits, ir.FloatType())

    return types.float32(x), generate


@intrinsic
def like(context, x, sample):
    """The float32 `x` as the type of `sample`: itself, or the bits of the nearest bfloat16, ties to even."""

    def generate(context, builder, signature, arguments):
        value, _ = arguments
        if signature.args[1] == types.float32:
            return value
        word = ir.IntType(32)
        bits = builder.bitcast(value, word)
        odd = builder.and_(builder.lshr(bits, ir.Constant(word, 16)), ir.Constant(word, 1))
        rounded = builder.add(bits, builder.add(odd, ir.Constant(word, 0x7FFF)))
        return builder.trunc(builder.lshr(rounded, ir.Constant(word, 16)), ir.IntType(16))

    return sample(types.float32, sample), generate


@intrinsic
def _float_of_bits(context, bits):
    """The float32 of an int32's bits."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


@intrinsic
def larger(context, a, b):
    """LLVM's own maximum: unlike a comparison, it is reduced in vectors."""

    def generate(context, builder, signature, arguments):
        kind = ir.FloatType()
        name = builder.module.declare_intrinsic("llvm.maxnum", [kind], ir.FunctionType(kind, [kind, kind]))
        return builder.call(name, arguments, fastmath=("fast",))

    return types.float32(types.float32, types.float32), generate


@kernel(fastmath=FAST, inline="always")
def fast_exp(x):
    """exp of a float32 to about 2 units in the last place; below -87 as at -87."""
    x = min(max(x, np.float32(-87.0)), np.float32(88.0))
    n = np.floor(x * np.float32(1.44269504) + np.float32(0.5))
    r = x - n * np.float32(0.693359375) + n * np.float32(2.12194440e-4)
    p = np.float32(1.9875691e-4)
    p = p * r + np.float32(1.3981999e-3)
    p = p * r + np.float32(8.3334519e-3)
    p = p * r + np.float32(4.1665796e-2)
    p = p * r + np.float32(1.6666665e-1)
    p = p * r + np.float32(5.0000001e-1)
    p = p * r * r + r + np.float32(1.0)
    return p * _float_of_bits((np.int32(n) + np.int32(127)) << np.int32(23))


@kernel(fastmath=True)
def largest(row, count):
    """The largest of the first `count`; anything where one of them is NaN, which then shows in the sum."""
    top = np.float32(-3e38)
    for j in range(count):
        top = larger(top, wide(row[j]))
    return top


@kernel(fastmath=FAST)
def add_norm(x, branch, weight, epsilon, stream, out, scales, start, stop):
    """stream = x + branch; out = RMSNorm(stream) weight; scales `[S]` is what the norm multiplied by."""
    width = x.shape[1]
    for s in range(start, stop):
        total = np.float32(0)
        for d in range(width):
            value = x[s, d] + wide(branch[s, d])
            stream[s, d] = value
            total += value * value
        scale = np.float32(1) / np.sqrt(total / np.float32(width) + epsilon)
        scales[s] = scale
        for d in range(width):
            out[s, d] = like(stream[s, d] * scale * wide(weight[d]), out[s, d])


@kernel(fastmath=FAST)
def norm_backward(stream, scales, weight, to_out, to_stream, to_x, to_branch, to_weight, start, stop):
    """Gradient of `add_norm`: to_x `[S, D]` float32, the same rounded in to_branch, and to_weight `[D]` added to."""
    width = stream.shape[1]
    for s in range(start, stop):
        scale = scales[s]
        total = np.float32(0)
        for d in range(width):
            upstream = wide(to_out[s, d])
            normed = stream[s, d] * scale
            to_weight[d] += upstream * normed
            total += upstream * wide(weight[d]) * normed
        total /= np.float32(width)
        for d in range(width):
            direct = wide(to_out[s, d]) * wide(weight[d]) - stream[s, d] * scale * total
            value = to_stream[s, d] + scale * direct
            to_x[s, d] = value
            to_branch[s, d] = like(value, to_branch[s, d])


@kernel(fastmath=FAST)
def swiglu(gate_up, out, start, stop):
    """out `[S, F]` = silu(gate) up, of gate and up side by side in `[S, 2 F]`."""
    hidden = out.shape[1]
    for s in range(start, stop):
        gate, up, row = gate_up[s, :hidden], gate_up[s, hidden:], out[s]
        for f in range(hidden):
            g = wide(gate[f])
            row[f] = like(g / (np.float32(1) + fast_exp(-g)) * wide(up[f]), row[f])


@kernel(fastmath=FAST)
def swiglu_backward(gate_up, to_out, to_gate_up, start, stop):
    """Gradient of `swiglu`."""
    hidden = to_out.shape[1]
    for s in range(start, stop):
        gate, up = gate_up[s, :hidden], gate_up[s, hidden:]
        to_gate, to_up, row = to_gate_up[s, :hidden], to_gate_up[s, hidden:], to_out[s]
        for f in range(hidden):
            g, upstream = wide(gate[f]), wide(row[f])
            share = np.float32(1) / (np.float32(1) + fast_exp(-g))
            to_up[f] = like(upstream * g * share, to_up[f])
            slope = share * (np.float32(1) + g * (np.float32(1) - share))
            to_gate[f] = like(upstream * wide(up[f]) * slope, to_gate[f])


@kernel(fastmath=FAST)
def split_heads(qkv, cosine, sine, offsets, query, key, value, start, stop):
    """Heads of rows apart and rotated: `[B, T, (H + 2 K) E]` to query `[B, H, T, E]`, key and value `[B, K, T, E]`.

    cosine and sine are `[positions, E/2]`, float32; offsets `[B]` are the positions of the rows' first tokens.
    """
    heads, kv_heads, length, size = query.shape[1], key.shape[1], query.shape[2], query.shape[3]
    half = size // 2
    for b in range(start, stop):
        for t in range(length):
            c, s, row = cosine[offsets[b] + t], sine[offsets[b] + t], qkv[b, t]
            for h in range(heads):
                _turn(row[h * size : (h + 1) * size], c, s, query[b, h, t], half)
            for h in range(kv_heads):
                _turn(row[(heads + h) * size : (heads + h + 1) * size], c, s, key[b, h, t], half)
                to = value[b, h, t]
                start_v = (heads + kv_heads + h) * size
                for e in range(size):
                    to[e] = row[start_v + e]


@kernel(fastmath=FAST, inline="always")
def _turn(x, cosine, sine, out, half):
    for e in range(half):
        first, second = wide(x[e]), wide(x[half + e])
        out[e] = like(first * cosine[e] - second * sine[e], out[e])
        out[half + e] = like(second * cosine[e] + first * sine[e], out[half + e])


@kernel(fastmath=FAST)
def merge_heads_backward(to_query, to_key, to_value, cosine, sine, offsets, to_qkv, start, stop):
    """Gradient of `split_heads`: rotation the other way, everything back in its place."""
    heads, kv_heads, length, size = to_query.shape[1], to_key.shape[1], to_query.shape[2], to_query.shape[3]
    half = size // 2
    for b in range(start, stop):
        for t in range(length):
            c, s, row = cosine[offsets[b] + t], sine[offsets[b] + t], to_qkv[b, t]
            for h in range(heads):
                _turn_back(to_query[b, h, t], c, s, row[h * size : (h + 1) * size], half)
            for h in range(kv_heads):
                _turn_back(to_key[b, h, t], c, s, row[(heads + h) * size : (heads + h + 1) * size], half)
                upstream = to_value[b, h, t]
                start_v = (heads + kv_heads + h) * size
                for e in range(size):
                    row[start_v + e] = upstream[e]


@kernel(fastmath=FAST, inline="always")
def _turn_back(x, cosine, sine, out, half):
    for e in range(half):
        first, second = wide(x[e]), wide(x[half + e])
        out[e] = like(first * cosine[e] + second * sine[e], out[e])
        out[half + e] = like(second * cosine[e] - first * sine[e], out[half + e])


@kernel
def place_heads(by_head, by_token, start, stop):
    """`[B, H, T, E]` to `[B, T, H E]`."""
    heads, length, size = by_head.shape[1], by_head.shape[2], by_head.shape[3]
    for b in range(start, stop):
        for h in range(heads):
            for t in range(length):
                for e in range(size):
                    by_token[b, t, h * size + e] = by_head[b, h, t, e]


@kernel
def part_heads(by_token, by_head, start, stop):
    """`[B, T, H E]` to `[B, H, T, E]`."""
    heads, length, size = by_head.shape[1], by_head.shape[2], by_head.shape[3]
    for b in range(start, stop):
        for h in range(heads):
            for t in range(length):
                for e in range(size):
                    by_head[b, h, t, e] = by_token[b, t, h * size + e]


@kernel(fastmath=FAST)
def seen_softmax(scores, firsts, second, scale, start, stop):
    """In place, `[N, g, T, J]`: softmax of the scores times `scale` over what each row sees, 0 elsewhere.

    Row t of part n sees the columns below firsts[n], and from `second` up to second + t.
    """
    raised = np.empty(scores.shape[3], np.float32)
    for n in range(start, stop):
        for g in range(scores.shape[1]):
            for t in range(scores.shape[2]):
                _softmax_row(scores[n, g, t], firsts[n], second, second + t, scale, raised)


@kernel(fastmath=FAST)
def _softmax_row(row, first, second, last, scale, raised):
    # Up to a multiple of the vector's length: a few values for nothing are cheaper than a scalar rest.
    end = min(len(row), (last // 16 + 1) * 16)
    for j in range(end):
        seen = j < first or (j >= second and j <= last)
        raised[j] = wide(row[j]) * scale if seen else NEVER
    top = largest(raised, end)
    total = np.float32(0)
    for j in range(end):
        value = fast_exp(raised[j] - top)
        value = value if raised[j] > NEVER else np.float32(0)
        raised[j] = value
        total += value
    share = np.float32(1) / total
    for j in range(end):
        row[j] = like(raised[j] * share, row[j])
    for j in range(end, len(row)):
        row[j] = like(np.float32(0), row[j])


@kernel(fastmath=FAST)
def softmax_backward(shares, to_shares, scale, start, stop):
    """In place in `to_shares` `[N, g, T, J]`: the gradient of the scores; 0 where the share is."""
    for n in range(start, stop):
        for g in range(shares.shape[1]):
            for t in range(shares.shape[2]):
                p, row = shares[n, g, t], to_shares[n, g, t]
                total = np.float32(0)
                for j in range(len(row)):
                    total += wide(p[j]) * wide(row[j])
                for j in range(len(row)):
                    row[j] = like(wide(p[j]) * (wide(row[j]) - total) * scale, row[j])


@kernel(fastmath=FAST)
def log_probs_of(logits, targets, inverse_temperature, found, totals, start, stop):
    """found `[S]` = log-softmax of logits `[S, V]` at the targets; totals `[S]`, the log of the sum of exponentials."""
    for s in range(start, stop):
        row = logits[s]
        top = largest(row, len(row))
        total = np.float32(0)
        for v in range(len(row)):
            total += fast_exp((wide(row[v]) - top) * inverse_temperature)
        totals[s] = top * inverse_temperature + np.log(total)
        found[s] = wide(row[targets[s]]) * inverse_temperature - totals[s]


@kernel(fastmath=FAST)
def log_probs_backward(logits, targets, inverse_temperature, totals, upstream, start, stop):
    """In place in `logits` `[S, V]`: their gradient, of `log_probs_of` with `upstream` `[S]`."""
    for s in range(start, stop):
        row = logits[s]
        factor = upstream[s] * inverse_temperature
        own = wide(row[targets[s]])
        for v in range(len(row)):
            row[v] = like(-factor * fast_exp(wide(row[v]) * inverse_temperature - totals[s]), row[v])
        share = fast_exp(own * inverse_temperature - totals[s])
        row[targets[s]] = like(factor * (np.float32(1) - share), row[targets[s]])
