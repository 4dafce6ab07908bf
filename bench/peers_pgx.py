"""The Go of pgx, alone and under the Gumbel search of mctx, in a process of its own.

XLA sizes its thread pool once, by the cores that the process may use. So the peer lives in a child process that is
bound to 1 or 2 cores before jax is imported, and answers one line of JSON for each line of JSON that it is asked:

    {"do": "compile", "name": ..., "batch": ..., "blocks": ..., "channels": ..., "dtype": ...} -> {"seconds": ...}
    {"do": "measure", "name": ..., "seconds": ...} -> {"moves": ..., "seconds": ...}

`blocks` 0 means uniformly random play without network and search. The network is that of the AlphaZero example of pgx,
a pre-activation ResNet (He et al. 2016) with a policy and a value head, at inference: batch normalisation is a scale
and a shift of each channel.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

SIMULATIONS = 32
CONSIDERED = 16
RANDOM_STEPS = 16  # moves in each game between two looks at the clock, random play


class PgxProcess:
    """The peer as `go.py` sees it."""

    def __init__(self, cores: int):
        command = [sys.executable, str(Path(__file__)), str(cores)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> PgxProcess:
        return self

    def __exit__(self, *_) -> None:
        self.process.stdin.close()
        self.process.wait()

    def ask(self, **question) -> dict:
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"the pgx process ended while it was asked to {question['do']}; its message is above")
        return json.loads(answer)

    def compile(self, name: str, batch: int, blocks: int = 0, channels: int = 0, dtype: str = "float32") -> float:
        """Prepare `name` to be measured; returns seconds until the first move was played."""
        question = {"name": name, "batch": batch, "blocks": blocks, "channels": channels, "dtype": dtype}
        return self.ask(do="compile", **question)["seconds"]

    def rate(self, name: str, seconds: float) -> float:
        """Moves per second over at least `seconds`."""
        answer = self.ask(do="measure", name=name, seconds=seconds)
        return answer["moves"] / answer["seconds"]


def random_player(env, batch: int):
    """`play(states, key) -> states`: RANDOM_STEPS uniformly random legal moves in each game."""
    import jax
    import jax.numpy as jnp
    from pgx.experimental import auto_reset

    step = jax.vmap(auto_reset(env.step, env.init))

    def move(states, key):
        key_action, key_reset = jax.random.split(key)
        # The largest of independent uniform numbers is a uniform choice, without the logarithms of categorical().
        noise = jax.random.uniform(key_action, states.legal_action_mask.shape)
        action = jnp.argmax(jnp.where(states.legal_action_mask, noise, -1.0), axis=1)
        return step(states, action, jax.random.split(key_reset, batch)), None

    @jax.jit
    def play(states, key):
        return jax.lax.scan(move, states, jax.random.split(key, RANDOM_STEPS))[0]

    return play


def make_network(key, blocks: int, channels: int, dtype, planes: int = 17, size: int = 9):
    """Random weights and `apply(weights, observations [B, N, N, P]) -> (logits [B, A], values [B])`."""
    import jax
    import jax.numpy as jnp

    keys = iter(jax.random.split(key, 2 * blocks + 8))

    def weight(*shape):
        fan_in = 1
        for n in shape[:-1]:
            fan_in *= n
        return (jax.random.normal(next(keys), shape) * (2 / fan_in) ** 0.5).astype(dtype)

    def norm(n):
        return jnp.ones(n, dtype), jnp.zeros(n, dtype)

    weights = {
        "stem": weight(3, 3, planes, channels),
        "blocks": [
            (norm(channels), weight(3, 3, channels, channels), norm(channels), weight(3, 3, channels, channels))
            for _ in range(blocks)
        ],
        "last": norm(channels),
        "policy": (weight(1, 1, channels, 2), norm(2), weight(2 * size * size, size * size + 1)),
        "value": (weight(1, 1, channels, 1), norm(1), weight(size * size, channels), weight(channels, 1)),
    }

    def conv(x, w):
        return jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    def rectify(x, scale_shift):
        return jax.nn.relu(x * scale_shift[0] + scale_shift[1])

    def apply(weights, observations):
        x = conv(observations.astype(dtype), weights["stem"])
        for norm1, conv1, norm2, conv2 in weights["blocks"]:
            x = x + conv(rectify(conv(rectify(x, norm1), conv1), norm2), conv2)
        x = rectify(x, weights["last"])
        conv_p, norm_p, out_p = weights["policy"]
        logits = rectify(conv(x, conv_p), norm_p).reshape(len(x), -1) @ out_p
        conv_v, norm_v, hidden_v, out_v = weights["value"]
        hidden = jax.nn.relu(rectify(conv(x, conv_v), norm_v).reshape(len(x), -1) @ hidden_v)
        return logits.astype(jnp.float32), jnp.tanh((hidden @ out_v)[:, 0].astype(jnp.float32))

    return weights, apply


def search_player(env, batch: int, blocks: int, channels: int, dtype: str):
    """`play(states, key) -> states`: one searched move in each game, as in the AlphaZero example of pgx."""
    import jax
    import jax.numpy as jnp
    import mctx
    from pgx.experimental import auto_reset

    weights, apply = make_network(jax.random.PRNGKey(0), blocks, channels, jnp.dtype(dtype))
    step = jax.vmap(env.step)
    step_and_reset = jax.vmap(auto_reset(env.step, env.init))
    lowest = jnp.finfo(jnp.float32).min

    def masked(logits, states):
        return jnp.where(states.legal_action_mask, logits - logits.max(axis=-1, keepdims=True), lowest)

    def recurrent(weights, key, actions, states):
        player = states.current_player
        states = step(states, actions)
        logits, values = apply(weights, states.observation)
        output = mctx.RecurrentFnOutput(
            reward=states.rewards[jnp.arange(batch), player],
            discount=jnp.where(states.terminated, 0.0, -1.0),
            prior_logits=masked(logits, states),
            value=jnp.where(states.terminated, 0.0, values),
        )
        return output, states

    def play(weights, states, key):
        key_search, key_reset = jax.random.split(key)
        logits, values = apply(weights, states.observation)
        found = mctx.gumbel_muzero_policy(
            params=weights,
            rng_key=key_search,
            root=mctx.RootFnOutput(prior_logits=logits, value=values, embedding=states),
            recurrent_fn=recurrent,
            num_simulations=SIMULATIONS,
            max_num_considered_actions=CONSIDERED,
            invalid_actions=~states.legal_action_mask,
            qtransform=mctx.qtransform_completed_by_mix_value,
        )
        return step_and_reset(states, found.action, jax.random.split(key_reset, batch))

    compiled = jax.jit(play, donate_argnums=1)
    return lambda states, key: compiled(weights, states, key)


class _Game:
    def __init__(self, batch: int, blocks: int, channels: int, dtype: str):
        import jax
        import pgx

        env = pgx.make("go_9x9")
        self.key = jax.random.PRNGKey(batch)
        self.moves = batch * (1 if blocks else RANDOM_STEPS)
        self.play = search_player(env, batch, blocks, channels, dtype) if blocks else random_player(env, batch)
        self.states = jax.jit(jax.vmap(env.init))(jax.random.split(self.key, batch))
        self.advance()

    def advance(self) -> None:
        import jax

        self.key, key = jax.random.split(self.key)
        self.states = jax.block_until_ready(self.play(self.states, key))

    def measure(self, seconds: float) -> dict:
        began, moves = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            self.advance()
            moves += self.moves
        return {"moves": moves, "seconds": time.perf_counter() - began}


def serve(cores: int) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    os.environ["JAX_PLATFORMS"] = "cpu"
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not stand between the answers
    games: dict[str, _Game] = {}
    for line in sys.stdin:
        question = json.loads(line)
        do, name = question.pop("do"), question.pop("name")
        if do == "compile":
            began = time.perf_counter()
            games[name] = _Game(**question)
            answer = {"seconds": time.perf_counter() - began}
        else:
            answer = games[name].measure(question["seconds"])
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
