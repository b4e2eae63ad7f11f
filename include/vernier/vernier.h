#pragma once

// Everything at once, in the order in which the stages run. Programs that build quickly include single headers instead:
// the first block needs no libtorch and is what vernier::core alone offers.
//
//   const vernier::Model model = vernier::load_model("models/demo-5m");

#include "vernier/choices.h"
#include "vernier/component.h"
#include "vernier/data.h"
#include "vernier/error.h"
#include "vernier/group_chain.h"
#include "vernier/groups.h"
#include "vernier/images.h"
#include "vernier/labelled_images.h"
#include "vernier/limit.h"
#include "vernier/plan.h"
#include "vernier/progress.h"
#include "vernier/prompts.h"
#include "vernier/report.h"
#include "vernier/scheme.h"
#include "vernier/target_rules.h"
#include "vernier/tokenizer.h"
#include "vernier/version.h"

#include "vernier/calibrate.h"
#include "vernier/compute.h"
#include "vernier/confirm.h"
#include "vernier/damage_table.h"
#include "vernier/decode_images.h"
#include "vernier/diagnose.h"
#include "vernier/evaluate.h"
#include "vernier/evaluation_file.h"
#include "vernier/export.h"
#include "vernier/metric.h"
#include "vernier/model.h"
#include "vernier/plan_front.h"
#include "vernier/planning.h"
#include "vernier/quantize.h"
#include "vernier/quantize_tensor.h"
#include "vernier/run.h"
#include "vernier/screen.h"
#include "vernier/target.h"
#include "vernier/value_search.h"
