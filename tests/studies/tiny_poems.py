"""The three stages on poems at a size that takes a second."""

from foolsgold.environments.poems import poet
from foolsgold.environments.poems.world import Poems
from foolsgold.studies.poem_arm import ArmResult, run_arm
from foolsgold.studies.poems_pipeline import PoemsPlan

TINY = PoemsPlan(
    seed=3,
    width=32,
    layers=1,
    pretraining_steps=2,
    finetuning_steps=20,
    comparisons=40,
    most_comparisons=40,
    vocabulary=512,
    pretraining_texts=200,
    demonstrations=400,
    readers=4,
    poems_a_prompt=4,
    held_out=20,
    max_new_tokens=12,
)


def few_texts(patch) -> None:
    """The tokenizer learns from hundreds of texts in place of tens of thousands."""
    patch.setattr(Poems, "pretraining_texts", lambda self, n, seed: poet.pretraining_texts(min(n, 300), seed))


def arms_here(plan, arms, folder, created, stages) -> list[ArmResult]:
    """`run_arms` one after the other in this process: to start others takes longer than the arms."""
    return [ArmResult.read(run_arm(plan, arm, folder, created)) for arm in arms]
