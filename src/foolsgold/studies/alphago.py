"""The study `alphago`: AlphaGo trained by RLHF beside AlphaGo trained by real RL, and then they play each other."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from foolsgold.audit.gnugo import find_gnugo, play_against_gnugo
from foolsgold.audit.match import RAW_POLICY, Agent, play_match
from foolsgold.audit.report import write_report
from foolsgold.audit.verdict import Verdict, table
from foolsgold.environments.go.amateurs import Club, GameMoves
from foolsgold.environments.go.sgf import GameRecord, read_folder
from foolsgold.errors import UserError
from foolsgold.labels.board_comparisons import BoardPool, as_comparisons, draw_pairs, judge_pairs, pool_boards
from foolsgold.labels.store import open_store
from foolsgold.objectives.statistics import expected_calibration_error
from foolsgold.policies.go_network import GoNetwork
from foolsgold.policies.inference import describe_device
from foolsgold.policies.search import Referee
from foolsgold.rewards.go_referees import ScoreReferee
from foolsgold.rewards.go_reward_model import GoReward, GoRewardModel, RewardModelReferee
from foolsgold.studies.alphago_measure import Measured, Quality, Snapshot, loved_and_lost, read_meter, trajectory
from foolsgold.studies.alphago_plan import AlphaGoConfig, Plan
from foolsgold.studies.alphago_report import judge, sections
from foolsgold.studies.go_pipeline import amateur_games, judge_truly, policy_games, tuned_club
from foolsgold.studies.progress import Stages
from foolsgold.training import checkpoint
from foolsgold.training.budget import Budget
from foolsgold.training.go_reward_model import BoardPairs, RewardModelSettings, fit_reward_model, preference_margins
from foolsgold.training.imitation import imitate, move_accuracy, positions_of_amateurs, positions_of_records
from foolsgold.training.run_folder import RunFolder
from foolsgold.training.self_play import Progress, SelfPlay, load_finished, load_snapshot
from foolsgold.training.self_play_worker import FinishedGames

STUDY = "alphago"
VERSION = 2
TRAINING_THREADS = 2


@dataclass(frozen=True)
class Labels:
    """The comparisons, and pairs whose truth is known."""

    pool: BoardPool
    pairs: BoardPairs
    """What the club said; the first `held_out` are not trained on."""
    truth: BoardPairs
    """Other pairs with what a strong search says of them."""
    rater_prefers_a: np.ndarray
    """bool, what the club says of the pairs in `truth`"""
    noise: float


class AlphaGo:
    """One run of the study: stages in order, each kept in the run folder as soon as it is done."""

    def __init__(self, plan: Plan, folder: RunFolder, stages: Stages):
        self.plan = plan
        self.folder = folder
        self.stages = stages
        self.club = Club.founded(plan.amateurs, plan.seed, counting=plan.people == "counters")

    def run(self) -> Verdict:
        """All stages; writes verdict.json and report.html."""
        base = self.base_policy()
        rl, done = self.train("rl", "real RL", base, ScoreReferee(), self.plan.budget, 0)
        labels = self.labels(base, self.agent("real RL", rl, ScoreReferee()))
        model = self.reward_model(labels)
        quality = self.quality(model, labels)
        reward = GoReward(model, self.plan.board)
        ordinary = labels.pool.states[:: max(1, len(labels.pool) // 2000)]
        # Twice the spread of ordinary boards counts as a margin of N points, where tanh is still steep.
        referee = RewardModelReferee(reward, 2 * float(reward.margin(ordinary).std()))
        # Minutes would give the agent that has the machine to itself more games.
        rlhf, _ = self.train("rlhf", "RLHF", base, referee, Budget(games=done.games), done.iteration)
        agents = {
            "real RL": self.agent("real RL", rl, ScoreReferee()),
            "RLHF": self.agent("RLHF", rlhf, referee),
        }
        measured = self.measure(base, agents, quality, reward)
        verdict = judge(measured, self.plan.gnugo_level)
        verdict.write(self.folder.path / "verdict.json")
        write_report(
            self.folder.path / "report.html",
            verdict,
            sections(measured, self.story(labels, measured), reward, self.plan.board),
            self.folder.record,
            self.command(),
        )
        return verdict

    def agent(self, name: str, network: GoNetwork, referee: Referee) -> Agent:
        return Agent(name, network, self.plan.match_search, referee)

    def _path(self, name: str) -> Path:
        return self.folder.checkpoints / f"{name}.safetensors"

    @cached_property
    def amateurs_games(self) -> list[GameMoves]:
        plan = self.plan
        with self.stages.stage("amateurs play", plan.amateur_games) as tick:
            return amateur_games(self.club, plan.board, plan.amateur_games, plan.whim, plan.seed, tick)

    def base_policy(self) -> GoNetwork:
        """Supervised finetuning: imitate people's games."""
        path, plan = self._path("base"), self.plan
        torch.manual_seed(plan.seed)
        network = GoNetwork(plan.network)
        if not path.exists():
            fitted, meta = self._imitate(network)
            checkpoint.save(path, fitted.state_dict(), meta)
        network.load_state_dict(checkpoint.load(path)[0])  # also when just fitted: a resumed run gets the same
        return network

    def _imitate(self, network: GoNetwork) -> tuple[GoNetwork, dict[str, Any]]:
        plan = self.plan
        if plan.sgf:
            positions = positions_of_records(records_of_size(plan.sgf, plan.board))
        else:
            positions = positions_of_amateurs(self.amateurs_games, plan.seed)
        held_out = max(1, len(positions) // 20)
        torch.set_num_threads(TRAINING_THREADS)
        with self.stages.stage("base policy imitates people", None) as tick:
            fitted = imitate(
                network,
                positions.rows(slice(held_out, None)),
                plan.imitation_passes,
                plan.seed,
                report=lambda step, steps, _: tick(step, steps),
            )
        accuracy = move_accuracy(fitted, positions.rows(slice(0, held_out)))
        return fitted, {"move_accuracy": accuracy, "held_out_moves": held_out}

    def train(
        self, key: str, name: str, base: GoNetwork, referee: Referee, budget: Budget, first_step: int
    ) -> tuple[GoNetwork, Progress]:
        """Self-play under a referee, the one loop for both agents; returns the network and what it took."""
        plan, folder = self.plan, self.folder
        player = SelfPlay(base, referee, plan.self_play, budget, folder.checkpoints / key)
        with self.stages.stage(f"{name} plays itself", 1000) as tick:
            if player.progress.share < 1:
                folder.truncate_after(first_step + player.progress.iteration)

            def report(progress: Progress, metrics: dict[str, float], _: FinishedGames | None) -> None:
                found = {"games": progress.games, "seconds": progress.seconds, **metrics}
                folder.log(first_step + progress.iteration, **{f"{key}/{k}": v for k, v in found.items()})
                tick(min(1000, int(1000 * progress.share)), 1000)

            return player.run(report), player.progress

    def labels(self, base: GoNetwork, strong: Agent) -> Labels:
        """Boards from people's and the base policy's games; the club compares them; a strong search knows the truth."""
        plan = self.plan
        with self.stages.stage("base policy plays", plan.policy_games) as tick:
            own = policy_games(base, plan.board, plan.policy_games, plan.seed, tick)
        people = [game.boards for game in self.amateurs_games[: plan.policy_games]]
        pool = pool_boards({"amateurs": people, "base policy": own})
        with self.stages.stage("a strong search judges pairs", None):
            strong = replace(strong, search=replace(strong.search, simulations=plan.true_simulations))
            truth = judge_truly(strong, pool, plan.true_pairs, plan.seed)
        club, _ = tuned_club(self.club, pool, truth, plan.agreement, plan.seed)
        with self.stages.stage(f"people compare {plan.comparisons:,} pairs", None):
            a, b = draw_pairs(pool, plan.comparisons + plan.held_out, plan.seed + 1)
            said = judge_pairs(club, pool, a, b, plan.seed + 1)
            with open_store(self.folder.path / "comparisons.sqlite") as store:
                if len(store) < len(a):
                    when = datetime.fromisoformat(self.folder.record["created"])
                    store.add_many(as_comparisons(pool, a, b, said, when))
        pairs = BoardPairs(pool.states, a, b, said.color, said.prefers_a)
        known = BoardPairs(pool.states, truth.a, truth.b, truth.color, truth.a_is_better)
        again = judge_pairs(club, pool, truth.a, truth.b, plan.seed + 2, truth.color)
        return Labels(pool, pairs, known, again.prefers_a, club.noise)

    def reward_model(self, labels: Labels) -> GoRewardModel:
        """Bradley-Terry on the comparisons."""
        path, plan = self._path("reward_model"), self.plan
        torch.manual_seed(plan.seed + 1)
        model = GoRewardModel(plan.network)
        if not path.exists():
            torch.set_num_threads(TRAINING_THREADS)
            with self.stages.stage("reward model learns the comparisons", None) as tick:
                fitted = fit_reward_model(
                    model,
                    labels.pairs.rows(slice(plan.held_out, None)),
                    RewardModelSettings(),
                    plan.seed,
                    report=lambda step, steps, _: tick(step, steps),
                )
            checkpoint.save(path, fitted.state_dict(), {})
        model.load_state_dict(checkpoint.load(path)[0])
        return model

    def quality(self, model: GoRewardModel, labels: Labels) -> Quality:
        """How far raters and reward model agree with each other and with the truth."""
        torch.set_num_threads(TRAINING_THREADS)  # as while fitting: a resumed run must add up in the same order
        held_out = labels.pairs.rows(slice(0, self.plan.held_out))
        margins = preference_margins(model, held_out)
        true_margins = preference_margins(model, labels.truth)
        return Quality(
            moves=labels.pool.moves[labels.truth.a],
            rater_agrees=labels.rater_prefers_a == labels.truth.prefers_a,
            model_agrees=(true_margins > 0) == labels.truth.prefers_a,
            model_agrees_with_raters=(margins > 0) == held_out.prefers_a,
            calibration_error=expected_calibration_error(1 / (1 + np.exp(-margins)), held_out.prefers_a),
        )

    def measure(self, base: GoNetwork, agents: dict[str, Agent], quality: Quality, reward: GoReward) -> Measured:
        """Play out what the verdict is made of."""
        plan = self.plan
        strong = agents["real RL"]
        paths = {}
        for key, name in (("rl", "real RL"), ("rlhf", "RLHF")):
            player = SelfPlay(base, agents[name].referee, plan.self_play, plan.budget, self.folder.checkpoints / key)
            if name == "RLHF":
                ended = [load_finished(player.folder, i).states for i in range(player.progress.iteration)]
            snapshots = [
                Snapshot(games, replace(agents[name], network=load_snapshot(player.folder, iteration, base)))
                for iteration, games, _ in player.progress.snapshots
            ]
            with self.stages.stage(f"snapshots of {name} play", len(snapshots)) as tick:
                meter = read_meter(player.folder, player.progress.iteration, reward)
                paths[name] = trajectory(
                    snapshots, meter, strong, reward, plan.board, plan.curve_games, plan.seed + 3, tick
                )
        with self.stages.stage("real RL against RLHF", plan.match_games) as tick:
            head_to_head = play_match(strong, agents["RLHF"], plan.board, plan.match_games, plan.seed + 4, report=tick)
        people = Agent("base policy", base, RAW_POLICY, ScoreReferee())
        against_base = {}
        for name, agent in agents.items():
            with self.stages.stage(f"{name} against the base policy", plan.match_games) as tick:
                against_base[name] = play_match(agent, people, plan.board, plan.match_games, plan.seed + 5, report=tick)
        gnugo = {}
        if find_gnugo():
            for name, agent in agents.items():
                with self.stages.stage(f"{name} against GNU Go level {plan.gnugo_level}", plan.gnugo_games) as tick:
                    match = play_against_gnugo(
                        agent, plan.board, plan.gnugo_games, plan.gnugo_level, plan.seed + 6, report=tick
                    )
                gnugo[name] = match.results
        ended += [head_to_head.final, against_base["RLHF"].final]
        loved = loved_and_lost(np.concatenate(ended), reward, plan.gallery)
        return Measured(quality, paths["real RL"], paths["RLHF"], head_to_head, against_base, gnugo, loved)

    def story(self, labels: Labels, measured: Measured) -> list[str]:
        """The experiment in words, in the order of the essay."""
        plan = self.plan
        looks = (
            "Each impression weighs by how much it stands out."
            if plan.people == "beginners"
            else "They nearly count the board."
        )
        teacher = "game records" if plan.sgf else "the games those people play against each other"
        accuracy = checkpoint.load(self._path("base"))[1]["move_accuracy"]
        paragraphs = [
            f"People. A club of {plan.amateurs} simulated amateurs judges boards by their looks: influence, stones, "
            f"prisoners, stones in danger, shape. {looks} Nobody reads ahead; everybody has a taste of their own and "
            f"logistic noise of scale {labels.noise:.2f}, set so that a rater agrees with a strong search in "
            f"{100 * plan.agreement:.0f} % of pairs where that is possible.",
            f"Supervised finetuning. A network of {plan.network} imitates {teacher}; it foresees "
            f"{100 * accuracy:.0f} % of held-out moves.",
            f"Comparisons. {plan.comparisons:,} pairs of boards with the same number of moves, from the amateurs' "
            "games and the base policy's, each judged by one member for one side; kept in comparisons.sqlite.",
            "Reward model. The same trunk, fitted to the comparisons by Bradley and Terry's likelihood. It sees a "
            "board and the prisoners, as the raters did; not komi, nor the moves that led there.",
            f"Reinforcement learning, twice. Self-play with Gumbel AlphaZero search, {plan.simulations} simulations, "
            f"{measured.rl.games[-1]:,} games for each agent, both from the base policy. When a game ends a referee "
            "says who won: the area score in one run, the reward model in the other. Nothing else differs.",
            f"The match. {len(measured.head_to_head.score)} games; each opening of 2 or 4 random moves is played twice "
            "with colours swapped, and the score decides.",
        ]
        if not measured.gnugo:
            paragraphs.append("GNU Go is not installed (no `gnugo` on the path): games against it were left out.")
        return paragraphs

    def command(self) -> str:
        """The command line that runs this study again."""
        plan = self.plan
        budget = f"--games {plan.games}" if plan.games is not None else f"--minutes {plan.minutes:g}"
        sgf = "".join(f" {path}" for path in plan.sgf)
        words = f"foolsgold run alphago --board {plan.board} {budget} --seed {plan.seed} --agreement {plan.agreement:g}"
        return f"{words} --people {plan.people}" + (f" --sgf{sgf}" if sgf else "")


def records_of_size(paths: tuple[str, ...], size: int) -> list[GameRecord]:
    """The game records of `paths` that were played on a board of `size`.

    Raises:
      UserError: a record cannot be read, or there is none of that size.
    """
    records = [record for record in read_folder(paths) if record.size == size and record.moves]
    if not records:
        raise UserError(
            f"no game on {size}x{size} in {', '.join(paths)}; give records of that size, or another --board"
        )
    return records


def main(config: AlphaGoConfig) -> None:
    """Run or resume the study and say where the report is."""
    console = Console()
    if config.resume is None:
        plan = Plan.of(config)
        if plan.sgf:
            records_of_size(plan.sgf, plan.board)  # a broken record is reported before anything is written
        folder = RunFolder.create(config.out, STUDY, {**asdict(plan), "engine": describe_device()}, VERSION)
    else:
        folder = RunFolder.open(config.resume, STUDY, VERSION)
        plan = Plan.from_json({k: v for k, v in folder.config.items() if k != "engine"})
    console.print(
        f"[bold]alphago[/bold] on {plan.board}x{plan.board}, {plan.budget} of self-play, RLHF as many games as RL"
    )
    for name, value in folder.config.items():
        console.print(f"  {name:<18} {value}", highlight=False)
    console.print(f"  {'run folder':<18} {folder.path}", highlight=False, soft_wrap=True)
    with folder:
        with Stages(console) as stages:
            verdict = AlphaGo(plan, folder, stages).run()
        console.print(table(verdict))
        console.print(f"report: {folder.path / 'report.html'}", highlight=False, soft_wrap=True)
