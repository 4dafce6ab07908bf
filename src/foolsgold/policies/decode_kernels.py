"""Compiled steps of sampling: one new token a row against cached keys and values, and the draw itself.

Letters as in `kernels`; R rows still going on, P prompts, L tokens of the longest prompt, N new tokens at most.
Keys are cached with positions last, so that all of a head's scores grow together, vector by vector.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types

from foolsgold.compiled import kernel
from foolsgold.policies.kernels import FAST, NEVER, fast_exp, intrinsic, larger, largest, like, wide

BLOCK = 64
"""Tokens whose probabilities are summed before the drawn one is looked for among them."""


LANES = 16
"""Positions whose scores are summed up at a time; caches are as long as a multiple of it."""


def padded(length: int) -> int:
    """The next multiple of `LANES`."""
    return -(-length // LANES) * LANES


@intrinsic
def weighted_lanes(context, out, at, adds, weights, first, vectors, start, stride, count):
    """out[at + j] = sum over i below `count` of weights[first + i] vectors[start + i stride + j], for j in `LANES`.

    Onto what is there where `adds`. The arrays are flat, `out` and `weights` float32. Written in vectors by hand:
    loops of a few dozen steps are too short for the compiler to make them of one.
    """

    def generate(context, builder, signature, arguments):
        kinds = dict(zip(("out", "weights", "vectors"), (signature.args[i] for i in (0, 3, 5)), strict=True))
        values = dict(zip(("out", "weights", "vectors"), (arguments[i] for i in (0, 3, 5)), strict=True))
        data = {name: context.make_array(kinds[name])(context, builder, values[name]).data for name in kinds}
        at, adds, first, start, stride, count = (arguments[i] for i in (1, 2, 4, 6, 7, 8))
        lanes, halves = ir.VectorType(ir.FloatType(), LANES), kinds["vectors"].dtype == types.uint16
        element = ir.IntType(16) if halves else ir.FloatType()

        def lanes_at(pointer, index, kind):
            return builder.bitcast(builder.gep(pointer, [index]), ir.VectorType(kind, LANES).as_pointer())

        def product(i):
            weight = builder.load(builder.gep(data["weights"], [builder.add(first, i)]))
            spread = builder.insert_element(ir.Constant(lanes, ir.Undefined), weight, ir.Constant(ir.IntType(32), 0))
            mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
            spread = builder.shuffle_vector(spread, ir.Constant(lanes, ir.Undefined), mask)
            place = builder.add(start, builder.mul(i, stride))
            vector = builder.load(lanes_at(data["vectors"], place, element), align=element_bytes)
            if halves:
                words = ir.VectorType(ir.IntType(32), LANES)
                shift = ir.Constant(words, [16] * LANES)
                vector = builder.bitcast(builder.shl(builder.zext(vector, words), shift), lanes)
            return builder.fmul(spread, vector, flags=("contract",))

        element_bytes = 2 if halves else 4
        target = lanes_at(data["out"], at, ir.FloatType())
        zero = ir.Constant(lanes, [0.0] * LANES)
        sums = [cgutils.alloca_once_value(builder, zero) for _ in range(2)]  # two, so that one need not wait
        with builder.if_then(adds):
            builder.store(builder.load(target, align=4), sums[0])
        word = ir.IntType(64)
        pairs = builder.lshr(count, ir.Constant(word, 1))
        with cgutils.for_range(builder, pairs) as loop:
            for offset, sum_ in enumerate(sums):
                i = builder.add(builder.shl(loop.index, ir.Constant(word, 1)), ir.Constant(word, offset))
                builder.store(builder.fadd(builder.load(sum_), product(i), flags=("contract",)), sum_)
        with builder.if_then(builder.trunc(count, ir.IntType(1))):
            last = product(builder.sub(count, ir.Constant(word, 1)))
            builder.store(builder.fadd(builder.load(sums[0]), last, flags=("contract",)), sums[0])
        total = builder.fadd(builder.load(sums[0]), builder.load(sums[1]))
        builder.store(total, target, align=4)
        return context.get_dummy_value()

    i64 = types.int64
    return types.void(out, i64, types.boolean, weights, i64, vectors, i64, i64, i64), generate


@kernel(fastmath=FAST)
def keep_prompts(keys, values, prompt_keys, prompt_values):
    """Keys and values `[P, L, K, E]` of a layer's prompts into `[P K, E, padded L]` and `[P K, padded L, padded E]`."""
    kv_heads = keys.shape[2]
    for p in range(keys.shape[0]):
        for t in range(keys.shape[1]):
            for h in range(kv_heads):
                for e in range(keys.shape[3]):
                    prompt_keys[p * kv_heads + h, e, t] = keys[p, t, h, e]
                    prompt_values[p * kv_heads + h, t, e] = values[p, t, h, e]


