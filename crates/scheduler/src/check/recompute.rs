//! Whether the modules that a stage computes again can be.

use motley_workload::{
    Fp8Recipe, Model, Precision, Recompute, RecomputeModule, RecomputeModules, Training,
};

use crate::error::{PlanError, PlanPath};
use crate::plan::{Plan, Stage};

/// Modules that no layer of the model has, or that Megatron-Core refuses to compute again as well: the
/// first stage of each mistake.
pub(super) fn check_recompute(
    plan: &Plan,
    model: &Model,
    training: &Training,
    errors: &mut Vec<PlanError>,
) {
    let mut known: Vec<(Recompute, bool)> = Vec::new();
    for (p, pipeline) in plan.pipelines.iter().enumerate() {
        for (s, stage) in pipeline.stages.iter().enumerate() {
            let Recompute::Modules(modules) = stage.recompute else { continue };
            let asked = (stage.recompute, stage.experts.overlap_shared);
            if known.contains(&asked) {
                continue;
            }
            known.push(asked);
            let refused = |(message, help): (String, &str)| {
                PlanError::new(PlanPath::StageField(p, s, "recompute"), message).help(help)
            };
            errors.extend(refusals(stage, modules, model, training).into_iter().map(refused));
        }
    }
}

fn refusals(
    stage: &Stage,
    modules: RecomputeModules,
    model: &Model,
    training: &Training,
) -> Vec<(String, &'static str)> {
    use RecomputeModule::{LayerNorm, MoeAct, SharedExperts};
    let mut refusals = Vec::new();
    if modules.is_empty() {
        let message = "`Modules([])` names no module to compute again".to_owned();
        refusals.push((message, "name some, or leave `recompute` out"));
    }
    for module in modules.iter().filter(|&module| !model.has_module(module)) {
        let message = format!("no layer of model `{}` {}", model.name, lacks(module));
        refusals.push((message, "leave it out"));
    }
    if modules.contains(SharedExperts) && stage.experts.overlap_shared {
        let message = "the shared expert cannot be computed again by itself where it runs while \
                       tokens travel to the others"
            .to_owned();
        refusals.push((message, "choose `overlap_shared_expert` or `SharedExperts`, not both"));
    }
    let outputs = RecomputeModules::of(LayerNorm).and(MoeAct);
    if modules.meets(outputs) && training.precision == Precision::Fp8(Fp8Recipe::Delayed) {
        let message =
            "delayed scales of fp8 are made from each tensor once: outputs of norms and of \
                       experts' activation functions cannot be quantised again"
                .to_owned();
        refusals.push((message, "use `Fp8(Current)` or `Fp8(Block)`, or keep these outputs"));
    }
    refusals
}

/// Why there is nothing to compute again.
fn lacks(module: RecomputeModule) -> &'static str {
    match module {
        RecomputeModule::CoreAttn => "has attention (`CoreAttn`)",
        RecomputeModule::LayerNorm => "has norms before its parts (`LayerNorm`)",
        RecomputeModule::MlaUpProj => "has latent attention (`MlaUpProj`)",
        RecomputeModule::Mlp => "has an MLP without experts (`Mlp`)",
        RecomputeModule::Moe => "has experts (`Moe`)",
        RecomputeModule::MoeAct => "has experts (`MoeAct`)",
        RecomputeModule::SharedExperts => "has a shared expert (`SharedExperts`)",
    }
}
