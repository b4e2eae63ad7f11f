#include "engine/changed_block.h"

#include <ATen/ATen.h>

#include <set>

#include "engine/slices.h"
#include "model/block_layout.h"

namespace vernier {

AtenBlock changed_block(const AtenModel& base, const Model& model, const Perturbation& p,
                        const AtenModel::Place& place) {
  const std::vector<WeightSlice> slices = slices_of(base.config(), p.component);
  std::set<TensorId> ids;
  for (const WeightSlice& slice : slices) ids.insert(slice.tensor);
  AtenBlock block = base.block(p.component.layer);
  for_each_product(block, [&](AtenStack& part, const std::vector<TensorId>& members) {
    for (size_t i = 0; i < members.size(); ++i)
      if (ids.contains(members[i]))
        part[i].weight = with_slices(model, slices, members[i], p.weight).to(place.device, place.type);
  });
  return block;
}

}  // namespace vernier
