"""The model after its loop: with the optimiser's float32 weights in place of the copy it was computed with."""

from __future__ import annotations

from foolsgold.training.loop import Loop


def restore_float32(loop: Loop) -> None:
    """Give `loop.model` its master weights; the loop cannot run on after it.

    A second run that started from the bfloat16 copy would have lost the digits in which small steps add up.
    """
    weights = loop.final_weights()
    for name, parameter in loop.model.named_parameters():
        parameter.grad = None  # a view of the optimiser's buffer
        if parameter.requires_grad:
            parameter.data = weights[name]
