//! Measured times in place of predicted ones, and which kernel times were asked for.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};

use motley_units::{Seconds, Time};
use motley_workload::{
    KernelModel, Model, Operator, Part, Profile, ProfiledKernel, ProfiledLayer, Shard,
    TensorExchange, Training,
};

/// Where kernel times came from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KernelSources {
    /// Whether a profile with kernels or layers was given.
    pub profiled: bool,
    /// Kernels, each card, precision and shape once, whose time the profile has.
    pub measured_kernels: u32,
    /// Layers, each card, degree and micro-batch once, whose times the profile has.
    pub measured_layers: u32,
    /// Kernels whose time is predicted.
    pub predicted_kernels: u32,
    /// What these are called, with the card: `a100-sxm-80 softmax`.
    pub predicted_operators: Vec<String>,
    /// Kernels of the profile whose time nothing asked for.
    pub unused_kernels: u32,
}

/// A profile, and which times were asked for.
#[derive(Debug)]
pub(crate) struct Measured<'a> {
    profile: Option<&'a Profile>,
    /// By [`ProfiledKernel::key`].
    kernels: HashMap<String, Seconds>,
    /// Every kernel that was asked for, by key, and whether its time was measured.
    asked: RefCell<BTreeMap<String, (ProfiledKernel, bool)>>,
    layers: RefCell<BTreeSet<String>>,
    /// Kernels of a layer whose times were measured are not asked for.
    in_layer: Cell<bool>,
}

/// What the passes of a part were measured to take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LayerTimes {
    pub(crate) forward: Seconds,
    pub(crate) backward: Seconds,
    pub(crate) tensor_exchange: TensorExchange,
}

impl<'a> Measured<'a> {
    pub(crate) fn new(profile: Option<&'a Profile>) -> Self {
        let kernels = profile.map_or(&[][..], |profile| &profile.kernels);
        Self {
            profile,
            kernels: kernels.iter().map(|kernel| (kernel.key(), kernel.time)).collect(),
            asked: RefCell::default(),
            layers: RefCell::default(),
            in_layer: Cell::new(false),
        }
    }

    /// The time of a kernel on a card: as measured, else as predicted.
    pub(crate) fn time(&self, model: &KernelModel, operator: &Operator) -> Seconds {
        let (card, precision) = (&model.device().id, model.path().precision);
        let predicted = || model.time(operator);
        let mut kernel = ProfiledKernel::of(card, precision, operator, Seconds(0.0));
        let key = kernel.key();
        let measured = self.kernels.get(&key).copied();
        kernel.time = measured.unwrap_or_else(predicted);
        let time = kernel.time;
        if !self.in_layer.get() {
            self.asked.borrow_mut().entry(key).or_insert((kernel, measured.is_some()));
        }
        time
    }

    fn all_layers(&self) -> &'a [ProfiledLayer] {
        self.profile.map_or(&[], |profile| &profile.layers)
    }

    /// The measured times of a part on one rank, if there are any.
    pub(crate) fn layer(
        &self,
        model: &KernelModel,
        shard: &Shard,
        part: Part,
    ) -> Option<LayerTimes> {
        let (card, precision) = (&model.device().id, model.path().precision);
        let layer = self.all_layers().iter().find(|l| l.is(card, precision, shard, part))?;
        self.layers.borrow_mut().insert(layer.key());
        Some(LayerTimes {
            forward: layer.forward,
            backward: layer.backward,
            tensor_exchange: layer.tensor_exchange,
        })
    }

    /// Runs `work`, whose kernels belong to a layer that was measured as a whole.
    pub(crate) fn within_layer<T>(&self, measured: bool, work: impl FnOnce() -> T) -> T {
        let before = self.in_layer.replace(measured);
        let result = work();
        self.in_layer.set(before);
        result
    }

    /// Seconds of the optimizer step for a parameter on a card, over all layers that were measured.
    pub(crate) fn update(
        &self,
        kernels: &KernelModel,
        model: &Model,
        training: &Training,
    ) -> Option<f64> {
        let (card, precision) = (&kernels.device().id, kernels.path().precision);
        let (mut seconds, mut parameters) = (0.0, 0.0);
        for layer in self.all_layers() {
            let Some(update) = layer.update else { continue };
            let part = model.distinct_parts().find(|part| layer.part.is(*part));
            let (Some(part), true) = (part, layer.card == *card && layer.precision == precision)
            else {
                continue;
            };
            seconds += update.0;
            let tp = f64::from(layer.tp.max(1));
            parameters += model.trained_parameters(part, training).total() / tp;
        }
        (parameters > 0.0).then(|| seconds / parameters)
    }

    /// Every kernel that was asked for, with its time, in the order of their keys.
    pub(crate) fn into_asked(self) -> Vec<ProfiledKernel> {
        self.asked.into_inner().into_values().map(|(kernel, _)| kernel).collect()
    }

    /// Where the times came from that were asked for.
    pub(crate) fn sources(&self) -> KernelSources {
        let asked = self.asked.borrow();
        let predicted = || asked.values().filter(|(_, measured)| !measured).map(|(of, _)| of);
        let operators: BTreeSet<String> =
            predicted().map(|of| format!("{} {}", of.card, of.operator)).collect();
        let predicted_kernels = predicted().count() as u32;
        KernelSources {
            profiled: self.profile.is_some_and(|of| {
                !(of.kernels.is_empty() && of.layers.is_empty()) || of.collectives.is_empty()
            }),
            measured_kernels: asked.len() as u32 - predicted_kernels,
            measured_layers: self.layers.borrow().len() as u32,
            predicted_kernels,
            predicted_operators: operators.into_iter().collect(),
            unused_kernels: self.kernels.keys().filter(|key| !asked.contains_key(*key)).count()
                as u32,
        }
    }
}

/// A time by this factor.
pub(crate) fn scaled(time: Time, factor: f64) -> Time {
    Time::from_secs_f64(time.as_secs_f64() * factor)
}
