#pragma once

// From parts to a diagnosis.

#include "diagnose/task.h"

namespace vernier {

/// Adds what a task found. Parts must come in the order of their tasks, whoever ran them.
void add_part(Diagnosis& diagnosis, DiagnosisPart part);

/// What follows from all parts together: the spread within every kind, and how well facts about matrices rank them.
void add_summaries(Diagnosis& diagnosis);
/// The spreads alone.
void add_spreads(Diagnosis& diagnosis);

/// Joint damage against the sum over all that was changed.
void add_joint(Diagnosis& diagnosis, const Measured& joint_kl);

}  // namespace vernier
