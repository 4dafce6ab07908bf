"""Gold measured and heeded in runs of TRL and of transformers' `Trainer`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from foolsgold.audit.stopping import GoldLooks, LookSettings, gold_of_prompts
from foolsgold.errors import UserError
from foolsgold.policies.foreign import TransformersModel
from foolsgold.policies.hub import save_policy
from foolsgold.policies.sampling import Sampling
from foolsgold.training.loop import Metrics, StopTraining
from foolsgold.training.rollouts import Task


class GoldStopCallback(TrainerCallback):
    """Ends a `Trainer`'s run when gold has surely fallen, and keeps the best policy.

        stop = GoldStopCallback(Task(prompts, gold, tokenizer), sampling, budget=2000, folder="gold")
        trainer = GRPOTrainer(…, callbacks=[stop])
        trainer.train()
        policy = load_policy(stop.looks.best)

    The trainer's own model answers, one process only; it is drawn from with foolsgold's sampler, so that neither its
    generation config nor the global random generators matter, and these are left as they were. Models without
    attention masks or in shards are not supported.

    Args:
      task: fixed prompts, and gold as its rewards.
      sampling: how completions are drawn; its stop tokens end them.
      budget, every, samples, alpha, seed: see `LookSettings`; its steps are those that the trainer plans.
      folder: of the looks and of the best policy, apart from the trainer's own; a resumed run takes them up.
    """

    def __init__(
        self,
        task: Task,
        sampling: Sampling,
        budget: int,
        folder: str | Path,
        every: int = 1,
        samples: int = 1,
        alpha: float = 0.05,
        seed: int = 0,
    ):
        self.task, self.sampling, self.folder = task, sampling, Path(folder)
        self._settings = {"budget": budget, "every": every, "samples": samples, "alpha": alpha, "seed": seed}
        self._looks: GoldLooks | None = None
        self.stopped = ""
        """Why the run was ended; empty where it was not."""
        self.log: dict[int, Metrics] = {}
        """Figures by step, beside those in the state's `log_history`."""

    @property
    def looks(self) -> GoldLooks:
        """What was measured.

        Raises:
          UserError: training has not begun.
        """
        if self._looks is None:
            raise UserError("gold is measured while the trainer runs; call train() first")
        return self._looks

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Looks at the start.

        Raises:
          UserError: there are several processes; or as `GoldLooks`.
        """
        if args.world_size > 1:
            raise UserError(f"gold is measured in one process, and this run has {args.world_size}")
        settings = LookSettings(steps=state.max_steps, **self._settings)  # type: ignore[arg-type]
        self._looks = GoldLooks(self.folder, settings, len(self.task.prompts))
        self._look(state, control, given["model"])

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        """Looks where one is due."""
        self._look(state, control, given["model"])

    def _look(self, state: TrainerState, control: TrainerControl, model: Any) -> None:
        step = state.global_step
        if not self.looks.due(step):
            return
        training = model.training
        policy = TransformersModel(model.eval())
        try:
            metrics = self.looks.look(
                step,
                lambda: gold_of_prompts(policy, self.task, self.sampling, self.looks.settings),
                lambda folder: save_policy(folder, policy, self.task.tokenizer, stop_tokens=self.sampling.stop_tokens),
            )
        except StopTraining as stop:
            metrics, self.stopped = stop.metrics, stop.why
            control.should_training_stop = True
        finally:
            model.train(training)
        self.log[step] = metrics
        state.log_history.append({**{f"gold_stop/{name}": x for name, x in metrics.items()}, "step": step})
