"""`foolsgold labels prioritise`: a project hands out next the pairs whose judgement teaches reward models most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foolsgold.errors import UserError
from foolsgold.labels.exchange.rows import content_of
from foolsgold.labels.labelling import Labelling
from foolsgold.labels.next_pair import STRATEGIES, prioritise
from foolsgold.rewards.ensembles import Ensemble
from foolsgold.serving.labels_command import PrioritiseCommand
from foolsgold.serving.labels_exchange import existing_store
from foolsgold.serving.reward_specs import load_rewards


def prioritise_project(command: PrioritiseCommand) -> None:
    """Choose a batch and say how many were chosen.

    Raises:
      UserError: there is no such store or project, a reward cannot be loaded, or no pair is left to choose from.
    """
    with existing_store(command.store) as store:
        project = Labelling.open(store, command.project)
        ensemble = Ensemble([each.reward for each in load_rewards(command.reward)])

        def scores(prompts: Sequence[str], completions: Sequence[str]) -> np.ndarray:
            texts = [content_of(text) for text in completions]
            return ensemble.judge([content_of(text) for text in prompts], texts).members

        chosen = prioritise(project, scores, STRATEGIES[command.strategy], command.batch, command.seed)
    if chosen == 0:
        raise UserError(f"project {command.project} has no pair left to be judged; add some by foolsgold label --data")
    print(f"{chosen:,} pairs come first, by {command.strategy}; after they are judged, fit the models anew and repeat")
