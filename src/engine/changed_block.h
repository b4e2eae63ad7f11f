#pragma once

// A layer of a model in plain ATen with one component replaced.

#include "engine/aten_model.h"
#include "engine/sweep.h"

namespace vernier {

/// `base`, made of `model` at `place`, has the block of the component's layer; only the changed matrices are copied.
AtenBlock changed_block(const AtenModel& base, const Model& model, const Perturbation& perturbation,
                        const AtenModel::Place& place);

}  // namespace vernier
