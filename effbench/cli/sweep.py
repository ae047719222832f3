"""The command that trains: flags in, records and exit code out."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from effbench.cli import sweep_hours
from effbench.cli.console import Display, left_out, out, say, show, tried, warn
from effbench.cli.interruption import interrupted
from effbench.cli.many_display import ManyDisplay
from effbench.cli.options import (
    CpuOption,
    DataDirOption,
    DataOption,
    EngineOption,
    GpuOption,
    ImageSizeOption,
    LauncherOption,
    ParallelOption,
    PrecisionName,
    QuietOption,
    RayAddressOption,
    RecipesOption,
    ReplicasOption,
    Rescale,
    RescaleOption,
    ResultsOption,
    SearchedSettingsOption,
    SlurmOption,
    TpuNameOption,
    TpuOption,
    VariantsOption,
    VerboseOption,
    WaitOption,
    WeightsDirOption,
    WeightsOption,
    only,
    precision_name,
)
from effbench.cli.results_folder import not_sent_yet, refuse_url, send
from effbench.config.sweep_options import (
    DeviceOptions,
    ExecutionOptions,
    ImageOptions,
    LaunchOptions,
    NetworkOptions,
    SweepOptions,
    TrainingOptions,
)
from effbench.config.variants import USUAL
from effbench.engines.engine_table import AUTO
from effbench.hardware import hosts
from effbench.lean_imports import lean
from effbench.remote_folder import shown

if TYPE_CHECKING:
    from effbench.records.store import Store
    from effbench.sweep.groups import Group
    from effbench.sweep.needs.forecast import Forecast
    from effbench.sweep.needs.timed_processes import TimedProcess
    from effbench.sweep.resolve import Request


@interrupted("finished runs and checkpoints are saved; run it again to go on")
def sweep(
    variants: VariantsOption = USUAL,
    weights: WeightsOption = "auto",
    weights_dir: WeightsDirOption = None,
    rescale: RescaleOption = Rescale.auto,
    image_size: ImageSizeOption = None,
    seeds: Annotated[
        str,
        typer.Option(
            metavar="NUMBERS", help="Comma-separated numbers and ranges, e.g. 0,2-5; one run each."
        ),
    ] = "0",
    data: DataOption = "cifar10",
    data_dir: DataDirOption = None,
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=10,
            help="Training images; a quarter of it (at least 10) of the others.",
        ),
    ] = None,
    per_class: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Train on N images of each class; those of a smaller N are among them.",
        ),
    ] = None,
    kfold: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            min=3,
            help="Cross-validation: K heads, each tested on a fold of all images.",
        ),
    ] = None,
    skip_unreadable: Annotated[
        bool,
        typer.Option(
            "--skip-unreadable", help="Leave out photos that cannot be read; tables say how many."
        ),
    ] = False,
    recipe: RecipesOption = None,
    epochs: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Default: the recipe's.")
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Global. Default: the recipe's; to train a head, 16 for each replica.",
        ),
    ] = None,
    start_step: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="First step of schedule and optimizer. Default: 0."),
    ] = None,
    settings: SearchedSettingsOption = None,
    cpu: CpuOption = False,
    gpu: GpuOption = False,
    tpu: TpuOption = False,
    tpu_name: TpuNameOption = None,
    replicas: ReplicasOption = None,
    engine: EngineOption = AUTO,
    precision: Annotated[
        PrecisionName,
        typer.Option(
            metavar="NAME",
            parser=precision_name,
            help="auto (float32 on CPU, else mixed_bfloat16), float32, tensorfloat32 (GPU) or "
            "mixed_bfloat16, or bfloat16 for short.",
        ),
    ] = PrecisionName.auto,
    micro_batch: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Images of a batch that fit at once. Default: the whole batch."
        ),
    ] = None,
    results: ResultsOption = Path("results"),
    checkpoint_minutes: Annotated[
        float,
        typer.Option(
            metavar="N", min=0, help="Between two checkpoints of a whole network's training."
        ),
    ] = 10.0,
    tensorboard: Annotated[
        bool,
        typer.Option("--tensorboard", help="Write logs under RESULTS/tensorboard."),
    ] = False,
    feature_cache: Annotated[
        bool,
        typer.Option(
            "--feature-cache/--no-feature-cache",
            help="Compute features once, or run the backbone in every step.",
        ),
    ] = True,
    cache_gb: Annotated[
        float | None,
        typer.Option(
            metavar="N",
            min=0,
            help="Gigabytes for the pixels of photos. Default: half of the free disk.",
        ),
    ] = None,
    oom_retry: Annotated[
        bool,
        typer.Option(
            "--oom-retry/--no-oom-retry",
            help="Out of memory, try again with half the micro-batch.",
        ),
    ] = True,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Run again what failed before.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Run again what is finished.")] = False,
    max_hours: Annotated[
        float | None,
        typer.Option(metavar="N", min=0, help="Refuse to start what is estimated to take longer."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would run, and for how long.")
    ] = False,
    launcher: LauncherOption = "local",
    parallel: ParallelOption = None,
    ray_address: RayAddressOption = None,
    slurm: SlurmOption = None,
    wait: WaitOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Train every variant and keep a record of each run; what is finished is not repeated."""
    with lean(missing=()):
        from effbench.records.store import Store
        from effbench.sweep import scheduler
        from effbench.sweep.launchers import launcher_table
        from effbench.sweep.launchers.launcher import Launch
        from effbench.sweep.resolve import resolve

    launch = LaunchOptions(launcher, parallel, wait, slurm, ray_address)
    row = launcher_table.chosen(launch)
    if row.shared:
        refuse_url(results, f"--launcher {row.name}")
    beside = row.elsewhere or parallel is not None

    options = SweepOptions(
        NetworkOptions(
            variants=variants,
            weights=weights,
            weights_dir=weights_dir,
            rescale=rescale,
            image_size=image_size,
            seeds=seeds,
        ),
        ImageOptions(
            data=data,
            data_dir=data_dir,
            limit=limit,
            per_class=per_class,
            kfold=kfold,
            skip_unreadable=skip_unreadable,
        ),
        TrainingOptions(
            recipe=recipe,
            epochs=epochs,
            batch_size=batch_size,
            start_step=start_step,
            settings=tuple(settings or ()),
        ),
        DeviceOptions(
            device=only("devices", {"cpu": cpu, "gpu": gpu, "tpu": tpu}) or "auto",
            tpu_name=tpu_name,
            replicas=replicas,
            engine=engine,
            precision=precision,
            micro_batch=micro_batch,
            one_each=beside,
            elsewhere=row.elsewhere,
        ),
        ExecutionOptions(
            feature_cache=feature_cache,
            oom_retry=oom_retry,
            retry_failed=retry_failed,
            force=force,
            checkpoint_minutes=checkpoint_minutes,
            tensorboard=tensorboard,
            cache_gb=cache_gb,
        ),
    )
    store = Store(results)
    with Display(out, 0, quiet=quiet, verbose=verbose) as display:
        request = resolve(options, partial(display.step, data))
    if not quiet:
        for remark in request.remarks:
            warn(remark)
    if dry_run:
        states = scheduler.states(request, store)
        for spec in request.specs:
            values = tried(spec, request.searched)
            print("\t".join([states[spec.key], spec.key, *([values] if values else [])]))
    if dry_run or max_hours is not None or not quiet:
        expected = _expected(request, store, all_=max_hours is not None, quiet=quiet)
        if max_hours is not None:
            sweep_hours.check(expected, max_hours)
        if dry_run and expected.rows:
            out.print()
            left_out(show(sweep_hours.table(expected)))
        elif (before := sweep_hours.line(expected, beside=beside)) and not quiet:
            say(before)
    if dry_run:
        return
    kind: type[Display | ManyDisplay] = (
        Display if parallel is None and row.name == "local" else ManyDisplay
    )
    runs = len(request.specs)
    with kind(out, runs, quiet=quiet, verbose=verbose, searched=request.searched) as screen:
        listen = not_sent_yet(results, screen)
        outcome = row.starter.start(Launch(request, store, launch, listen, say))
    if outcome is None:
        return
    send(results)
    if not quiet:
        target = request.target
        side_by_side = len({spec.recipe.name for spec in request.specs}) > 1
        see = f"{_REPORT} {shown(results)}{' --group-by data' * side_by_side}"
        out.print(
            f"{outcome.saved} saved, {outcome.finished} finished before, {outcome.failed} failed; "
            + (f"see: {see}" if target.chief else "the chief keeps the records"),
            soft_wrap=True,
        )
    if outcome.failed_before:
        out.print(f"{outcome.failed_before} failed before; --retry-failed tries them again")
    if outcome.failed or outcome.failed_before:
        raise typer.Exit(1)


_REPORT = "effbench report --results"


def _expected(request: Request, store: Store, *, all_: bool, quiet: bool) -> Forecast:
    """How long the sweep takes; `all_` measures what is little, too."""
    from effbench.sweep.needs import forecast

    def trial(request: Request, group: Group) -> TimedProcess | None:
        from effbench.sweep.needs import forward_trial

        if not quiet:
            name, minutes = group.specs[0].variant, forward_trial.PATIENCE / 60
            warn(
                f"no record says how long this takes: {name} is built and compiled (minutes for "
                f"the largest, {minutes:.0f} at most), and 2 s of it are timed"
            )
        return forward_trial.measured(request, group)

    # Several hosts would have to do it together.
    measures = hosts.read().hosts == 1 and not request.options.device.elsewhere
    return forecast.of(request, store, trial if measures else None, all_=all_)