@kernel(fastmath=FAST)
def attend_step(
    qkv,
    cosine,
    sine,
    step,
    rows,
    prompt_of,
    lengths,
    prompt_keys,
    prompt_values,
    keys,
    values,
    room,
    new,
    kv_heads,
    scale,
    out,
):
    """Rotate the new tokens' heads, cache their keys and values as number `step`, attend: out `[R, H E]`.

    Args:
      qkv: `[R, (H + 2 K) E]`.
      cosine, sine: `[positions, E/2]`, float32.
      rows: `[R]`, each row's place in the cache of new tokens.
      prompt_of, lengths: `[B]`, by place: the row's prompt and that prompt's length.
      prompt_keys, prompt_values: `[P K, E, padded L]`, `[P K, padded L, padded E]`, of this layer, flat.
      keys, values: `[B K, E, padded N]`, `[B K, padded N, padded E]`, of this layer, flat.
      room, new: padded L and padded N.
    """
    size = 2 * cosine.shape[1]
    wide_size = (size + LANES - 1) // LANES * LANES
    heads = qkv.shape[1] // size - 2 * kv_heads
    group, half = heads // kv_heads, size // 2
    query = np.empty(size, np.float32)
    seen = np.empty(wide_size, np.float32)
    scores = np.empty(room + new, np.float32)
    used = room + (step // LANES + 1) * LANES
    for r in range(len(rows)):
        place = rows[r]
        length = lengths[place]
        at = length + step
        for k in range(kv_heads):
            own, old = place * kv_heads + k, prompt_of[place] * kv_heads + k
            base_k, base_v = (heads + k) * size, (heads + kv_heads + k) * size
            for e in range(half):
                first, second = wide(qkv[r, base_k + e]), wide(qkv[r, base_k + half + e])
                keys[(own * size + e) * new + step] = like(first * cosine[at, e] - second * sine[at, e], qkv[r, 0])
                keys[(own * size + half + e) * new + step] = like(
                    second * cosine[at, e] + first * sine[at, e], qkv[r, 0]
                )
            for e in range(size):
                values[(own * new + step) * wide_size + e] = qkv[r, base_v + e]
            for g in range(group):
                base = (k * group + g) * size
                for e in range(half):
                    first, second = wide(qkv[r, base + e]), wide(qkv[r, base + half + e])
                    # Rounded as in training, where rotated heads are stored in the working type.
                    query[e] = wide(like(first * cosine[at, e] - second * sine[at, e], qkv[r, 0])) * scale
                    query[half + e] = wide(like(second * cosine[at, e] + first * sine[at, e], qkv[r, 0])) * scale
                for t in range(0, length, LANES):
                    weighted_lanes(scores, t, False, query, 0, prompt_keys, old * size * room + t, room, size)
                for t in range(0, step + 1, LANES):
                    weighted_lanes(scores, room + t, False, query, 0, keys, own * size * new + t, new, size)
                for t in range(length, room):
                    scores[t] = NEVER
                for t in range(room + step + 1, used):
                    scores[t] = NEVER
                total = exponentials(scores[:used])
                for e in range(0, size, LANES):
                    weighted_lanes(
                        seen, e, False, scores, 0, prompt_values, old * wide_size * room + e, wide_size, length
                    )
                    weighted_lanes(seen, e, True, scores, room, values, own * wide_size * new + e, wide_size, step + 1)
                inverse = np.float32(1) / total
                for e in range(size):
                    out[r, base + e] = like(seen[e] * inverse, out[r, 0])


@kernel(fastmath=FAST)
def exponentials(scores):
    """In place: scores become exp(scores - largest); returns their sum. There are a multiple of `LANES`."""
    tops = np.full(LANES, NEVER)
    for block in range(0, len(scores), LANES):
        lanes = scores[block : block + LANES]
        for j in range(LANES):
            tops[j] = larger(tops[j], lanes[j])
    top = largest(tops, LANES)
    sums = np.zeros(LANES, np.float32)
    for block in range(0, len(scores), LANES):
        lanes = scores[block : block + LANES]
        for j in range(LANES):
            share = fast_exp(lanes[j] - top)
            lanes[j] = share
            sums[j] += share
    total = np.float32(0)
    for j in range(LANES):
        total += sums[j]
    return total


@kernel(fastmath=FAST)
def draw_tokens(logits, inverse_temperature, uniforms, tokens, log_probs):
    """Draw a token `[R]` of each row's logits `[R, V]` by the inverse of the cumulative distribution.

    log_probs `[R]` are at the temperature. uniforms `[R]` are from 0 up to but not 1.
    """
    vocabulary = logits.shape[1]
    shares = np.empty(vocabulary, np.float32)
    blocks = (vocabulary + BLOCK - 1) // BLOCK
    sums = np.empty(blocks, np.float64)
    for r in range(logits.shape[0]):
        row = logits[r]
        top = largest(row, vocabulary)
        total = 0.0
        for v in range(vocabulary):
            shares[v] = fast_exp((wide(row[v]) - top) * inverse_temperature)
        for b in range(blocks):
            part = np.float32(0)
            for v in range(b * BLOCK, min((b + 1) * BLOCK, vocabulary)):
                part += shares[v]
            sums[b] = part
            total += np.float64(part)
        wanted = uniforms[r] * total
        b, passed = 0, 0.0
        while b + 1 < blocks and passed + sums[b] <= wanted:
            passed += sums[b]
            b += 1
        last = min((b + 1) * BLOCK, vocabulary) - 1
        chosen = last
        for v in range(b * BLOCK, last + 1):
            passed += shares[v]
            if passed > wanted:
                chosen = v
                break
        while shares[chosen] == 0 and chosen > 0:  # rounding may run past the last possible token
            chosen -= 1
        tokens[r] = chosen
        log_probs[r] = (wide(row[chosen]) - top) * inverse_temperature - np.float32(np.log(total))
