//! A page for each code.

use super::{Mistake, Page};
use crate::code;

/// A page for each code, in their order.
pub const PAGES: &[Page] = &[
    Page {
        code: code::SYNTAX,
        title: "the text is not RON",
        meaning: "Scenarios are written in RON: fields as `name: value` in round brackets, lists in square \
                  ones, commas between, text in straight double quotes, comments behind `//`. Here something \
                  is missing, superfluous, or open at the end of the file. Reading stops at the first such \
                  place, so there may be more behind it.",
        mistake: Mistake::Written { right: "dp: 4, tp: 4", wrong: "dp: 4 tp: 4" },
        mend: "Look at the place that the message points to and just before it: a comma between two fields, a \
               bracket that is not closed, a quote that a word processor made curly.",
    },
    Page {
        code: code::TOO_DEEP,
        title: "values are nested too deep",
        meaning: "No scenario nests values deeper than 128 levels, and a reader that followed any depth could be \
                  made to run out of memory.",
        mistake: Mistake::Written {
            right: "Preset(\"bert-large\")",
            wrong: "((((((((((((((((((((((((((((((((((((((((((((\n\
                    ((((((((((((((((((((((((((((((((((((((((((((\n\
                    ((((((((((((((((((((((((((((((((((((((((((((",
        },
        mend: "The file is probably not a scenario, or a program wrote it that did not close its brackets.",
    },
    Page {
        code: code::ENCODING,
        title: "the file is not UTF-8",
        meaning: "Scenarios are UTF-8 text, so that names and comments may be in any language. This file holds \
                  bytes that are not: it is in another encoding, or no text at all.",
        mistake: Mistake::Bytes(b"// \xFCber\n"),
        mend: "Save the file as UTF-8; `iconv -f LATIN1 -t UTF-8` converts one from Latin-1.",
    },
    Page {
        code: code::UNKNOWN_FIELD,
        title: "a field that does not exist",
        meaning: "A field that motley does not know would be a wish that it does not fulfil, so it is refused \
                  rather than ignored. Mostly it is a slip of the pen, or the field belongs one bracket further \
                  in or out.",
        mistake: Mistake::Written {
            right: "\"dgx1-p100\", count: 2",
            wrong: "\"dgx1-p100\", cuont: 2",
        },
        mend: "Take the name that the message suggests or one of those that it lists. docs/scenario.md has every \
               field with its default.",
    },
    Page {
        code: code::UNKNOWN_VARIANT,
        title: "a choice that does not exist",
        meaning: "Some fields take one of a few words: precisions, schedules, shapes of networks, kinds of plans. \
                  They are written without quotes, and capitals matter.",
        mistake: Mistake::Written { right: "precision: Fp16", wrong: "precision: Fp61" },
        mend: "Take one of the words that the message lists.",
    },
    Page {
        code: code::MISSING_FIELD,
        title: "a field is missing",
        meaning: "Fields that can be left out have a default that docs/scenario.md gives. This one has none: no \
                  value would be right for most, and a guess would go unnoticed. Some fields are needed only \
                  beside others: `fabric` where there are several nodes, `sequence_length` where the model reads \
                  tokens.",
        mistake: Mistake::Written { right: "precision: Fp16,", wrong: "" },
        mend: "Add the field inside of the brackets that the message points to.",
    },
    Page {
        code: code::DUPLICATE_FIELD,
        title: "a field is given twice",
        meaning: "Which of the two was meant cannot be told.",
        mistake: Mistake::Written { right: "dp: 4, tp: 4", wrong: "dp: 4, tp: 4, dp: 8" },
        mend: "Delete one of them. To try another value without touching the file, use `--set`.",
    },
    Page {
        code: code::WRONG_KIND,
        title: "a value of another kind",
        meaning: "The field exists, but takes another kind of value: a number where there is a text, a list where \
                  there is one value, fields in brackets where there is a number, or a range that includes its \
                  end (`..=`) where ranges exclude it (`..`).",
        mistake: Mistake::Written {
            right: "\"dgx1-p100\", count: 2",
            wrong: "\"dgx1-p100\", count: \"two\"",
        },
        mend: "Write what the message says was expected.",
    },
    Page {
        code: code::UNIT,
        title: "a quantity without its unit",
        meaning: "Sizes, rates and times carry their unit, as most wrong answers about clusters come from bits \
                  that were bytes. A bare number is refused, and so is a unit that does not exist: \
                  `Gbps(100)` are bits, `GBps(12.5)` bytes.",
        mistake: Mistake::Written { right: "port: Gbps(100)", wrong: "port: 100" },
        mend: "Put the number into the unit that it is in: sizes `B`, `KB`, `MB`, `GB`, `TB`, `KiB`, `MiB`, `GiB`, \
               `TiB`; rates `Mbps`, `Gbps`, `Tbps`, `Bps`, `MBps`, `GBps`, `TBps`; times `S`, `Ms`, `Us`, `Ns`, \
               `Minutes`, `Hours`, `Days`.",
    },
    Page {
        code: code::OUT_OF_RANGE,
        title: "a number out of its range",
        meaning: "The number is of the right kind, but too small, too large, not whole, or not a number: no \
                  cluster has zero nodes, no spread is negative.",
        mistake: Mistake::Written {
            right: "\"dgx1-p100\", count: 2",
            wrong: "\"dgx1-p100\", count: 0",
        },
        mend: "Take a number of the range that the message gives.",
    },
    Page {
        code: code::OVERRIDE,
        title: "an override that cannot be applied",
        meaning: "`--set PATH=VALUE` replaces the value at a path by RON text before the file is understood. The \
                  path is made of names with dots between and numbers of list items in square brackets; names \
                  such as `Uniform` may be left out. Here there is no `=`, the path is not one, or it leads \
                  through something that the file does not have.",
        mistake: Mistake::Override { right: "plan.tp=8", wrong: "plann.tp=8" },
        mend: "Correct the path, or set what encloses it as a whole: \
               `--set 'cluster.fabric=(technology: RoCE)'`. A field that the file leaves out can be added at the \
               last step of a path. Texts need quotes, which the shell must not take away: \
               `--set 'model=Preset(\"bert-large\")'`.",
    },
    Page {
        code: code::UNKNOWN_NAME,
        title: "a name that the catalogue does not have",
        meaning: "Cards, node designs, NICs, fabrics and models are named as in the catalogue that comes with \
                  motley.",
        mistake: Mistake::Written { right: "\"dgx1-p100\"", wrong: "\"dgx1p100\"" },
        mend: "`motley catalog` lists all names, `motley catalog nodes` those of one kind. A model that is not \
               there can be written out as a `Shape`, or read by `motley import huggingface`.",
    },
    Page {
        code: code::CLUSTER,
        title: "hardware that does not fit together",
        meaning: "Each part exists, but nobody could plug them together: a NIC for InfiniBand on a RoCE fabric, a \
                  card without NVLink in a design that wires NVLink, more rails than NICs.",
        mistake: Mistake::Written { right: "technology: InfiniBand", wrong: "technology: RoCE" },
        mend: "Give the group a `nic`, `device` or `design` that fits, or the fabric another technology or shape.",
    },
    Page {
        code: code::MODEL,
        title: "a model that cannot be, or not be trained so",
        meaning: "Dimensions that must divide do not, a part lacks what another needs, or the training asks for \
                  what the model cannot do: sequences longer than its learned positions, a `sequence_length` for \
                  images, adapters on matrices that it does not have.",
        mistake: Mistake::Written { right: "sequence_length: 512", wrong: "sequence_length: 4096" },
        mend: "Correct the dimension that the message names, or the `training` that asks too much. `motley \
               catalog models ID` prints a preset as it would be written out.",
    },
    Page {
        code: code::PRECISION,
        title: "a card that lacks the precision",
        meaning: "Not every card computes in every precision: V100 and P100 have no bf16, Ampere no fp8. A mixed \
                  cluster trains in one that all cards have, or says what those without it do instead.",
        mistake: Mistake::Written { right: "precision: Fp16", wrong: "precision: Bf16" },
        mend: "Choose a precision that the message lists, leave the card out of the plan, or name what such cards \
               compute in: `training: (precision: Bf16, fallback: Fp32, ..)`.",
    },
    Page {
        code: code::PROFILE,
        title: "a profile that cannot be used",
        meaning: "`profile` names a file of measured times, from the folder of the scenario. It cannot be read, or \
                  says two times of one thing. Other mistakes in a profile have the codes that they would have in \
                  a scenario, with their place in the profile.",
        mistake: Mistake::Written {
            right: "model: Preset(\"bert-large\"),",
            wrong: "model: Preset(\"bert-large\"),\n    profile: \"my-times.ron\",",
        },
        mend: "Correct the path, delete one of the two times, or leave `profile` out: then all times are \
               predicted. `motley export kernels` writes a profile to be filled in.",
    },
    Page {
        code: code::PLAN,
        title: "a plan that does not fit",
        meaning: "The plan asks for more or fewer cards than there are, splits what does not divide, leaves layers \
                  out or holds them twice, uses a card twice, or has a schedule that needs another number of \
                  stages or micro-batches. In a `Uniform` plan dp x tp x pp is the number of cards, and the \
                  global batch divides into dp x micro_batch_size.",
        mistake: Mistake::Written { right: "pp: 2, micro", wrong: "pp: 4, micro" },
        mend: "Change the degrees, the batch or the counts of nodes; write the plan as `Explicit` where stages \
               should differ or cards stay idle; or let `motley plan` find one.",
    },
    Page {
        code: code::GROUP_ACROSS_NODES,
        title: "a tensor-parallel group spans several nodes",
        meaning: "A warning: tensor parallelism exchanges activations several times in each layer. Inside a node \
                  that goes over NVLink; across nodes over the network, which is an order of magnitude slower. \
                  The scenario runs, but such a plan is rarely meant.",
        mistake: Mistake::Written { right: "dp: 4, tp: 4", wrong: "dp: 1, tp: 16" },
        mend: "Keep `tp` at most at the cards of a node, and cut the model into stages (`pp`) instead. Ranks are \
               dealt out in the order of the groups, so a degree that does not divide the cards of a node spans \
               nodes, too. If it is meant, ignore the warning.",
    },
    Page {
        code: code::STUDY,
        title: "a study whose parts do not fit together",
        meaning: "A study names a base scenario and what varies in it. Here it names no scenario that can be read, \
                  an axis has no values or more than anybody waits for, a name is given twice, axes that move \
                  side by side have unlike numbers of values, or a metric does not exist.",
        mistake: Mistake::Study(
            "Study(\n    base: \"scenario.ron\",\n    axes: [\n        Axis(name: \"tp\", set: [\"plan.tp={}\"], \
             values: List([])),\n    ],\n)\n",
        ),
        mend: "Do what the message asks at its place. Paths are relative to the folder of the study.",
    },
    Page {
        code: code::EXPRESSION,
        title: "an expression of a study that cannot be computed",
        meaning: "Conditions under `skip`, and what stands in braces in an override, are expressions over the names \
                  of axes: `dp * tp > 64 and model != 'bert-large'`. Here one is not well-formed, has a name that \
                  is no axis, or mixes numbers, texts and conditions.",
        mistake: Mistake::Study(
            "Study(\n    base: \"scenario.ron\",\n    axes: [\n        Axis(name: \"tp\", set: [\"plan.tp={}\"], \
             values: List([2, 4])),\n    ],\n    skip: [\"dp * tp > 16\"],\n)\n",
        ),
        mend: "Correct the expression. Texts stand in single quotes, `==` compares, `and`, `or` and `not` join \
               conditions, `{}` alone is the value of the axis itself.",
    },
];
